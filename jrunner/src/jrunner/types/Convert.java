package jrunner.types;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * Turns a cell of any tag into what a destination column holds, exactly or not at all.
 *
 * <p>Every method throws {@link BadValue} for a value that would lose anything: a digit, a fraction of a second, a
 * character. Results that are more than one number are left in the public fields. An instance belongs to one thread.
 */
public final class Convert extends Numbers {
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
                    throw new BadValue(text(cells, row)
                        + " has an offset from UTC, which a column without time zone cannot hold");
                }
                return cells.a[row];
            case Cells.TEXT:
                if (parse(cells, row) && temporal.hasTime && !temporal.hasDate && temporal.offset == 0) {
                    return temporal.nanoOfDay;
                }
                throw new BadValue(BadValue.show(cells.textAt(row))
                    + " is not a time of day: convert it in the query, or give the column a dest_type for text");
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
                    String shown = cells.textAt(row);
                    boolean zero = shown.startsWith("0000-") || shown.contains("-00");
                    throw new BadValue(BadValue.show(shown) + " is not a date or timestamp"
                        + (zero ? " (a zero date: turn it into NULL in the query, e.g. NULLIF(x, 0))"
                            : ": convert it in the query, or give the column a dest_type for text"));
                }
                seconds = temporal.epochSecond();
                nanos = temporal.nanoOfSecond();
                offset = temporal.offset;
                return;
            default:
                throw notTemporal(cells, row, "a timestamp");
        }
    }

    /**
     * An instant in {@link #seconds} and {@link #nanos}, with the {@link #offset} it was written with; UTC if none was.
     */
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
            throw new BadValue("the fraction of a second ." + shown + " has more than the " + digits
                + " digits that the column holds");
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

    /**
     * The cell as UTF-8 text in {@link #bytes}, {@link #from} and {@link #length}: what the database itself would
     * print.
     */
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
                scratch.ascii(FloatText.of(cells.doubleAt(row)));
                break;
            case Cells.FLOAT:
                scratch.ascii(FloatText.of((float) cells.doubleAt(row)));
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
}
