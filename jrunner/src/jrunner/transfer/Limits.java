package jrunner.transfer;

/** What the types of a kind of database cannot hold, beyond what a column's own size says. */
final class Limits {
    private static final long ANY_YEAR = 999_999_999;

    final boolean floatSpecials;
    final boolean decimalNan;
    final boolean infiniteDates;
    /** Years of dates and timestamps; 0 is 1 BC. */
    final long firstYear;
    final long lastYear;
    /** A time of day of 24:00:00. */
    final boolean midnightAtEnd;
    /** Text of no characters would become NULL. */
    final boolean emptyIsNull;

    private Limits(boolean floatSpecials, boolean decimalNan, boolean infiniteDates, long firstYear, long lastYear,
            boolean midnightAtEnd, boolean emptyIsNull) {
        this.floatSpecials = floatSpecials;
        this.decimalNan = decimalNan;
        this.infiniteDates = infiniteDates;
        this.firstYear = firstYear;
        this.lastYear = lastYear;
        this.midnightAtEnd = midnightAtEnd;
        this.emptyIsNull = emptyIsNull;
    }

    static Limits of(String kind) {
        switch (kind) {
            case "postgresql":
                return new Limits(true, true, true, -4712, 294_276, true, false);
            case "mariadb":
            case "mysql":
                return new Limits(false, false, false, 1, 9999, true, false);
            case "sqlite":
                // Dates are text there, and text holds every one of them.
                return new Limits(true, true, true, -ANY_YEAR, ANY_YEAR, true, false);
            case "h2":
                return new Limits(true, false, false, -ANY_YEAR, ANY_YEAR, false, false);
            case "oracle":
                return new Limits(true, false, false, 1, 9999, false, true);
            case "hsqldb":
                return new Limits(true, false, false, 1, 9999, false, false);
            case "generic":
                return new Limits(true, false, false, 1, 9999, false, false);
            default:
                return new Limits(false, false, false, 1, 9999, false, false);
        }
    }
}
