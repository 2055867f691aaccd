package jrunner.session;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;
import jrunner.db.Database;

/** The execute operation: statements with their row counts, in one transaction or each by itself. */
final class Execute {
    /** A driver that never says "no more results" must not keep us for ever. */
    private static final int MAX_RESULTS = 10_000;

    private Execute() {}

    /** One statement, and the row count it must have. */
    static final class Step {
        private static final String ROWS = "{rows}";

        final String sql;

        /** The count itself, or null. */
        final Long expectRows;

        /** The index of an earlier statement with the same count, or null. */
        final Integer expectCountOf;

        /** Of a load: its count must be that of the rows that were read. */
        final boolean expectRead;

        /** Of a load: {@value #ROWS} in it stands for that number. */
        final boolean withRows;

        /** A query: its count is the number in its first row. */
        final boolean isCount;

        private Step(Request item) throws Failure {
            Long earlier = item.count("expect_count_of");
            sql = item.text("sql");
            expectRows = item.count("expect_rows");
            expectCountOf = earlier == null ? null : Integer.valueOf(earlier.intValue());
            expectRead = item.bool("expect_read", false);
            withRows = item.bool("with_rows", false);
            isCount = item.bool("is_count", false);
            item.finish();
        }

        /** Its text, of a load that has read {@code rows}. */
        String text(long rows) {
            return withRows ? sql.replace(ROWS, Long.toString(rows)) : sql;
        }

        /** The statements of a request's field. */
        static List<Step> of(Request request, String field) throws Failure {
            List<Step> steps = new ArrayList<>();
            for (Request item : request.objects(field)) {
                Step step = new Step(item);
                if (step.expectCountOf != null && step.expectCountOf >= steps.size()) {
                    throw Request.failure("'expect_count_of' must be the index of an earlier statement");
                }
                steps.add(step);
            }
            return steps;
        }
    }

    /** What is asked once all statements have run, before the commit. */
    interface BeforeCommit {
        /** @throws Failure to roll back instead */
        void check(long[] counts) throws Failure;
    }

    /**
     * Runs the statements and commits. On any failure nothing of a transaction stays.
     *
     * @param beforeCommit asked in a transaction, before its commit
     * @return each statement's row count; -1 where the driver gives none
     * @throws Failure of phase {@code commit} if it is unknown whether the commit happened
     */
    static long[] run(
            Database database,
            List<Step> steps,
            boolean transaction,
            BeforeCommit beforeCommit,
            Progress progress,
            Cancel cancel)
            throws Failure {
        Connection connection = database.connection();
        try {
            if (transaction) {
                connection.setAutoCommit(false);
            }
        } catch (SQLException e) {
            throw Failure.sql("execute", e, null);
        }
        long[] counts = steps(database, steps, 0, -1, progress, cancel);
        if (transaction) {
            cancel.throwIfCancelled();
            beforeCommit.check(counts);
            commit(connection);
        }
        return counts;
    }

    /**
     * Runs statements one after another.
     *
     * @param before how many statements of the request came before these
     * @param read the rows of a load; -1 outside of one
     * @return each statement's row count; -1 where the driver gives none
     */
    static long[] steps(Database database, List<Step> steps, int before, long read, Progress progress, Cancel cancel)
            throws Failure {
        long[] counts = new long[steps.size()];
        for (int i = 0; i < counts.length; i++) {
            Step step = steps.get(i);
            try {
                counts[i] = step(database, step, step.text(read), cancel);
                Long expected = step.expectCountOf == null ? step.expectRows : Long.valueOf(counts[step.expectCountOf]);
                if (step.expectRead) {
                    expected = read;
                }
                if (expected != null && expected != counts[i]) {
                    throw countMismatch(step, counts[i], expected);
                }
            } catch (SQLException e) {
                throw Failure.sql("execute", e, step.sql).statementIndex(before + i);
            } catch (Failure e) {
                throw e.statement(step.sql).statementIndex(before + i);
            }
            progress.report("execute", before + i + 1, 0);
        }
        return counts;
    }

    private static long step(Database database, Step step, String sql, Cancel cancel) throws SQLException, Failure {
        long count;
        try (Statement statement = database.statement();
                Cancel.Registration registered = cancel.register(statement)) {
            boolean isRows = statement.execute(sql);
            count = step.isCount
                    ? (isRows ? number(statement) : -1)
                    : database.kind().changedRows(sql, count(statement, isRows));
        }
        return count;
    }

    private static long number(Statement statement) throws SQLException {
        try (ResultSet rows = statement.getResultSet()) {
            return rows.next() ? rows.getLong(1) : -1;
        }
    }

    private static Failure countMismatch(Step step, long count, long expected) {
        return Failure.of("execute", Failure.COUNT_MISMATCH, "the statement " + (step.isCount ? "found " : "changed ")
                + (count < 0 ? "an unknown number of" : Long.toString(count))
                + (count == 1 ? " row, expected " : " rows, expected ") + expected);
    }

    /**
     * The statement's own count: the last one, as counts of triggers come before it. All results are walked through, since
     * SQL Server reports an error only when its place in the results is reached.
     */
    private static long count(Statement statement, boolean isRows) throws SQLException {
        long last = -1;
        boolean rows = isRows;
        for (int i = 0; i < MAX_RESULTS; i++) {
            if (!rows) {
                long count = updateCount(statement);
                if (count == -1) {
                    return last;
                }
                last = count;
            }
            rows = statement.getMoreResults();
        }
        return last;
    }

    private static long updateCount(Statement statement) throws SQLException {
        try {
            return statement.getLargeUpdateCount();
        } catch (UnsupportedOperationException | AbstractMethodError | java.sql.SQLFeatureNotSupportedException e) {
            return statement.getUpdateCount();
        }
    }

    private static void commit(Connection connection) throws Failure {
        try {
            connection.commit();
        } catch (SQLException e) {
            throw Failure.sql("commit", e, null);
        }
    }
}
