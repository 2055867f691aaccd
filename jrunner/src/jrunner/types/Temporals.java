package jrunner.types;

/**
 * Dates and times as numbers, and as the ISO text that every database reads: parsing and printing without an object per
 * value and without any time zone of the JVM. The calendar is the proleptic Gregorian one throughout.
 *
 * <p>An instance holds the value parsed last; it is not shared between threads.
 */
public final class Temporals {
    public static final long INFINITY = Long.MAX_VALUE;
    public static final long MINUS_INFINITY = Long.MIN_VALUE;
    public static final long NANOS_PER_DAY = 86_400_000_000_000L;
    private static final int SECONDS_PER_DAY = 86_400;

    /** Days since 1970-01-01, or one of the infinities. */
    public long day;
    /** Nanoseconds since midnight, up to and including {@link #NANOS_PER_DAY} (24:00:00). */
    public long nanoOfDay;
    public boolean hasDate;
    public boolean hasTime;
    public boolean hasOffset;
    /** Seconds east of Greenwich. */
    public int offset;

    private byte[] text;
    private int at;
    private int end;

    /** Days from 1970-01-01 to a date; {@code year} 0 is 1 BC. The date must exist. */
    public static long epochDay(long year, int month, int dayOfMonth) {
        // March-based years make the leap day the last day of the year, so that month lengths need no table.
        long y = month <= 2 ? year - 1 : year;
        long era = Math.floorDiv(y, 400);
        long yearOfEra = y - era * 400;
        long dayOfYear = (153L * (month + (month > 2 ? -3 : 9)) + 2) / 5 + dayOfMonth - 1;
        long dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
        return era * 146_097 + dayOfEra - 719_468;
    }

    private static int daysInMonth(long year, int month) {
        if (month == 2) {
            return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
        }
        return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
    }

    /** Seconds since 1970-01-01 00:00 of the value parsed last, taken as UTC unless an offset stood there. */
    public long epochSecond() {
        if (day == INFINITY || day == MINUS_INFINITY) {
            return day;
        }
        return day * SECONDS_PER_DAY + nanoOfDay / 1_000_000_000L - (hasOffset ? offset : 0);
    }

    public int nanoOfSecond() {
        return (int) (nanoOfDay % 1_000_000_000L);
    }

    /**
     * Reads a date, a time, or both: {@code 2024-02-29}, {@code 12:34:56.789}, {@code 2024-02-29 12:34:56.789+02},
     * {@code T} for the blank, {@code Z}, {@code BC}, {@code infinity}.
     *
     * @return false if the bytes are nothing of the kind, or name a day or time that does not exist
     */
    public boolean parse(byte[] bytes, int from, int length) {
        text = bytes;
        at = from;
        end = from + length;
        while (end > at && text[end - 1] == ' ') {
            end--;
        }
        while (at < end && text[at] == ' ') {
            at++;
        }
        day = 0;
        nanoOfDay = 0;
        hasDate = false;
        hasTime = false;
        hasOffset = false;
        offset = 0;
        if (at == end) {
            return false;
        }
        if (word("infinity")) {
            hasDate = true;
            day = INFINITY;
            return true;
        }
        if (word("-infinity")) {
            hasDate = true;
            day = MINUS_INFINITY;
            return true;
        }
        // The third character tells a time (12:34) from a date (2024-).
        if (end - at >= 3 && text[at + 2] == ':' || end - at >= 2 && text[at + 1] == ':') {
            return time() && offset() && at == end;
        }
        if (!date()) {
            return false;
        }
        if (at < end && (text[at] == ' ' || text[at] == 'T' || text[at] == 't')) {
            if (!(end - at == 3 && text[at + 1] == 'B')) {
                at++;
                if (!time() || !offset()) {
                    return false;
                }
            }
        }
        if (end - at == 3 && text[at] == ' ' && text[at + 1] == 'B' && text[at + 2] == 'C') {
            at = end;
            day = beforeChrist();
        }
        return at == end;
    }

    private long year;
    private int month;
    private int dayOfMonth;

    private long beforeChrist() {
        return epochDay(1 - year, month, Math.min(dayOfMonth, 31));
    }

    private boolean word(String expected) {
        if (end - at != expected.length()) {
            return false;
        }
        for (int i = 0; i < expected.length(); i++) {
            if ((text[at + i] | 0x20) != (expected.charAt(i) | 0x20)) {
                return false;
            }
        }
        return true;
    }

    /** Reads up to {@code most} digits; -1 if there are fewer than {@code least}. */
    private long digits(int least, int most) {
        long value = 0;
        int n = 0;
        while (at < end && n < most && text[at] >= '0' && text[at] <= '9') {
            value = value * 10 + (text[at++] - '0');
            n++;
        }
        return n < least ? -1 : value;
    }

    private boolean next(char expected) {
        if (at < end && text[at] == expected) {
            at++;
            return true;
        }
        return false;
    }

    private boolean date() {
        boolean negative = next('-');
        if (!negative) {
            next('+');
        }
        year = digits(4, 9);
        if (year < 0 || !next('-')) {
            return false;
        }
        if (negative) {
            year = -year;
        }
        month = (int) digits(2, 2);
        if (month < 1 || month > 12 || !next('-')) {
            return false;
        }
        dayOfMonth = (int) digits(2, 2);
        // 29 February of a BC year is checked by its astronomical year, which only the suffix tells.
        boolean bc = end - at >= 3 && text[end - 1] == 'C' && text[end - 2] == 'B';
        if (dayOfMonth < 1 || dayOfMonth > daysInMonth(bc ? 1 - year : year, month) || bc && year < 1) {
            return false;
        }
        day = epochDay(year, month, dayOfMonth);
        hasDate = true;
        return true;
    }

    private boolean time() {
        long hour = digits(1, 2);
        if (hour < 0 || hour > 24 || !next(':')) {
            return false;
        }
        long minute = digits(2, 2);
        if (minute < 0 || minute > 59) {
            return false;
        }
        long second = 0;
        long nanos = 0;
        if (next(':')) {
            second = digits(2, 2);
            if (second < 0 || second > 59) {
                return false;
            }
            if (next('.') || next(',')) {
                int from = at;
                nanos = digits(1, 9);
                if (nanos < 0) {
                    return false;
                }
                for (int n = at - from; n < 9; n++) {
                    nanos *= 10;
                }
                while (at < end && text[at] == '0') {
                    at++;
                }
            }
        }
        nanoOfDay = (hour * 3600 + minute * 60 + second) * 1_000_000_000L + nanos;
        hasTime = true;
        return nanoOfDay <= NANOS_PER_DAY;
    }

    private boolean offset() {
        int before = at;
        while (at < end && text[at] == ' ') {
            at++;
        }
        if (at == end) {
            return true;
        }
        if (next('Z') || next('z')) {
            hasOffset = true;
            return true;
        }
        int sign = next('+') ? 1 : next('-') ? -1 : 0;
        if (sign == 0) {
            at = before;
            return true;
        }
        long hours = digits(1, 2);
        long minutes = 0;
        long seconds = 0;
        if (hours < 0 || hours > 18) {
            return false;
        }
        if (next(':') || at < end && text[at] >= '0' && text[at] <= '9') {
            minutes = digits(2, 2);
            if (next(':')) {
                seconds = digits(2, 2);
            }
        }
        if (minutes < 0 || minutes > 59 || seconds < 0 || seconds > 59) {
            return false;
        }
        hasOffset = true;
        offset = sign * (int) (hours * 3600 + minutes * 60 + seconds);
        return true;
    }

    // Printing -----------------------------------------------------------------------------------------------------

    /** Sets year, month and day of month of {@code epochDay}; the inverse of {@link #epochDay}. */
    private void civil(long epochDay) {
        long z = epochDay + 719_468;
        long era = Math.floorDiv(z, 146_097);
        long dayOfEra = z - era * 146_097;
        long yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        long dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        long mp = (5 * dayOfYear + 2) / 153;
        dayOfMonth = (int) (dayOfYear - (153 * mp + 2) / 5 + 1);
        month = (int) (mp < 10 ? mp + 3 : mp - 9);
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
    }

    /** The year of {@code epochDay}; 0 is 1 BC. */
    public long yearOf(long epochDay) {
        civil(epochDay);
        return year;
    }

    /** Appends {@code 2024-02-29}, with PostgreSQL's {@code BC} and {@code infinity} where there is no other way. */
    public void printDate(Utf8 out, long epochDay) {
        boolean bc = printDay(out, epochDay);
        if (bc) {
            out.ascii(" BC");
        }
    }

    private boolean printDay(Utf8 out, long epochDay) {
        if (epochDay == INFINITY) {
            out.ascii("infinity");
            return false;
        }
        if (epochDay == MINUS_INFINITY) {
            out.ascii("-infinity");
            return false;
        }
        civil(epochDay);
        boolean bc = year <= 0;
        long shown = bc ? 1 - year : year;
        if (shown < 10_000) {
            out.digits(shown, 4);
        } else {
            out.integer(shown);
        }
        out.put('-');
        out.digits(month, 2);
        out.put('-');
        out.digits(dayOfMonth, 2);
        return bc;
    }

    /** Appends {@code 12:34:56.789}: as many digits of the fraction as are not zero. */
    public static void printTime(Utf8 out, long nanoOfDay) {
        long seconds = nanoOfDay / 1_000_000_000L;
        out.digits(seconds / 3600, 2);
        out.put(':');
        out.digits(seconds / 60 % 60, 2);
        out.put(':');
        out.digits(seconds % 60, 2);
        printFraction(out, (int) (nanoOfDay % 1_000_000_000L));
    }

    private static void printFraction(Utf8 out, int nanos) {
        if (nanos == 0) {
            return;
        }
        int value = nanos;
        int width = 9;
        while (value % 10 == 0) {
            value /= 10;
            width--;
        }
        out.put('.');
        out.digits(value, width);
    }

    /** Appends {@code +02:00}, with seconds if there are any. */
    public static void printOffset(Utf8 out, int offsetSeconds) {
        int left = Math.abs(offsetSeconds);
        out.put(offsetSeconds < 0 ? '-' : '+');
        out.digits(left / 3600, 2);
        out.put(':');
        out.digits(left / 60 % 60, 2);
        if (left % 60 != 0) {
            out.put(':');
            out.digits(left % 60, 2);
        }
    }

    /** Appends {@code 2024-02-29 12:34:56.789}. {@code seconds} counts from 1970-01-01 00:00 on the same clock. */
    public void printTimestamp(Utf8 out, long seconds, int nanos) {
        if (printWall(out, seconds, nanos)) {
            out.ascii(" BC");
        }
    }

    /** Appends {@code 2024-02-29 12:34:56.789+02:00}: the instant as seen at its offset. */
    public void printTimestampTz(Utf8 out, long epochSeconds, int nanos, int offsetSeconds) {
        if (epochSeconds == INFINITY || epochSeconds == MINUS_INFINITY) {
            printDay(out, epochSeconds);
            return;
        }
        boolean bc = printWall(out, epochSeconds + offsetSeconds, nanos);
        printOffset(out, offsetSeconds);
        if (bc) {
            out.ascii(" BC");
        }
    }

    private boolean printWall(Utf8 out, long seconds, int nanos) {
        if (seconds == INFINITY || seconds == MINUS_INFINITY) {
            return printDay(out, seconds);
        }
        boolean bc = printDay(out, Math.floorDiv(seconds, (long) SECONDS_PER_DAY));
        out.put(' ');
        printTime(out, Math.floorMod(seconds, (long) SECONDS_PER_DAY) * 1_000_000_000L + nanos);
        return bc;
    }
}
