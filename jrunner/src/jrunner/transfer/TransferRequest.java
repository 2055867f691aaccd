package jrunner.transfer;

import java.util.ArrayList;
import java.util.List;
import jrunner.Failure;

/** What a migration is asked to do. */
public final class TransferRequest {
    /** Which text loses its trailing blanks. */
    public enum Trim {
        NONE,
        /** Columns of fixed length, whose blanks are padding: the session's {@code trim}. */
        FIXED,
        /** Every text column: the {@code -t} flag. */
        ALL
    }

    /** What is asked of the cells of a key, so that two keys of the source do not become one. */
    public enum Key {
        /** A text that becomes another type is the usual text of its value. */
        USUAL,
        /** That, and the source's column has no type: all its cells are numbers or all are texts, as the destination's. */
        SINGLE
    }

    /** A source column and the destination column it goes to, as plain names. */
    public static final class Pair {
        final String source;
        final String dest;
        /** Null for a column of no key, or of one that cannot be mistaken. */
        final Key key;

        public Pair(String source, String dest, Key key) {
            this.source = source;
            this.dest = dest;
            this.key = key;
        }
    }

    /** What else belongs to the load's transaction. */
    public interface Around {
        /** Whether {@link #before} has something to do, or the commit has to be confirmed: a writer's transaction from the first. */
        boolean begins();

        /** Called in the transaction, before the table is described and anything is read. */
        void before() throws Failure;

        /** Called once all rows are in the table; the commit follows. */
        void after(TransferResult rows) throws Failure;
    }

    public static final String AUTO = "auto";
    public static final String COPY_RAW = "copy-raw";
    public static final String COPY_BINARY = "copy-binary";
    public static final String COPY_TEXT = "copy-text";
    public static final String LOAD_DATA = "load-data";
    public static final String APPENDER = "appender";
    public static final String BATCH = "batch";
    public static final List<String> PATHS = List.of(AUTO, COPY_RAW, COPY_BINARY, COPY_TEXT, LOAD_DATA, APPENDER, BATCH);

    public String sql;
    /** SQL text of the destination table's name. */
    public String table;
    /** Empty: every source column goes to the destination column of its name. */
    public List<Pair> columns = new ArrayList<>();
    public String path = AUTO;
    /** Rows fetched at a time; 0 lets jrunner choose. */
    public int fetchRows;
    /** Rows sent at a time on the batch path; 0 lets jrunner choose. */
    public int batchRows;
    /** How the read is split into ranges; null: one connection reads it. */
    public RangeQueries split;
    public Trim trim = Trim.NONE;
    /** Reads the loaded rows back and compares their values with what was read, by {@link Fingerprint}. */
    public boolean verifyValues;
    /** Empties the destination first, in the same transaction. */
    public boolean clear;
    /** Statements around the rows, in one transaction with them; null: none. */
    public Around around;
}
