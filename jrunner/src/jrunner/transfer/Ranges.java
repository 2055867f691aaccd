package jrunner.transfer;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.types.TextValues;

/**
 * The ranges of a read, handed out one by one: each begins behind the bound up to which the last one went, and goes up to the next,
 * which the lane that takes it asks for. The last has no end, so that no row is behind all of them.
 */
final class Ranges {
    private final RangeQueries queries;
    /** The bound up to which ranges are handed out. */
    private List<String> upto;
    private boolean restGiven;
    private boolean ended;
    private int given;

    /** @param first the first bound, up to which the first range goes */
    Ranges(RangeQueries queries, List<String> first) {
        this.queries = queries;
        this.upto = first;
        this.restGiven = queries.rest == null;
    }

    /** The first bound; null where the query is better read at once. */
    static List<String> firstBound(RangeQueries queries, Database source, Cancel cancel) throws Failure {
        return bound(queries, RangeQueries.sql(queries.firstBound, null, null), source, cancel);
    }

    /**
     * The query for the next range's rows, or null if there is none. One lane asks at a time.
     *
     * @param lane the connection on which the next bound is asked for
     */
    synchronized String next(Database lane, Cancel cancel) throws Failure {
        cancel.throwIfCancelled();
        if (ended) {
            return null;
        }
        given++;
        if (given == 1) {
            return RangeQueries.sql(queries.first, null, upto);
        }
        if (!restGiven) {
            restGiven = true;
            return RangeQueries.sql(queries.rest, null, null);
        }
        List<String> after = upto;
        upto = bound(queries, RangeQueries.sql(queries.nextBound, after, null), lane, cancel);
        // A value that comes again would never end: what it stands for cannot be written.
        ended = upto == null || upto.equals(after);
        return ended ? RangeQueries.sql(queries.last, after, null) : RangeQueries.sql(queries.middle, after, upto);
    }

    /** How many were handed out. */
    synchronized int count() {
        return given;
    }

    /** A bound as SQL; null where there is none, or one that is not safely written. */
    private static List<String> bound(RangeQueries queries, String sql, Database database, Cancel cancel) throws Failure {
        try (Statement statement = database.statement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet row = statement.executeQuery(sql)) {
            if (!row.next()) {
                return null;
            }
            TextValues values = new TextValues(database, row.getMetaData());
            List<String> bound = new ArrayList<>();
            for (int i = 0; i < queries.literals.size(); i++) {
                String written = queries.literals.get(i).write(values.text(row, i + 1));
                if (written == null) {
                    return null;
                }
                bound.add(written);
            }
            return bound;
        } catch (SQLException e) {
            cancel.throwIfCancelled();
            throw Failure.sql("read", e, sql);
        } catch (Failure e) {
            if (Failure.VALUE.equals(e.code())) {
                return null;
            }
            throw e;
        }
    }
}
