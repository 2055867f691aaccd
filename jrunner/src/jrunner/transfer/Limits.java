package jrunner.transfer;

/**
 * What the types of a kind of database cannot hold, beyond what a column's own size says. As made it is the narrowest;
 * a kind adds what its types hold and what they do not distinguish. Asked when a {@link Target} is made.
 */
public final class Limits {
    private static final long ANY_YEAR = 999_999_999;

    boolean floatSpecials;
    boolean decimalNan;
    boolean infiniteDates;
    long firstYear = 1;
    long lastYear = 9999;
    boolean midnightAtEnd;
    boolean skippedDays;
    boolean utf16;
    boolean emptyIsNull;
    boolean durations;
    boolean noOffsets;
    boolean floatText;
    boolean noMinusZero;
    boolean oddDates;

    /** Floating-point numbers may be NaN or infinite. */
    public Limits floatSpecials() {
        floatSpecials = true;
        return this;
    }

    /** -0.0 becomes 0. */
    public Limits noMinusZero() {
        noMinusZero = true;
        return this;
    }

    /** Days that no calendar has, such as 2024-00-00, are values among databases of the kind. */
    public Limits oddDates() {
        oddDates = true;
        return this;
    }

    /** Decimals may be NaN, and infinite where they have no precision. */
    public Limits decimalNan() {
        decimalNan = true;
        return this;
    }

    /** Dates and timestamps may be infinite. */
    public Limits infiniteDates() {
        infiniteDates = true;
        return this;
    }

    /** Years of dates and timestamps, instead of 1 to 9999; 0 is 1 BC. */
    public Limits years(long first, long last) {
        firstYear = first;
        lastYear = last;
        return this;
    }

    /** Any year that jrunner knows. */
    public Limits anyYear() {
        return years(-ANY_YEAR, ANY_YEAR);
    }

    /** A time of day may be 24:00:00. */
    public Limits midnightAtEnd() {
        midnightAtEnd = true;
        return this;
    }

    /** Days that the change to the Gregorian calendar skipped, 5 to 14 October 1582, are moved or refused. */
    public Limits skippedDays() {
        skippedDays = true;
        return this;
    }

    /** The length of a text column counts UTF-16 units, not characters. */
    public Limits utf16() {
        utf16 = true;
        return this;
    }

    /** Text of no characters would become NULL. */
    public Limits emptyIsNull() {
        emptyIsNull = true;
        return this;
    }

    /** Times may be durations of more than a day, which the database checks. */
    public Limits durations() {
        durations = true;
        return this;
    }

    /** The text of a timestamp with time zone takes no offset: the session runs in UTC. */
    public Limits noOffsets() {
        noOffsets = true;
        return this;
    }

    /** The shortest text of a float is read as a float. Elsewhere it is read as a double first, and could round twice. */
    public Limits floatText() {
        floatText = true;
        return this;
    }
}
