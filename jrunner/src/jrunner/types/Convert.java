package jrunner.types;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * Turns a cell of any tag into what a destination column holds, exactly or not at all.
 *
 * <p>Every method throws {@link BadValue} for a value that would lose anything: a digit, a fraction of a second, a
 * character. Results that are more than one number are left in the public fields. An instance belongs to one thread.
 */
public final class Convert {
    private static final double TWO_63 = 0x1p63;

    public final Decimals decimal = new Decimals();
    public final Temporals temporal = new Temporals();
    /** Seconds of the timestamp converted last: of the wall clock or of the epoch, by the method called. */
    public long seconds;
    public int nanos;
    public int offset;
    public long high;
    public long low;
    /** The bytes converted last, from {@link #from}, {@link #length} of them. */
    public byte[] bytes;
    public int from;
    public int length;
    private final Utf8 scratch = new Utf8(64);

    private static BadValue cannot(Cells cells, int row, String what) {
        return new BadValue("a " + Cells.nameOf(cells.tag[row]) + " value cannot become " + what);
    }

    /** An integer between {@code least} and {@code most}. */
    public long integer(Cells cells, int row, long least, long most) throws BadValue {
        long value;
        switch (cells.tag[row]) {
            case Cells.BOOL:
            case Cells.INT:
                value = cells.a[row];
                break;
            case Cells.DOUBLE:
            case Cells.FLOAT:
                double d = cells.doubleAt(row);
                if (d != Math.rint(d) || d < -TWO_63 || d >= TWO_63) {
                    throw new BadValue(print(d) + " is not an integer that fits");
                }
                value = (long) d;
                break;
            case Cells.DECIMAL:
            case Cells.BIG:
            case Cells.TEXT:
                value = wholeDecimal(cells, row);
                break;
            default:
                throw cannot(cells, row, "an integer");
        }
        if (value < least || value > most) {
            throw new BadValue(value + " is out of the range " + least + " to " + most);
        }
        return value;
    }

    private long wholeDecimal(Cells cells, int row) throws BadValue {
        decimal(cells, row);
        if (!decimal.isSpecial) {
            if (decimal.big == null && decimal.scale == 0) {
                return decimal.unscaled;
            }
            BigDecimal exact = decimal.bigDecimal();
            if (exact.signum() == 0) {
                return 0;
            }
            if (exact.precision() - exact.scale() <= 19) {
                try {
                    return exact.longValueExact();
                } catch (ArithmeticException e) {
                    // Reported below.
                }
            }
        }
        throw new BadValue(decimal + " is not an integer that fits");
    }

    public boolean bool(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.BOOL:
                return cells.a[row] != 0;
            case Cells.INT:
                if (cells.a[row] == 0 || cells.a[row] == 1) {
                    return cells.a[row] == 1;
                }
                throw new BadValue(cells.a[row] + " is neither 0 nor 1, so it is not a boolean");
            case Cells.TEXT:
                String word = cells.textAt(row).trim().toLowerCase(java.util.Locale.ROOT);
                switch (word) {
                    case "t": case "true": case "y": case "yes": case "on": case "1":
                        return true;
                    case "f": case "false": case "n": case "no": case "off": case "0":
                        return false;
                    default:
                        throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a boolean");
                }
            case Cells.DOUBLE:
            case Cells.FLOAT:
            case Cells.DECIMAL:
            case Cells.BIG:
                return integer(cells, row, 0, 1) == 1;
            default:
                throw cannot(cells, row, "a boolean");
        }
    }

    public double float64(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.DOUBLE:
            case Cells.FLOAT:
                return cells.doubleAt(row);
            case Cells.BOOL:
            case Cells.INT:
                double d = cells.a[row];
                if (d >= TWO_63 || (long) d != cells.a[row]) {
                    throw new BadValue(cells.a[row] + " has more digits than a double-precision number holds");
                }
                return d;
            case Cells.DECIMAL:
            case Cells.BIG:
            case Cells.TEXT:
                decimal(cells, row);
                return nearest();
            default:
                throw cannot(cells, row, "a number");
        }
    }

    /** The double whose shortest decimal form is the present decimal. */
    private double nearest() throws BadValue {
        if (decimal.isSpecial) {
            return decimal.special;
        }
        if (decimal.big == null && Math.abs(decimal.unscaled) < 1_000_000_000_000_000L && decimal.scale >= 0 && decimal.scale <= 18) {
            // Fifteen digits survive any double, and one division of exact doubles is rounded correctly.
            return decimal.unscaled / (double) Decimals.POWERS[decimal.scale];
        }
        BigDecimal exact = decimal.bigDecimal();
        double d = exact.doubleValue();
        if (Double.isInfinite(d) || new BigDecimal(Double.toString(d)).compareTo(exact) != 0 && new BigDecimal(d).compareTo(exact) != 0) {
            throw new BadValue(decimal + " has more digits than a double-precision number holds");
        }
        return d;
    }

    public float float32(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.FLOAT:
                return (float) cells.doubleAt(row);
            case Cells.DOUBLE: {
                double d = cells.doubleAt(row);
                float f = (float) d;
                if (f == d || Double.isNaN(d)) {
                    return f;
                }
                // 0.1 as a double is not 0.1 as a float, but both are what people write as 0.1.
                if (!Float.isInfinite(f) && Double.toString(d).equals(Float.toString(f))) {
                    return f;
                }
                throw new BadValue(print(d) + " has more digits than a single-precision number holds");
            }
            case Cells.BOOL:
            case Cells.INT: {
                float f = cells.a[row];
                if (f >= TWO_63 || (long) f != cells.a[row]) {
                    throw new BadValue(cells.a[row] + " has more digits than a single-precision number holds");
                }
                return f;
            }
            case Cells.DECIMAL:
            case Cells.BIG:
            case Cells.TEXT: {
                decimal(cells, row);
                if (decimal.isSpecial) {
                    return (float) decimal.special;
                }
                BigDecimal exact = decimal.bigDecimal();
                float f = exact.floatValue();
                if (Float.isInfinite(f) || new BigDecimal(Float.toString(f)).compareTo(exact) != 0 && new BigDecimal(f).compareTo(exact) != 0) {
                    throw new BadValue(decimal + " has more digits than a single-precision number holds");
                }
                return f;
            }
            default:
                throw cannot(cells, row, "a number");
        }
    }

    /** Leaves the cell's number in {@link #decimal}, unlimited. */
    public void decimal(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.BOOL:
            case Cells.INT:
                decimal.set(cells.a[row], 0);
                return;
            case Cells.DECIMAL:
                decimal.set(cells.a[row], cells.c[row]);
                return;
            case Cells.BIG:
                decimal.set(cells.bigAt(row));
                return;
            case Cells.DOUBLE:
                decimal.set(cells.doubleAt(row));
                return;
            case Cells.FLOAT:
                decimal.setFloat((float) cells.doubleAt(row));
                return;
            case Cells.TEXT:
                if (!decimal.parse(cells.data, (int) cells.a[row], cells.c[row])) {
                    throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a number");
                }
                return;
            default:
                throw cannot(cells, row, "a number");
        }
    }

    /** Days since 1970-01-01, or an infinity. */
    public long date(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.DATE:
                return cells.a[row];
            case Cells.TIMESTAMP:
            case Cells.TIMESTAMPTZ:
            case Cells.TEXT:
                timestamp(cells, row);
                if (infinite()) {
                    return seconds;
                }
                if (nanos != 0 || Math.floorMod(seconds, 86_400L) != 0) {
                    throw new BadValue(text(cells, row) + " has a time of day, which a date column cannot hold");
                }
                return Math.floorDiv(seconds, 86_400L);
            default:
                throw notTemporal(cells, row, "a date");
        }
    }

    private BadValue notTemporal(Cells cells, int row, String what) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.INT:
            case Cells.DOUBLE:
            case Cells.FLOAT:
            case Cells.DECIMAL:
                return new BadValue("the number " + text(cells, row) + " is not " + what
                    + ": convert it in the query, e.g. datetime(x, 'unixepoch') in SQLite");
            default:
                return cannot(cells, row, what);
        }
    }

    /** True if the timestamp converted last is an infinity. */
    public boolean infinite() {
        return seconds == Temporals.INFINITY || seconds == Temporals.MINUS_INFINITY;
    }

    /** A time of day in nanoseconds, up to and including 24:00:00. */
    public long time(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.TIME:
                return cells.a[row];
            case Cells.TIMETZ:
                if (cells.c[row] != 0) {
                    throw new BadValue(text(cells, row) + " has an offset from UTC, which a column without time zone cannot hold");
                }
                return cells.a[row];
            case Cells.TEXT:
                if (parse(cells, row) && temporal.hasTime && !temporal.hasDate && temporal.offset == 0) {
                    return temporal.nanoOfDay;
                }
                throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a time of day");
            default:
                throw notTemporal(cells, row, "a time of day");
        }
    }

    /** A time of day with {@link #offset}. */
    public long timeTz(Cells cells, int row) throws BadValue {
        offset = 0;
        if (cells.tag[row] == Cells.TIMETZ) {
            offset = cells.c[row];
            return cells.a[row];
        }
        if (cells.tag[row] == Cells.TEXT && parse(cells, row) && temporal.hasTime && !temporal.hasDate) {
            offset = temporal.offset;
            return temporal.nanoOfDay;
        }
        return time(cells, row);
    }

    private boolean parse(Cells cells, int row) {
        return temporal.parse(cells.data, (int) cells.a[row], cells.c[row]);
    }

    /**
     * A wall clock time in {@link #seconds} and {@link #nanos}. A value with an offset becomes the time that clocks in
     * UTC show at that instant.
     */
    public void timestamp(Cells cells, int row) throws BadValue {
        offset = 0;
        switch (cells.tag[row]) {
            case Cells.TIMESTAMP:
            case Cells.TIMESTAMPTZ:
                seconds = cells.a[row];
                nanos = (int) cells.b[row];
                return;
            case Cells.DATE:
                long day = cells.a[row];
                seconds = day == Temporals.INFINITY || day == Temporals.MINUS_INFINITY ? day : day * 86_400L;
                nanos = 0;
                return;
            case Cells.TEXT:
                if (!parse(cells, row) || !temporal.hasDate) {
                    throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a date or timestamp");
                }
                seconds = temporal.epochSecond();
                nanos = temporal.nanoOfSecond();
                offset = temporal.offset;
                return;
            default:
                throw notTemporal(cells, row, "a timestamp");
        }
    }

    /** An instant in {@link #seconds} and {@link #nanos}, with the {@link #offset} it was written with; UTC if none was. */
    public void timestampTz(Cells cells, int row) throws BadValue {
        timestamp(cells, row);
        if (cells.tag[row] == Cells.TIMESTAMPTZ) {
            offset = cells.c[row];
        }
    }

    /** Refuses a fraction of a second that {@code digits} places do not hold. */
    public static void checkFraction(long nanoseconds, int digits) throws BadValue {
        if (digits < 9 && nanoseconds % Decimals.POWERS[9 - digits] != 0) {
            Utf8 shown = new Utf8(16);
            shown.digits(nanoseconds % 1_000_000_000L, 9);
            throw new BadValue("the fraction of a second ." + shown + " has more than the " + digits + " digits that the column holds");
        }
    }

    /** A UUID in {@link #high} and {@link #low}. */
    public void uuid(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.UUID:
                high = cells.a[row];
                low = cells.b[row];
                return;
            case Cells.BINARY:
                if (cells.c[row] != 16) {
                    throw new BadValue("a binary value of " + cells.c[row] + " bytes is not a UUID");
                }
                high = int64(cells.data, (int) cells.a[row]);
                low = int64(cells.data, (int) cells.a[row] + 8);
                return;
            case Cells.TEXT:
                if (!parseUuid(cells.data, (int) cells.a[row], cells.c[row])) {
                    throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a UUID");
                }
                return;
            default:
                throw cannot(cells, row, "a UUID");
        }
    }

    private boolean parseUuid(byte[] text, int start, int count) {
        int end = start + count;
        int at = start;
        while (end > at && text[end - 1] == ' ') {
            end--;
        }
        if (end - at == 38 && text[at] == '{' && text[end - 1] == '}') {
            at++;
            end--;
        }
        high = 0;
        low = 0;
        int digits = 0;
        for (; at < end; at++) {
            int digit = Character.digit(text[at], 16);
            if (digit < 0) {
                if (text[at] == '-' && (digits == 8 || digits == 12 || digits == 16 || digits == 20)) {
                    continue;
                }
                return false;
            }
            if (digits < 16) {
                high = high << 4 | digit;
            } else {
                low = low << 4 | digit;
            }
            digits++;
        }
        return digits == 32;
    }

    static long int64(byte[] from, int at) {
        long value = 0;
        for (int i = 0; i < 8; i++) {
            value = value << 8 | from[at + i] & 0xFF;
        }
        return value;
    }

    /** Binary content in {@link #bytes}, {@link #from} and {@link #length}. */
    public void binary(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.BINARY:
                bytes = cells.data;
                from = (int) cells.a[row];
                length = cells.c[row];
                return;
            case Cells.UUID:
                scratch.clear();
                scratch.int64(cells.a[row]);
                scratch.int64(cells.b[row]);
                fromScratch();
                return;
            case Cells.TEXT:
                throw new BadValue("text cannot become binary: encode it in the query");
            default:
                throw cannot(cells, row, "binary");
        }
    }

    private void fromScratch() {
        bytes = scratch.bytes;
        from = 0;
        length = scratch.length;
    }

    /** The cell as UTF-8 text in {@link #bytes}, {@link #from} and {@link #length}: what the database itself would print. */
    public void utf8(Cells cells, int row) throws BadValue {
        if (cells.tag[row] == Cells.TEXT) {
            bytes = cells.data;
            from = (int) cells.a[row];
            length = cells.c[row];
            return;
        }
        scratch.clear();
        switch (cells.tag[row]) {
            case Cells.BOOL:
                scratch.ascii(cells.a[row] != 0 ? "true" : "false");
                break;
            case Cells.INT:
                scratch.integer(cells.a[row]);
                break;
            case Cells.DOUBLE:
                scratch.ascii(print(cells.doubleAt(row)));
                break;
            case Cells.FLOAT:
                scratch.ascii(print((float) cells.doubleAt(row)));
                break;
            case Cells.DECIMAL:
            case Cells.BIG:
                decimal(cells, row);
                decimal.print(scratch);
                break;
            case Cells.DATE:
                temporal.printDate(scratch, cells.a[row]);
                break;
            case Cells.TIME:
                Temporals.printTime(scratch, cells.a[row]);
                break;
            case Cells.TIMETZ:
                Temporals.printTime(scratch, cells.a[row]);
                Temporals.printOffset(scratch, cells.c[row]);
                break;
            case Cells.TIMESTAMP:
                temporal.printTimestamp(scratch, cells.a[row], (int) cells.b[row]);
                break;
            case Cells.TIMESTAMPTZ:
                temporal.printTimestampTz(scratch, cells.a[row], (int) cells.b[row], cells.c[row]);
                break;
            case Cells.UUID:
                scratch.uuid(cells.a[row], cells.b[row]);
                break;
            case Cells.BINARY:
                throw new BadValue("binary cannot become text: encode it in the query, e.g. hex(x)");
            default:
                throw cannot(cells, row, "text");
        }
        fromScratch();
    }

    /** As {@link #utf8}, as a string. */
    public String text(Cells cells, int row) throws BadValue {
        utf8(cells, row);
        return string();
    }

    /**
     * The bytes converted last as a string.
     *
     * @throws BadValue if they are no UTF-8, which SQLite stores without a word
     */
    public String string() throws BadValue {
        String value = new String(bytes, from, length, StandardCharsets.UTF_8);
        // Decoding puts U+FFFD for what it cannot read; only then is a closer look needed.
        if (value.indexOf('\uFFFD') >= 0) {
            try {
                StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes, from, length));
            } catch (CharacterCodingException e) {
                throw new BadValue("the text " + BadValue.show(value) + " is not valid UTF-8");
            }
        }
        return value;
    }

    /**
     * Refuses text of more than {@code most} characters; 0 allows any length.
     *
     * @param utf16 the database counts UTF-16 units, of which a character beyond the BMP has two
     */
    public void checkLength(int most, boolean utf16) throws BadValue {
        if (most <= 0 || length <= most) {
            return;
        }
        int characters = 0;
        for (int i = from; i < from + length; i++) {
            // Every byte but the continuations 10xxxxxx starts a character; 11110xxx starts one beyond the BMP.
            if ((bytes[i] & 0xC0) != 0x80) {
                characters += utf16 && (bytes[i] & 0xF8) == 0xF0 ? 2 : 1;
            }
        }
        if (characters > most) {
            throw new BadValue("text of " + characters + (utf16 ? " UTF-16 units is" : " characters is")
                + " too long for the column's " + most);
        }
    }

    /** The shortest text of a double that reads back as the same: {@code 100}, {@code 0.1}, {@code 1e+20}, {@code NaN}. */
    public static String print(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return Double.toString(value);
        }
        return shorten(Double.toString(value));
    }

    /** As {@link #print(double)} with the digits of a float. */
    public static String print(float value) {
        if (Float.isNaN(value) || Float.isInfinite(value)) {
            return Float.toString(value);
        }
        return shorten(Float.toString(value));
    }

    private static String shorten(String java) {
        int e = java.indexOf('E');
        if (e < 0) {
            return java.endsWith(".0") ? java.substring(0, java.length() - 2) : java;
        }
        int exponent = Integer.parseInt(java.substring(e + 1));
        if (exponent >= -5 && exponent < 15) {
            BigDecimal plain = new BigDecimal(java);
            String text = plain.toPlainString();
            return text.contains(".") ? plain.stripTrailingZeros().toPlainString() : text;
        }
        String digits = java.substring(0, e);
        if (digits.endsWith(".0")) {
            digits = digits.substring(0, digits.length() - 2);
        }
        String power = Integer.toString(Math.abs(exponent));
        return digits + (exponent < 0 ? "e-" : "e+") + (power.length() < 2 ? "0" + power : power);
    }

    /** {@code value} as an unsigned 64-bit number. */
    public static BigDecimal unsigned(long value) {
        return new BigDecimal(new BigInteger(Long.toUnsignedString(value)));
    }
}
