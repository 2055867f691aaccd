package jrunner.types;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * One column of a block of rows, without an object per cell.
 *
 * <p>Every cell carries a tag that says what it holds, because a column need not be of one kind (SQLite types each
 * cell). What the tag means for the three number lanes:
 *
 * <table>
 * <caption>Lanes by tag</caption>
 * <tr><td>{@link #NULL}</td><td>nothing</td></tr>
 * <tr><td>{@link #BOOL}, {@link #INT}</td><td>a: the number (0 or 1 for a boolean)</td></tr>
 * <tr><td>{@link #DOUBLE}, {@link #FLOAT}</td><td>a: raw bits of the value as a double</td></tr>
 * <tr><td>{@link #DECIMAL}</td><td>a: unscaled value, c: scale</td></tr>
 * <tr><td>{@link #BIG}</td><td>object: a BigDecimal</td></tr>
 * <tr><td>{@link #TEXT}, {@link #BINARY}</td><td>a: start in {@link #data}, c: length in bytes; text is UTF-8</td></tr>
 * <tr><td>{@link #DATE}</td><td>a: days since 1970-01-01</td></tr>
 * <tr><td>{@link #TIME}, {@link #TIMETZ}</td><td>a: nanoseconds of the day, c: offset in seconds east</td></tr>
 * <tr><td>{@link #TIMESTAMP}</td><td>a: seconds since 1970-01-01 00:00 of the same wall clock, b: nanoseconds</td></tr>
 * <tr><td>{@link #TIMESTAMPTZ}</td><td>a: seconds since the epoch, b: nanoseconds, c: offset as written</td></tr>
 * <tr><td>{@link #UUID}</td><td>a, b: high and low half</td></tr>
 * </table>
 *
 * <p>A date or timestamp of {@code a = Long.MAX_VALUE} or {@code Long.MIN_VALUE} is PostgreSQL's plus or minus
 * infinity.
 */
public final class Cells {
    public static final byte NULL = 0;
    public static final byte BOOL = 1;
    public static final byte INT = 2;
    public static final byte DOUBLE = 3;
    public static final byte FLOAT = 4;
    public static final byte DECIMAL = 5;
    public static final byte BIG = 6;
    public static final byte TEXT = 7;
    public static final byte BINARY = 8;
    public static final byte DATE = 9;
    public static final byte TIME = 10;
    public static final byte TIMETZ = 11;
    public static final byte TIMESTAMP = 12;
    public static final byte TIMESTAMPTZ = 13;
    public static final byte UUID = 14;

    private static final String[] NAMES = {
        "NULL", "boolean", "integer", "floating-point number", "floating-point number", "decimal", "decimal", "text",
            "binary",
        "date", "time", "time with time zone", "timestamp", "timestamp with time zone", "UUID"
    };

    /** A data buffer that grew past this for one huge value is given back to the collector when the block is reused. */
    private static final int KEEP_BYTES = 1 << 20;

    public final byte[] tag;
    public final long[] a;
    public final long[] b;
    public final int[] c;
    public byte[] data = new byte[256];
    public int dataLength;
    private final Object[] objects;

    public Cells(int rows) {
        tag = new byte[rows];
        a = new long[rows];
        b = new long[rows];
        c = new int[rows];
        objects = new Object[rows];
    }

    /** What a tag is called in messages. */
    public static String nameOf(byte tag) {
        return NAMES[tag];
    }

    /** Makes the column ready for the next block. */
    public void clear() {
        dataLength = 0;
        if (data.length > KEEP_BYTES) {
            data = new byte[KEEP_BYTES / 4];
        }
    }

    public boolean isNull(int row) {
        return tag[row] == NULL;
    }

    public void setNull(int row) {
        tag[row] = NULL;
    }

    public void setBool(int row, boolean value) {
        tag[row] = BOOL;
        a[row] = value ? 1 : 0;
    }

    public void setInt(int row, long value) {
        tag[row] = INT;
        a[row] = value;
    }

    public void setDouble(int row, double value) {
        tag[row] = DOUBLE;
        a[row] = Double.doubleToRawLongBits(value);
    }

    public void setFloat(int row, float value) {
        tag[row] = FLOAT;
        a[row] = Double.doubleToRawLongBits(value);
    }

    public double doubleAt(int row) {
        return Double.longBitsToDouble(a[row]);
    }

    public void setDecimal(int row, long unscaled, int scale) {
        tag[row] = DECIMAL;
        a[row] = unscaled;
        c[row] = scale;
    }

    public void setDecimal(int row, BigDecimal value) {
        BigInteger unscaled = value.unscaledValue();
        if (unscaled.bitLength() < 64) {
            setDecimal(row, unscaled.longValue(), value.scale());
        } else {
            tag[row] = BIG;
            objects[row] = value;
        }
    }

    public BigDecimal bigAt(int row) {
        return (BigDecimal) objects[row];
    }

    public void setDate(int row, long epochDay) {
        tag[row] = DATE;
        a[row] = epochDay;
    }

    public void setTime(int row, long nanosOfDay) {
        tag[row] = TIME;
        a[row] = nanosOfDay;
    }

    public void setTimeTz(int row, long nanosOfDay, int offsetSeconds) {
        tag[row] = TIMETZ;
        a[row] = nanosOfDay;
        c[row] = offsetSeconds;
    }

    public void setTimestamp(int row, long seconds, int nanos) {
        tag[row] = TIMESTAMP;
        a[row] = seconds;
        b[row] = nanos;
    }

    public void setTimestampTz(int row, long epochSeconds, int nanos, int offsetSeconds) {
        tag[row] = TIMESTAMPTZ;
        a[row] = epochSeconds;
        b[row] = nanos;
        c[row] = offsetSeconds;
    }

    public void setUuid(int row, long high, long low) {
        tag[row] = UUID;
        a[row] = high;
        b[row] = low;
    }

    public void setBinary(int row, byte[] value) {
        append(row, BINARY, value, 0, value.length);
    }

    /** Text that is UTF-8 already. The bytes are not checked here; the writers that need it check them. */
    public void setText(int row, byte[] utf8, int from, int length) {
        append(row, TEXT, utf8, from, length);
    }

    /** A range of bytes under {@code asTag}, {@link #TEXT} or {@link #BINARY}. */
    public void append(int row, byte asTag, byte[] bytes, int from, int length) {
        reserve(length);
        System.arraycopy(bytes, from, data, dataLength, length);
        tag[row] = asTag;
        a[row] = dataLength;
        c[row] = length;
        dataLength += length;
    }

    /**
     * @throws BadValue if the string holds half a surrogate pair, which no database text can hold
     */
    public void setText(int row, String value) throws BadValue {
        int chars = value.length();
        reserve(chars);
        int at = dataLength;
        int i = 0;
        byte[] out = data;
        for (; i < chars; i++) {
            char ch = value.charAt(i);
            if (ch >= 0x80) {
                break;
            }
            out[at++] = (byte) ch;
        }
        if (i < chars) {
            at = encodeRest(value, i, at);
        }
        tag[row] = TEXT;
        a[row] = dataLength;
        c[row] = at - dataLength;
        dataLength = at;
    }

    private int encodeRest(String value, int from, int position) throws BadValue {
        int at = position;
        int chars = value.length();
        // Three bytes a char are the most there can be: a surrogate pair is two chars and four bytes.
        ensure(at + 3L * (chars - from));
        byte[] out = data;
        for (int i = from; i < chars; i++) {
            char ch = value.charAt(i);
            if (ch < 0x80) {
                out[at++] = (byte) ch;
            } else if (ch < 0x800) {
                out[at++] = (byte) (0xC0 | ch >> 6);
                out[at++] = (byte) (0x80 | ch & 0x3F);
            } else if (!Character.isSurrogate(ch)) {
                out[at++] = (byte) (0xE0 | ch >> 12);
                out[at++] = (byte) (0x80 | ch >> 6 & 0x3F);
                out[at++] = (byte) (0x80 | ch & 0x3F);
            } else {
                if (!Character.isHighSurrogate(ch) || i + 1 == chars
                        || !Character.isLowSurrogate(value.charAt(i + 1))) {
                    throw new BadValue("text with half a surrogate pair (U+" + Integer.toHexString(ch).toUpperCase()
                        + ") at character " + (i + 1) + " is not Unicode text");
                }
                int code = Character.toCodePoint(ch, value.charAt(++i));
                out[at++] = (byte) (0xF0 | code >> 18);
                out[at++] = (byte) (0x80 | code >> 12 & 0x3F);
                out[at++] = (byte) (0x80 | code >> 6 & 0x3F);
                out[at++] = (byte) (0x80 | code & 0x3F);
            }
        }
        return at;
    }

    /** The text of a {@link #TEXT} cell. */
    public String textAt(int row) {
        return new String(data, (int) a[row], c[row], StandardCharsets.UTF_8);
    }

    /** A copy of the bytes of a {@link #TEXT} or {@link #BINARY} cell. */
    public byte[] bytesAt(int row) {
        int from = (int) a[row];
        return Arrays.copyOfRange(data, from, from + c[row]);
    }

    /** Takes trailing spaces off a text cell. */
    public void trimRight(int row) {
        if (tag[row] != TEXT) {
            return;
        }
        int from = (int) a[row];
        int end = from + c[row];
        while (end > from && data[end - 1] == ' ') {
            end--;
        }
        c[row] = end - from;
    }

    private void reserve(int bytes) {
        ensure((long) dataLength + bytes);
    }

    private void ensure(long size) {
        if (size <= data.length) {
            return;
        }
        if (size > Integer.MAX_VALUE - 16) {
            throw new IllegalStateException("a block of one column passes 2 GiB");
        }
        // Doubling keeps appends cheap; a huge value gets only what it needs, to keep the peak low.
        long grown = size > 8 * KEEP_BYTES ? size : Math.max(size, 2L * data.length);
        data = Arrays.copyOf(data, (int) grown);
    }
}
