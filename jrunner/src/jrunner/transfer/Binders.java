package jrunner.transfer;

import java.math.BigDecimal;
import java.sql.Date;
import java.sql.Time;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.util.UUID;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.Convert;

/**
 * The ways to set a parameter, from which kinds choose. Each gives a binder for one column, which brings the cell to the
 * column's type and size by way of its {@link Target}.
 */
public final class Binders {
    private Binders() {
    }

    /** As text, checked against the column's type whatever that is. */
    public static Binder text(Target target) {
        Cells scratch = new Cells(1);
        return (statement, index, cells, row) -> {
            target.anyText(cells, row, scratch);
            statement.setString(index, target.convert.string());
        };
    }

    /** As bytes. */
    public static Binder bytes(Target target) {
        return (statement, index, cells, row) -> {
            target.binary(cells, row);
            statement.setBytes(index, copy(target.convert));
        };
    }

    private static byte[] copy(Convert convert) {
        return java.util.Arrays.copyOfRange(convert.bytes, convert.from, convert.from + convert.length);
    }

    private static BigDecimal decimal(Target target, Cells cells, int row) throws BadValue {
        target.decimal(cells, row);
        return target.convert.decimal.bigDecimal();
    }

    /** A boolean as 1 or 0. */
    public static Binder booleanAsInt(Target target) {
        return (statement, index, cells, row) -> statement.setInt(index, target.bool(cells, row) ? 1 : 0);
    }

    /** An integer as a {@code long}. */
    public static Binder int64(Target target) {
        return (statement, index, cells, row) -> statement.setLong(index, target.integer(cells, row));
    }

    /** A float as a {@code double}. */
    public static Binder float32AsDouble(Target target) {
        return (statement, index, cells, row) -> statement.setDouble(index, target.float32(cells, row));
    }

    /** A UUID as its text. */
    public static Binder uuidAsText(Target target) {
        return (statement, index, cells, row) -> {
            target.uuid(cells, row);
            statement.setString(index, new UUID(target.convert.high, target.convert.low).toString());
        };
    }

    /** Text as its UTF-8 bytes. */
    public static Binder textAsBytes(Target target) {
        return (statement, index, cells, row) -> {
            target.text(cells, row);
            statement.setBytes(index, copy(target.convert));
        };
    }

    /** JDBC's own setters; dates and times as {@link #text}. */
    public static Binder standard(Target target) {
        switch (target.family) {
            case BOOLEAN:
                return (statement, index, cells, row) -> statement.setBoolean(index, target.bool(cells, row));
            case INT16:
            case INT32:
                return (statement, index, cells, row) -> statement.setInt(index, (int) target.integer(cells, row));
            case INT64:
                return int64(target);
            case DECIMAL:
                return (statement, index, cells, row) -> statement.setBigDecimal(index, decimal(target, cells, row));
            case FLOAT32:
                return (statement, index, cells, row) -> statement.setFloat(index, target.float32(cells, row));
            case FLOAT64:
                return (statement, index, cells, row) -> statement.setDouble(index, target.float64(cells, row));
            case BINARY:
                return bytes(target);
            case UUID:
                return (statement, index, cells, row) -> {
                    target.uuid(cells, row);
                    statement.setObject(index, new UUID(target.convert.high, target.convert.low));
                };
            case TEXT:
                return (statement, index, cells, row) -> {
                    target.text(cells, row);
                    statement.setString(index, target.convert.string());
                };
            default:
                return text(target);
        }
    }

    /** A date or time as an object of java.time. */
    public static Binder javaTime(Target target) {
        switch (target.family) {
            case DATE:
                return (statement, index, cells, row) ->
                    statement.setObject(index, LocalDate.ofEpochDay(target.date(cells, row)));
            case TIME:
                return (statement, index, cells, row) ->
                    statement.setObject(index, LocalTime.ofNanoOfDay(target.time(cells, row)));
            case TIMETZ:
                return (statement, index, cells, row) -> {
                    LocalTime time = LocalTime.ofNanoOfDay(target.timeTz(cells, row));
                    statement.setObject(index, OffsetTime.of(time, ZoneOffset.ofTotalSeconds(target.convert.offset)));
                };
            case TIMESTAMP:
                return (statement, index, cells, row) -> statement.setObject(index, wall(target, cells, row));
            default:
                return (statement, index, cells, row) -> {
                    target.timestampTz(cells, row);
                    Convert c = target.convert;
                    ZoneOffset offset = ZoneOffset.ofTotalSeconds(c.offset);
                    LocalDateTime local = LocalDateTime.ofEpochSecond(c.seconds + c.offset, c.nanos, ZoneOffset.UTC);
                    statement.setObject(index, OffsetDateTime.of(local, offset));
                };
        }
    }

    /**
     * A date or time as an object of java.sql, text where it has no such class. They hold fields of the JVM's time zone, and the JVM runs in UTC, which skips no hour.
     */
    public static Binder javaSql(Target target) {
        switch (target.family) {
            case DATE:
                return (statement, index, cells, row) ->
                    statement.setDate(index, Date.valueOf(LocalDate.ofEpochDay(target.date(cells, row))));
            case TIME:
                return (statement, index, cells, row) -> {
                    long nanos = target.time(cells, row);
                    if (nanos % 1_000_000_000L == 0) {
                        statement.setTime(index, Time.valueOf(LocalTime.ofNanoOfDay(nanos)));
                    } else {
                        statement.setObject(index, LocalTime.ofNanoOfDay(nanos));
                    }
                };
            case TIMESTAMP:
                return (statement, index, cells, row) -> statement.setTimestamp(index,
                    Timestamp.valueOf(wall(target, cells, row)));
            default:
                return text(target);
        }
    }

    private static LocalDateTime wall(Target target, Cells cells, int row) throws BadValue {
        target.timestamp(cells, row);
        return LocalDateTime.ofEpochSecond(target.convert.seconds, target.convert.nanos, ZoneOffset.UTC);
    }
}
