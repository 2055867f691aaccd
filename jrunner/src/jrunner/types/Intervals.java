package jrunner.types;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An interval in months, days and nanoseconds, read from the standard's literals ({@code INTERVAL '-1 02:03:04.5' DAY TO
 * SECOND}) and from PostgreSQL's text ({@code 1 year 2 mons -3 days 04:05:06.789}). An instance holds the one read last.
 *
 * <p>Between cells an interval travels as such a literal: a text without its unit, as HSQLDB prints it, is taken for seconds
 * by others.
 */
public final class Intervals {
    private static final String[] UNITS = {"YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND"};
    private static final int MONTH = 1;
    private static final int DAY = 2;
    private static final int HOUR = 3;
    private static final int SECOND = 5;
    /** Nanoseconds of a day, an hour, a minute, a second; months of a year and a month before them. */
    private static final long[] SIZES = {12, 1, 86_400_000_000_000L, 3_600_000_000_000L, 60_000_000_000L, 1_000_000_000L};
    private static final Pattern LITERAL = Pattern.compile("(?i)INTERVAL\\s*([-+]?)\\s*'([^']*)'\\s*([A-Z ]+?)\\s*");
    private static final Pattern PARTS = Pattern.compile("([-+]?\\d+) (year|mon|day)s?");
    private static final Pattern CLOCK = Pattern.compile("([-+]?)(\\d+):(\\d\\d):(\\d\\d)(?:\\.(\\d{1,9}))?");

    private long months;
    private long days;
    private long nanos;

    /** The standard's literal of what a driver prints for a column of this type: {@code -1-2} of INTERVAL YEAR TO MONTH. */
    public static String literal(String body, String typeName) {
        return body.startsWith("INTERVAL") ? body : "INTERVAL '" + body + "' " + fields(typeName);
    }

    /** {@code DAY TO SECOND} of {@code INTERVAL DAY(2) TO SECOND(6)}; the names of Oracle's types stand for two of them. */
    private static String fields(String typeName) {
        String upper = typeName.toUpperCase(Locale.ROOT);
        return upper.equals("INTERVALDS") ? "DAY TO SECOND" : upper.equals("INTERVALYM") ? "YEAR TO MONTH"
            : upper.replaceAll("\\(.*?\\)", "").replaceFirst("^INTERVAL\\s*", "").trim();
    }

    /** The places in {@link #UNITS} of the first and the last field; null for anything else. */
    private static int[] range(String fields) {
        String[] ends = fields.toUpperCase(Locale.ROOT).split("\\s+TO\\s+");
        int[] found = {-1, -1};
        for (int i = 0; i < UNITS.length; i++) {
            found[0] = UNITS[i].equals(ends[0].trim()) ? i : found[0];
            found[1] = UNITS[i].equals(ends[ends.length - 1].trim()) ? i : found[1];
        }
        return ends.length > 2 || found[0] < 0 || found[1] < found[0] ? null : found;
    }

    /** False for a text that is none of the two notations. */
    public boolean parse(String text) throws BadValue {
        months = 0;
        days = 0;
        nanos = 0;
        try {
            Matcher literal = LITERAL.matcher(text);
            return literal.matches()
                ? standard(literal.group(1).equals("-"), literal.group(2).trim(), range(literal.group(3)))
                : postgres(text.trim());
        } catch (ArithmeticException | NumberFormatException e) {
            throw new BadValue("the interval " + BadValue.show(text) + " is too long");
        }
    }

    private boolean standard(boolean minus, String body, int[] range) {
        boolean negative = minus;
        String rest = body;
        if (rest.startsWith("-") || rest.startsWith("+")) {
            negative ^= rest.startsWith("-");
            rest = rest.substring(1);
        }
        String[] numbers = rest.split("[ :-]");
        if (range == null || numbers.length != range[1] - range[0] + 1) {
            return false;
        }
        for (int i = 0; i < numbers.length; i++) {
            int unit = range[0] + i;
            String number = numbers[i];
            String fraction = "";
            int point = number.indexOf('.');
            if (point >= 0 && unit == SECOND) {
                fraction = (number.substring(point + 1) + "000000000").substring(0, 9);
                number = point == 0 ? "0" : number.substring(0, point);
            }
            if (!number.matches("\\d+")) {
                return false;
            }
            long value = Long.parseLong(number);
            if (unit <= MONTH) {
                months = Math.addExact(months, Math.multiplyExact(value, SIZES[unit]));
            } else if (unit == DAY) {
                days = value;
            } else {
                nanos = Math.addExact(nanos, Math.multiplyExact(value, SIZES[unit]));
                nanos = Math.addExact(nanos, fraction.isEmpty() ? 0 : Long.parseLong(fraction));
            }
        }
        if (negative) {
            months = -months;
            days = -days;
            nanos = -nanos;
        }
        return true;
    }

    private boolean postgres(String text) {
        int end = 0;
        Matcher part = PARTS.matcher(text);
        while (part.find() && text.substring(end, part.start()).isBlank()) {
            long value = Long.parseLong(part.group(1));
            switch (part.group(2)) {
                case "year":
                    months = Math.addExact(months, Math.multiplyExact(value, 12));
                    break;
                case "mon":
                    months = Math.addExact(months, value);
                    break;
                default:
                    days = value;
                    break;
            }
            end = part.end();
        }
        String rest = text.substring(end).trim();
        Matcher clock = CLOCK.matcher(rest);
        if (rest.isEmpty()) {
            return end > 0;
        }
        if (!clock.matches()) {
            return false;
        }
        nanos = Math.multiplyExact(Long.parseLong(clock.group(2)), SIZES[HOUR]);
        nanos = Math.addExact(nanos, Long.parseLong(clock.group(3)) * SIZES[HOUR + 1] + Long.parseLong(clock.group(4))
            * SIZES[SECOND]);
        if (clock.group(5) != null) {
            nanos = Math.addExact(nanos, Long.parseLong((clock.group(5) + "000000000").substring(0, 9)));
        }
        nanos = clock.group(1).equals("-") ? -nanos : nanos;
        return true;
    }

    /** Equal for intervals that are equal where a day has 24 hours. */
    public long size() {
        return months * 0x9E3779B97F4A7C15L + days * SIZES[DAY] + nanos;
    }

    /**
     * The interval as a column of this type takes it: in PostgreSQL's notation for its {@code interval}, else what stands
     * between the quotes of the standard's literal. In the latter a day has 24 hours, as the standard has it.
     *
     * @throws BadValue if the type lacks the fields for it
     */
    public String of(String typeName) throws BadValue {
        int[] range = range(fields(typeName));
        if (range == null) {
            return postgresText();
        }
        try {
            boolean isYears = range[1] <= MONTH;
            long total = isYears ? months : Math.addExact(Math.multiplyExact(days, SIZES[DAY]), nanos);
            if (isYears ? days != 0 || nanos != 0 : months != 0) {
                throw unfit(typeName);
            }
            StringBuilder out = new StringBuilder(total < 0 ? "-" : "");
            long left = Math.abs(total);
            for (int unit = range[0]; unit <= range[1]; unit++) {
                long value = left / SIZES[unit];
                left %= SIZES[unit];
                boolean leads = unit == range[0];
                out.append(leads ? "" : unit == MONTH ? "-" : unit == HOUR ? " " : ":");
                out.append(leads || unit <= MONTH ? Long.toString(value) : String.format("%02d", value));
            }
            if (left != 0 && range[1] == SECOND) {
                out.append(fraction(left, 9));
            } else if (left != 0) {
                throw unfit(typeName);
            }
            return out.toString();
        } catch (ArithmeticException e) {
            throw unfit(typeName);
        }
    }

    private String postgresText() throws BadValue {
        if (nanos % 1000 != 0) {
            throw new BadValue("the interval " + this + " has more than the 6 digits of a second that the column holds");
        }
        return toString();
    }

    private BadValue unfit(String typeName) {
        return new BadValue("the interval " + this + " cannot stand in a column of type " + typeName);
    }

    private static String fraction(long nanos, int digits) {
        return ("." + String.format("%0" + digits + "d", nanos)).replaceFirst("0+$", "");
    }

    /** In PostgreSQL's notation. */
    @Override
    public String toString() {
        StringBuilder out = new StringBuilder();
        out.append(months != 0 ? months + " mons " : "").append(days != 0 ? days + " days " : "");
        if (nanos != 0 || out.length() == 0) {
            long left = Math.abs(nanos);
            out.append(nanos < 0 ? "-" : "").append(String.format("%02d:%02d:%02d", left / SIZES[HOUR],
                left / SIZES[HOUR + 1] % 60, left / SIZES[SECOND] % 60));
            out.append(left % SIZES[SECOND] != 0 ? fraction(left % SIZES[SECOND], 9) : "");
        }
        return out.toString().trim();
    }
}
