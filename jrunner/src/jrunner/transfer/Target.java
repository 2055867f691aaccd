package jrunner.transfer;

import java.nio.charset.Charset;
import java.nio.charset.CharsetEncoder;
import jrunner.kinds.Kind;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Convert;
import jrunner.types.Family;
import jrunner.types.Intervals;
import jrunner.types.Temporals;

/**
 * A destination column and what it can hold. The methods bring a cell to the column's type and size, exactly or with a
 * {@link BadValue}; every path goes through them, so that all paths hold and refuse the same values.
 */
public final class Target {
    /** 1582-10-15. */
    private static final long GREGORIAN_DAY = -141_427;

    /** What else a timestamp must fulfil, for a kind that would change it. */
    public interface TimestampCheck {
        /** Looks at the seconds and nanoseconds that are left in {@code value}. */
        void check(Convert value) throws BadValue;
    }

    public final ColumnInfo info;
    public final Family family;
    /** Converts the cells; methods without a result leave it there. */
    public final Convert convert;
    /** The source is of the destination's kind. */
    public final boolean isSameKind;
    private final Limits limits;
    private final Intervals interval = new Intervals();
    private final long least;
    private final long most;
    private final boolean fixedBinary;
    private final int fractionDigits;
    private final TimestampCheck timestampCheck;
    private CharsetEncoder encoder;
    private String encodingName;

    Target(Kind kind, ColumnInfo info, Kind source, Convert convert) {
        this.info = info;
        this.family = info.family();
        this.convert = convert;
        this.isSameKind = kind == source;
        this.limits = kind.limits();
        long[] range = kind.integerRange(info);
        this.least = range[0];
        this.most = range[1];
        this.fixedBinary = family == Family.BINARY && info.precision() > 0 && kind.padsBinary(info);
        this.fractionDigits = kind.fractionDigits(info);
        this.timestampCheck = kind.timestampCheck(info);
    }

    public String name() {
        return info.name();
    }

    /** Lets texts hold only what a character set has, called {@code name} in messages. */
    public void encodeAs(Charset charset, String name) {
        encoder = charset.newEncoder();
        encodingName = name;
    }

    private void checkEncodable() throws BadValue {
        for (int i = convert.from; i < convert.from + convert.length; i++) {
            if (convert.bytes[i] < 0) {
                String text = convert.string();
                for (int at = 0; at < text.length(); at = text.offsetByCodePoints(at, 1)) {
                    String character = text.substring(at, text.offsetByCodePoints(at, 1));
                    if (!encoder.canEncode(character)) {
                        throw new BadValue("'" + character + "' is not in the column's " + encodingName
                            + ": it would be changed (use nvarchar)");
                    }
                }
                return;
            }
        }
    }

    public long integer(Cells cells, int row) throws BadValue {
        if (cells.tag[row] == Cells.INT) {
            long value = cells.a[row];
            if (value >= least && value <= most) {
                return value;
            }
        }
        return convert.integer(cells, row, least, most);
    }

    public boolean bool(Cells cells, int row) throws BadValue {
        return convert.bool(cells, row);
    }

    /** Leaves the number in {@code convert.decimal}. */
    public void decimal(Cells cells, int row) throws BadValue {
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

    public double float64(Cells cells, int row) throws BadValue {
        return checked(convert.float64(cells, row));
    }

    public float float32(Cells cells, int row) throws BadValue {
        return (float) checked(convert.float32(cells, row));
    }

    private double checked(double value) throws BadValue {
        if (!limits.floatSpecials && (Double.isNaN(value) || Double.isInfinite(value))) {
            throw new BadValue(value + " cannot be held by the destination's floating-point numbers");
        }
        checkZero(value);
        return value;
    }

    /** Refuses -0.0 where the database would make 0 of it. */
    public void checkZero(double value) throws BadValue {
        if (limits.noMinusZero && value == 0 && 1 / value < 0) {
            throw new BadValue("-0.0 would become 0, which is what this database makes of it: select x + 0 in the query");
        }
    }

    /** Days since 1970-01-01. */
    public long date(Cells cells, int row) throws BadValue {
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
    public long time(Cells cells, int row) throws BadValue {
        return checkTime(convert.time(cells, row));
    }

    /** Nanoseconds of the day; the offset is left in {@code convert.offset}. */
    public long timeTz(Cells cells, int row) throws BadValue {
        return checkTime(convert.timeTz(cells, row));
    }

    private long checkTime(long nanos) throws BadValue {
        if (nanos == Temporals.NANOS_PER_DAY && !limits.midnightAtEnd) {
            throw new BadValue("24:00:00 is no time that the destination can hold");
        }
        Convert.checkFraction(nanos, fractionDigits);
        return nanos;
    }

    /** Leaves the wall clock time in {@code convert.seconds} and {@code convert.nanos}. */
    public void timestamp(Cells cells, int row) throws BadValue {
        convert.timestamp(cells, row);
        checkTimestamp();
    }

    /** Leaves the instant in {@code convert.seconds}, {@code convert.nanos} and {@code convert.offset}. */
    public void timestampTz(Cells cells, int row) throws BadValue {
        convert.timestampTz(cells, row);
        checkTimestamp();
    }

    private void checkTimestamp() throws BadValue {
        if (convert.infinite()) {
            checkDay(convert.seconds);
            return;
        }
        checkDay(Math.floorDiv(convert.seconds, 86_400L));
        Convert.checkFraction(convert.nanos, fractionDigits);
        if (timestampCheck != null) {
            timestampCheck.check(convert);
        }
    }

    public void uuid(Cells cells, int row) throws BadValue {
        convert.uuid(cells, row);
    }

    /** Leaves the bytes in {@code convert}. */
    public void binary(Cells cells, int row) throws BadValue {
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
    public void text(Cells cells, int row) throws BadValue {
        convert.utf8(cells, row);
        convert.checkLength(info.precision(), limits.utf16);
        if (encoder != null) {
            checkEncodable();
        }
        if (limits.emptyIsNull && convert.length == 0) {
            throw new BadValue("'' would become NULL, which is what this database makes of it:"
                + " replace it in the query");
        }
    }

    /** The cell, checked against the column's type whatever that is, as text in {@code convert}. */
    public void anyText(Cells cells, int row, Cells scratch) throws BadValue {
        scratch.clear();
        if (limits.oddDates && isSameKind && family.isTemporal() && cells.tag[row] == Cells.TEXT) {
            convert.utf8(cells, row);
            return;
        }
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
                scratch.setDouble(0, float32(cells, row));
                if (limits.floatText) {
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
                if (limits.durations && cells.tag[row] == Cells.TEXT) {
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
                if (limits.noOffsets) {
                    scratch.setTimestamp(0, convert.seconds, convert.nanos);
                } else {
                    scratch.setTimestampTz(0, convert.seconds, convert.nanos, convert.offset);
                }
                break;
            case UUID:
                uuid(cells, row);
                scratch.setUuid(0, convert.high, convert.low);
                break;
            case INTERVAL:
                if (cells.tag[row] == Cells.TEXT && interval.parse(cells.textAt(row))) {
                    scratch.setText(0, interval.of(info.typeName()));
                    break;
                }
                convert.utf8(cells, row);
                return;
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
