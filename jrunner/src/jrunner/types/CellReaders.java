package jrunner.types;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Blob;
import java.sql.Date;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Time;
import java.sql.Timestamp;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.util.UUID;

/** The ways to read a column of a JDBC result, from which kinds choose. Each reader belongs to one column and one thread. */
public final class CellReaders {
    private CellReaders() {
    }

    /** Takes the driver's text as it is. */
    public static CellReader string() {
        return CellReaders::string;
    }

    /** Takes the driver's bytes, which are UTF-8, as text. */
    public static CellReader utf8() {
        return CellReaders::utf8;
    }

    /** Parses the driver's text of a decimal, date or time, as the database prints it. */
    public static CellReader fromText(Family family) {
        return new FromText(family, false, false);
    }

    /** As {@link #fromText}, for a driver that gives the bytes of that text. */
    public static CellReader fromUtf8(Family family) {
        return new FromText(family, true, false);
    }

    /** As {@link #fromText}, but what is no date or time there, such as 30:00:00 and 2024-00-00, stays the text that it is. */
    public static CellReader fromText(Family family, boolean isUtf8, boolean keepsOthers) {
        return new FromText(family, isUtf8, keepsOthers);
    }

    /** The driver's text of an interval, as a literal with its unit. */
    public static CellReader interval(ColumnInfo column) {
        return (result, index, cells, row) -> {
            String value = result.getString(index);
            if (value == null) {
                cells.setNull(row);
            } else {
                cells.setText(row, Intervals.literal(value, column.typeName()));
            }
        };
    }

    private static void utf8(ResultSet result, int index, Cells cells, int row) throws SQLException {
        byte[] value = result.getBytes(index);
        if (value == null) {
            cells.setNull(row);
        } else {
            cells.setText(row, value, 0, value.length);
        }
    }

    private static void string(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
        String value = result.getString(index);
        if (value == null) {
            cells.setNull(row);
        } else {
            cells.setText(row, value);
        }
    }

    /** By the plain getters of JDBC, with java.time for dates and times. */
    public static CellReader standard(ColumnInfo column) {
        switch (column.family()) {
            case BOOLEAN:
                return (result, index, cells, row) -> {
                    boolean value = result.getBoolean(index);
                    if (result.wasNull()) {
                        cells.setNull(row);
                    } else {
                        cells.setBool(row, value);
                    }
                };
            case INT16:
            case INT32:
            case INT64:
                return (result, index, cells, row) -> {
                    long value = result.getLong(index);
                    if (value == 0 && result.wasNull()) {
                        cells.setNull(row);
                    } else {
                        cells.setInt(row, value);
                    }
                };
            case DECIMAL:
                return (result, index, cells, row) -> {
                    BigDecimal value = result.getBigDecimal(index);
                    if (value == null) {
                        cells.setNull(row);
                    } else {
                        cells.setDecimal(row, value);
                    }
                };
            case FLOAT32:
                return (result, index, cells, row) -> {
                    float value = result.getFloat(index);
                    if (value == 0 && result.wasNull()) {
                        cells.setNull(row);
                    } else {
                        cells.setFloat(row, value);
                    }
                };
            case FLOAT64:
                return (result, index, cells, row) -> {
                    double value = result.getDouble(index);
                    if (value == 0 && result.wasNull()) {
                        cells.setNull(row);
                    } else {
                        cells.setDouble(row, value);
                    }
                };
            case BINARY:
                return CellReaders::binary;
            case DATE: case TIME: case TIMETZ: case TIMESTAMP: case TIMESTAMPTZ:
                return new FromJavaTime(column.family());
            case UUID:
                return CellReaders::uuid;
            case INTERVAL:
                return interval(column);
            case ANY:
                return CellReaders::object;
            default:
                return CellReaders::string;
        }
    }

    private static void binary(ResultSet result, int index, Cells cells, int row) throws SQLException {
        byte[] value;
        try {
            value = result.getBytes(index);
        } catch (SQLException e) {
            Blob blob = result.getBlob(index);
            value = blob == null ? null : blob.getBytes(1, Math.toIntExact(blob.length()));
        }
        if (value == null) {
            cells.setNull(row);
        } else {
            cells.setBinary(row, value);
        }
    }

    private static void uuid(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
        Object value = result.getObject(index);
        if (value == null) {
            cells.setNull(row);
        } else if (value instanceof UUID) {
            cells.setUuid(row, ((UUID) value).getMostSignificantBits(), ((UUID) value).getLeastSignificantBits());
        } else if (value instanceof byte[]) {
            cells.setBinary(row, (byte[]) value);
        } else {
            cells.setText(row, value.toString());
        }
    }

    /** By the class of the object that the driver chose. */
    private static void object(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
        Object value = result.getObject(index);
        if (value instanceof Boolean) {
            cells.setBool(row, (Boolean) value);
        } else if (value instanceof Long || value instanceof Integer || value instanceof Short
                || value instanceof Byte) {
            cells.setInt(row, ((Number) value).longValue());
        } else if (value instanceof BigDecimal) {
            cells.setDecimal(row, (BigDecimal) value);
        } else if (value instanceof Double) {
            cells.setDouble(row, (Double) value);
        } else if (value instanceof Float) {
            cells.setFloat(row, (Float) value);
        } else if (value instanceof byte[]) {
            cells.setBinary(row, (byte[]) value);
        } else {
            string(result, index, cells, row);
        }
    }

    /** Parses the database's own text of a number, date or time. */
    private static final class FromText implements CellReader {
        private final Family family;
        private final boolean raw;
        private final boolean keepsOthers;
        private final Temporals temporal = new Temporals();
        private final Decimals decimal = new Decimals();

        FromText(Family family, boolean raw, boolean keepsOthers) {
            this.family = family;
            this.raw = raw;
            this.keepsOthers = keepsOthers;
        }

        @Override
        public void read(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
            byte[] text;
            if (raw) {
                text = result.getBytes(index);
            } else {
                String value = result.getString(index);
                text = value == null ? null : value.getBytes(StandardCharsets.UTF_8);
            }
            if (text == null) {
                cells.setNull(row);
            } else {
                parse(text, cells, row);
            }
        }

        private void parse(byte[] text, Cells cells, int row) throws BadValue {
            if (family == Family.DECIMAL) {
                if (!decimal.parse(text, 0, text.length)) {
                    throw bad(text);
                }
                if (decimal.isSpecial) {
                    cells.setDouble(row, decimal.special);
                } else if (decimal.big != null) {
                    cells.setDecimal(row, decimal.big);
                } else {
                    cells.setDecimal(row, decimal.unscaled, decimal.scale);
                }
                return;
            }
            if (!temporal.parse(text, 0, text.length)) {
                if (keepsOthers) {
                    cells.setText(row, text, 0, text.length);
                    return;
                }
                throw bad(text);
            }
            switch (family) {
                case DATE:
                    cells.setDate(row, temporal.day);
                    break;
                case TIME:
                    cells.setTime(row, temporal.nanoOfDay);
                    break;
                case TIMETZ:
                    cells.setTimeTz(row, temporal.nanoOfDay, temporal.offset);
                    break;
                case TIMESTAMP:
                    cells.setTimestamp(row, temporal.epochSecond(), temporal.nanoOfSecond());
                    break;
                default:
                    cells.setTimestampTz(row, temporal.epochSecond(), temporal.nanoOfSecond(), temporal.offset);
                    break;
            }
        }

        private BadValue bad(byte[] text) {
            String shown = new String(text, StandardCharsets.UTF_8);
            String hint = shown.startsWith("0000-") || shown.contains("-00")
                ? " (a zero date: turn it into NULL in the query, e.g. NULLIF(x, 0))" : "";
            return new BadValue(BadValue.show(shown) + " is not a valid " + family.label() + hint);
        }
    }

    /**
     * Asks for java.time objects, and for java.sql's where a driver has no others; no time zone is applied to either.
     */
    private static final class FromJavaTime implements CellReader {
        private final Family family;
        private boolean old;

        FromJavaTime(Family family) {
            this.family = family;
        }

        @Override
        public void read(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
            Object value = old ? fallback(result, index) : modern(result, index);
            if (value == null) {
                cells.setNull(row);
                return;
            }
            if (value instanceof LocalDate) {
                cells.setDate(row, ((LocalDate) value).toEpochDay());
            } else if (value instanceof LocalTime) {
                cells.setTime(row, ((LocalTime) value).toNanoOfDay());
            } else if (value instanceof OffsetTime) {
                OffsetTime time = (OffsetTime) value;
                cells.setTimeTz(row, time.toLocalTime().toNanoOfDay(), time.getOffset().getTotalSeconds());
            } else if (value instanceof LocalDateTime) {
                LocalDateTime wall = (LocalDateTime) value;
                cells.setTimestamp(row, wall.toEpochSecond(ZoneOffset.UTC), wall.getNano());
            } else if (value instanceof OffsetDateTime) {
                OffsetDateTime instant = (OffsetDateTime) value;
                cells.setTimestampTz(row, instant.toEpochSecond(), instant.getNano(),
                    instant.getOffset().getTotalSeconds());
            } else {
                cells.setText(row, value.toString());
            }
        }

        private Object modern(ResultSet result, int index) throws SQLException {
            try {
                switch (family) {
                    case DATE:
                        return result.getObject(index, LocalDate.class);
                    case TIME:
                        return result.getObject(index, LocalTime.class);
                    case TIMETZ:
                        return result.getObject(index, OffsetTime.class);
                    case TIMESTAMP:
                        return result.getObject(index, LocalDateTime.class);
                    default:
                        return result.getObject(index, OffsetDateTime.class);
                }
            } catch (SQLException | RuntimeException | AbstractMethodError e) {
                Object value = fallback(result, index);
                old = true;
                return value;
            }
        }

        /** The JVM runs in UTC, so the fields of java.sql's classes are the fields that the driver read. */
        private Object fallback(ResultSet result, int index) throws SQLException {
            switch (family) {
                case DATE:
                    Date date = result.getDate(index);
                    return date == null ? null : date.toLocalDate();
                case TIME:
                    Time time = result.getTime(index);
                    return time == null ? null : LocalTime.ofNanoOfDay(Math.floorMod(time.getTime(),
                        86_400_000L) * 1_000_000L);
                case TIMESTAMP:
                    Timestamp timestamp = result.getTimestamp(index);
                    return timestamp == null ? null : timestamp.toLocalDateTime();
                default:
                    return result.getString(index);
            }
        }
    }
}
