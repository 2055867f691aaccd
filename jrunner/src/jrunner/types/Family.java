package jrunner.types;

import java.util.Locale;

/** The families that every column type of every database is sorted into; jrunner/README.md lists them. */
public enum Family {
    BOOLEAN, INT16, INT32, INT64, DECIMAL, FLOAT32, FLOAT64, TEXT, BINARY,
    DATE, TIME, TIMETZ, TIMESTAMP, TIMESTAMPTZ, UUID, JSON, XML, INTERVAL, ARRAY,
    /** The database does not say, such as an SQLite expression: each cell has a type of its own. */
    ANY,
    /** Moved as the database's own text. */
    OTHER;

    /** The name that the protocol uses. */
    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** True for dates, times and timestamps. */
    public boolean isTemporal() {
        return this == DATE || this == TIME || this == TIMETZ || this == TIMESTAMP || this == TIMESTAMPTZ;
    }

    public boolean isInteger() {
        return this == INT16 || this == INT32 || this == INT64;
    }
}
