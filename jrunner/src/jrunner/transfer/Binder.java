package jrunner.transfer;

import java.math.BigDecimal;
import java.sql.Date;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
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

/** Sets one parameter of a prepared insert from a cell that is not NULL. */
interface Binder {
    void bind(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue;

    /** The JDBC type that a NULL is set with. */
    static int nullType(Target target) {
        switch (target.kind) {
            case "postgresql":
            case "sqlite":
            case "mariadb":
            case "mysql":
                return Types.NULL;
            default:
                return target.info.jdbcType();
        }
    }

    static Binder of(Target target) {
        switch (target.kind) {
            case "sqlite":
                return new SqliteBinder(target);
            case "postgresql":
                return target.family == jrunner.types.Family.BINARY ? bytes(target) : text(target);
            case "mariadb":
            case "mysql":
                return mysql(target);
            default:
                return standard(target);
        }
    }

    private static Binder text(Target target) {
        Cells scratch = new Cells(1);
        return (statement, index, cells, row) -> {
            target.anyText(cells, row, scratch);
            statement.setString(index, target.convert.string());
        };
    }

    private static Binder bytes(Target target) {
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

    private static Binder mysql(Target target) {
        switch (target.family) {
            case BOOLEAN:
                return (statement, index, cells, row) -> statement.setInt(index, target.bool(cells, row) ? 1 : 0);
            case INT16:
            case INT32:
            case INT64:
                return (statement, index, cells, row) -> statement.setLong(index, target.integer(cells, row));
            case DECIMAL:
                return (statement, index, cells, row) -> statement.setBigDecimal(index, decimal(target, cells, row));
            case FLOAT32:
                return (statement, index, cells, row) -> statement.setDouble(index, target.float32(cells, row));
            case FLOAT64:
                return (statement, index, cells, row) -> statement.setDouble(index, target.float64(cells, row));
            case BINARY:
                return bytes(target);
            default:
                return text(target);
        }
    }

    /** JDBC's setters, with java.time where the driver takes it. */
    private static Binder standard(Target target) {
        switch (target.family) {
            case BOOLEAN:
                if (target.kind.equals("oracle") || target.kind.equals("db2")) {
                    return (statement, index, cells, row) -> statement.setInt(index, target.bool(cells, row) ? 1 : 0);
                }
                return (statement, index, cells, row) -> statement.setBoolean(index, target.bool(cells, row));
            case INT16:
            case INT32:
                return (statement, index, cells, row) -> statement.setInt(index, (int) target.integer(cells, row));
            case INT64:
                return (statement, index, cells, row) -> statement.setLong(index, target.integer(cells, row));
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
                    UUID value = new UUID(target.convert.high, target.convert.low);
                    if (target.kind.equals("sqlserver")) {
                        statement.setString(index, value.toString());
                    } else {
                        statement.setObject(index, value);
                    }
                };
            case DATE: case TIME: case TIMETZ: case TIMESTAMP: case TIMESTAMPTZ:
                return temporal(target);
            case TEXT:
                return (statement, index, cells, row) -> {
                    target.text(cells, row);
                    statement.setString(index, target.convert.string());
                };
            case JSON:
                if (target.kind.equals("h2")) {
                    // As a string it would become a JSON string.
                    return (statement, index, cells, row) -> {
                        target.text(cells, row);
                        statement.setBytes(index, copy(target.convert));
                    };
                }
                return text(target);
            default:
                return text(target);
        }
    }

    private static Binder temporal(Target target) {
        if (target.kind.equals("hsqldb") && target.family == jrunner.types.Family.TIMESTAMPTZ) {
            // As an object it would be moved by the days between the Julian and the Gregorian calendar before 1582.
            return text(target);
        }
        switch (target.kind) {
            case "derby":
                // Its driver is older than java.time; its own text is exact.
                return text(target);
            case "db2":
            case "generic":
                return javaSql(target);
            default:
                return javaTime(target);
        }
    }

    private static Binder javaTime(Target target) {
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

    /** The classes of java.sql hold fields of the JVM's time zone, and the JVM runs in UTC, which skips no hour. */
    private static Binder javaSql(Target target) {
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
