package jrunner.transfer;

import java.sql.Types;
import java.util.Locale;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Convert;
import jrunner.types.Family;
import jrunner.types.Temporals;

/**
 * A destination column and what it can hold. The methods bring a cell to the column's type and size, exactly or with a
 * {@link BadValue}; every path goes through them, so that all paths hold and refuse the same values.
 */
final class Target {
    /** 1582-10-15. */
    private static final long GREGORIAN_DAY = -141_427;

    final ColumnInfo info;
    final Family family;
    final String kind;
    /** The source is SQLite too: cells keep the storage class they have. */
    final boolean dynamic;
    private final Limits limits;
    private final long least;
    private final long most;
    private final boolean sqlServerDatetime;
    private final boolean fixedBinary;
    private final boolean mysqlTime;
    final Convert convert;

    Target(String kind, ColumnInfo info, String sourceKind, Convert convert) {
        this.kind = kind;
        this.info = info;
        this.family = info.family();
        this.convert = convert;
        this.dynamic = kind.equals("sqlite") && sourceKind.equals("sqlite");
        this.limits = Limits.of(kind);
        long[] range = range();
        this.least = range[0];
        this.most = range[1];
        this.sqlServerDatetime = kind.equals("sqlserver") && info.typeName().equals("datetime");
        String type = info.typeName().toLowerCase(Locale.ROOT);
        boolean mysql = kind.equals("mariadb") || kind.equals("mysql");
        this.fixedBinary = info.family() == Family.BINARY && info.precision() > 0
            && (mysql ? type.startsWith("binary") : info.jdbcType() == Types.BINARY && !kind.equals("postgresql")
                && !kind.equals("sqlite"));
        this.mysqlTime = mysql;
    }

    private long[] range() {
        String type = info.typeName().toLowerCase(Locale.ROOT);
        boolean mysql = kind.equals("mariadb") || kind.equals("mysql");
        if (mysql && type.startsWith("bit")) {
            boolean sized = info.precision() > 0 && info.precision() < 63;
            return new long[] {0, sized ? (1L << info.precision()) - 1 : Long.MAX_VALUE};
        }
        if (mysql || kind.equals("sqlserver")) {
            boolean unsigned = type.contains("unsigned");
            if (type.startsWith("tinyint")) {
                return unsigned || kind.equals("sqlserver") ? new long[] {0, 255} : new long[] {-128, 127};
            }
            if (type.startsWith("smallint") && unsigned) {
                return new long[] {0, 65_535};
            }
            if (type.startsWith("mediumint")) {
                return unsigned ? new long[] {0, 16_777_215} : new long[] {-8_388_608, 8_388_607};
            }
            if (type.startsWith("int") && unsigned) {
                return new long[] {0, 4_294_967_295L};
            }
            if (type.startsWith("year")) {
                return new long[] {0, 2155};
            }
        } else if (info.jdbcType() == Types.TINYINT && !kind.equals("sqlite")) {
            return new long[] {-128, 127};
        }
        if (type.equals("oid")) {
            return new long[] {0, 4_294_967_295L};
        }
        switch (family) {
            case INT16:
                return new long[] {Short.MIN_VALUE, Short.MAX_VALUE};
            case INT32:
                return new long[] {Integer.MIN_VALUE, Integer.MAX_VALUE};
            default:
                return new long[] {Long.MIN_VALUE, Long.MAX_VALUE};
        }
    }

    String name() {
        return info.name();
    }

    long integer(Cells cells, int row) throws BadValue {
        if (cells.tag[row] == Cells.INT) {
            long value = cells.a[row];
            if (value >= least && value <= most) {
                return value;
            }
        }
        return convert.integer(cells, row, least, most);
    }

    boolean bool(Cells cells, int row) throws BadValue {
        return convert.bool(cells, row);
    }

    /** Leaves the number in {@code convert.decimal}. */
    void decimal(Cells cells, int row) throws BadValue {
        convert.decimal(cells, row);
        if (convert.decimal.isSpecial) {
            boolean nan = Double.isNaN(convert.decimal.special);
            // PostgreSQL holds NaN in any numeric, infinities only where no precision is declared.
            if (!limits.decimalNan || !nan && info.precision() > 0) {
                throw new BadValue(convert.decimal + " cannot stand in a decimal column");
            }
            return;
        }
        convert.decimal.fit(info.precision(), info.scale());
    }

    double float64(Cells cells, int row) throws BadValue {
        double value = convert.float64(cells, row);
        if (!limits.floatSpecials) {
            finite(value);
        }
        return value;
    }

    float float32(Cells cells, int row) throws BadValue {
        float value = convert.float32(cells, row);
        if (!limits.floatSpecials) {
            finite(value);
        }
        return value;
    }

    private void finite(double value) throws BadValue {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            throw new BadValue(value + " cannot be held by the destination's floating-point numbers");
        }
    }

    /** Days since 1970-01-01. */
    long date(Cells cells, int row) throws BadValue {
        long day = convert.date(cells, row);
        checkDay(day);
        return day;
    }

    private void checkDay(long day) throws BadValue {
        if (day == Temporals.INFINITY || day == Temporals.MINUS_INFINITY) {
            if (!limits.infiniteDates) {
                throw new BadValue("infinity is no date that the destination can hold");
            }
            return;
        }
        if (limits.skippedDays && day >= GREGORIAN_DAY - 10 && day < GREGORIAN_DAY) {
            throw new BadValue("5 to 14 October 1582 are no days in the destination's calendar,"
                + " which changes there from Julian to Gregorian");
        }
        // Years 1 to 9999 suit every database: no need to look closer.
        if (day >= -719_162 && day <= 2_932_896) {
            return;
        }
        long year = convert.temporal.yearOf(day);
        if (year < limits.firstYear || year > limits.lastYear) {
            throw new BadValue("the year " + (year <= 0 ? 1 - year + " BC" : Long.toString(year))
                + " is outside of what the destination's dates can hold");
        }
    }

    /** Nanoseconds of the day. */
    long time(Cells cells, int row) throws BadValue {
        return checkTime(convert.time(cells, row));
    }

    /** Nanoseconds of the day; the offset is left in {@code convert.offset}. */
    long timeTz(Cells cells, int row) throws BadValue {
        return checkTime(convert.timeTz(cells, row));
    }

    private long checkTime(long nanos) throws BadValue {
        if (nanos == Temporals.NANOS_PER_DAY && !limits.midnightAtEnd) {
            throw new BadValue("24:00:00 is no time that the destination can hold");
        }
        Convert.checkFraction(nanos, fraction());
        return nanos;
    }

    /** Digits of a second's fraction that the column holds. */
    private int fraction() {
        return kind.equals("sqlite") ? 9 : info.precision();
    }

    /** Leaves the wall clock time in {@code convert.seconds} and {@code convert.nanos}. */
    void timestamp(Cells cells, int row) throws BadValue {
        convert.timestamp(cells, row);
        checkTimestamp();
    }

    /** Leaves the instant in {@code convert.seconds}, {@code convert.nanos} and {@code convert.offset}. */
    void timestampTz(Cells cells, int row) throws BadValue {
        convert.timestampTz(cells, row);
        checkTimestamp();
    }

    private void checkTimestamp() throws BadValue {
        if (convert.infinite()) {
            checkDay(convert.seconds);
            return;
        }
        checkDay(Math.floorDiv(convert.seconds, 86_400L));
        Convert.checkFraction(convert.nanos, fraction());
        int lastDigit = convert.nanos / 1_000_000 % 10;
        if (sqlServerDatetime && lastDigit != 0 && lastDigit != 3 && lastDigit != 7) {
            throw new BadValue("a fraction of ." + convert.nanos / 1_000_000
                + " would be rounded: a datetime column counts in "
                + "1/300 of a second (use datetime2)");
        }
    }

    void uuid(Cells cells, int row) throws BadValue {
        convert.uuid(cells, row);
    }

    /** Leaves the bytes in {@code convert}. */
    void binary(Cells cells, int row) throws BadValue {
        convert.binary(cells, row);
        if (fixedBinary && convert.length < info.precision()) {
            throw new BadValue("a binary value of " + convert.length + " bytes would be padded to the column's "
                + info.precision());
        }
        if (info.precision() > 0 && convert.length > info.precision()) {
            throw new BadValue("a binary value of " + convert.length + " bytes is too long for the column's "
                + info.precision());
        }
    }

    /** The cell as text of a text column, in {@code convert}. */
    void text(Cells cells, int row) throws BadValue {
        convert.utf8(cells, row);
        convert.checkLength(info.precision(), limits.utf16);
        if (limits.emptyIsNull && convert.length == 0) {
            throw new BadValue("'' would become NULL, which is what this database makes of it:"
                + " replace it in the query");
        }
    }

    /** The cell, checked against the column's type whatever that is, as text in {@code convert}. */
    void anyText(Cells cells, int row, Cells scratch) throws BadValue {
        scratch.clear();
        switch (family) {
            case BOOLEAN:
                scratch.setBool(0, bool(cells, row));
                break;
            case INT16:
            case INT32:
            case INT64:
                scratch.setInt(0, integer(cells, row));
                break;
            case DECIMAL:
                decimal(cells, row);
                if (convert.decimal.isSpecial) {
                    scratch.setDouble(0, convert.decimal.special);
                } else if (convert.decimal.big != null) {
                    scratch.setDecimal(0, convert.decimal.big);
                } else {
                    scratch.setDecimal(0, convert.decimal.unscaled, convert.decimal.scale);
                }
                break;
            case FLOAT32:
                // MySQL reads digits as a double first: a float's own short text could round twice.
                scratch.setDouble(0, float32(cells, row));
                if (kind.equals("postgresql")) {
                    scratch.tag[0] = Cells.FLOAT;
                }
                break;
            case FLOAT64:
                scratch.setDouble(0, float64(cells, row));
                break;
            case DATE:
                scratch.setDate(0, date(cells, row));
                break;
            case TIME:
                if (mysqlTime && cells.tag[row] == Cells.TEXT) {
                    // Durations beyond a day are times there; the server checks them.
                    convert.utf8(cells, row);
                    return;
                }
                scratch.setTime(0, time(cells, row));
                break;
            case TIMETZ:
                long nanos = timeTz(cells, row);
                scratch.setTimeTz(0, nanos, convert.offset);
                break;
            case TIMESTAMP:
                timestamp(cells, row);
                scratch.setTimestamp(0, convert.seconds, convert.nanos);
                break;
            case TIMESTAMPTZ:
                timestampTz(cells, row);
                if (mysqlTime) {
                    // The session runs in UTC and takes no offset.
                    scratch.setTimestamp(0, convert.seconds, convert.nanos);
                } else {
                    scratch.setTimestampTz(0, convert.seconds, convert.nanos, convert.offset);
                }
                break;
            case UUID:
                uuid(cells, row);
                scratch.setUuid(0, convert.high, convert.low);
                break;
            case TEXT:
            case JSON:
            case XML:
                text(cells, row);
                return;
            default:
                convert.utf8(cells, row);
                return;
        }
        convert.utf8(scratch, 0);
    }
}
