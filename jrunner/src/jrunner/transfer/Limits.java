package jrunner.transfer;

import java.util.Set;

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
    /** Days that the change to the Gregorian calendar skipped, 5 to 14 October 1582, are moved or refused. */
    final boolean skippedDays;
    /** The length of a text column counts UTF-16 units, not characters. */
    final boolean utf16;
    /** Text of no characters would become NULL. */
    final boolean emptyIsNull;

    private Limits(String kind, boolean floatSpecials, boolean decimalNan, boolean infiniteDates, long firstYear,
        long lastYear,
            boolean midnightAtEnd, boolean skippedDays, boolean emptyIsNull) {
        this.floatSpecials = floatSpecials;
        this.decimalNan = decimalNan;
        this.infiniteDates = infiniteDates;
        this.firstYear = firstYear;
        this.lastYear = lastYear;
        this.midnightAtEnd = midnightAtEnd;
        this.skippedDays = skippedDays;
        this.utf16 = Set.of("h2", "derby", "hsqldb", "sqlserver").contains(kind);
        this.emptyIsNull = emptyIsNull;
    }

    static Limits of(String kind) {
        switch (kind) {
            case "postgresql":
                return new Limits(kind, true, true, true, -4712, 294_276, true, false, false);
            case "mariadb":
            case "mysql":
                return new Limits(kind, false, false, false, 1, 9999, true, false, false);
            case "sqlite":
                // Dates are text there, and text holds every one of them.
                return new Limits(kind, true, true, true, -ANY_YEAR, ANY_YEAR, true, false, false);
            case "h2":
                return new Limits(kind, true, false, false, -ANY_YEAR, ANY_YEAR, false, false, false);
            case "oracle":
                return new Limits(kind, true, false, false, 1, 9999, false, true, true);
            case "hsqldb":
            case "generic":
                return new Limits(kind, true, false, false, 1, 9999, false, true, false);
            case "sqlserver":
                return new Limits(kind, false, false, false, 1, 9999, false, false, false);
            default:
                return new Limits(kind, false, false, false, 1, 9999, false, true, false);
        }
    }
}
