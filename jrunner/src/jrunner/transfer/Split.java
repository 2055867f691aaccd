package jrunner.transfer;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;

/**
 * One big read as many small ones, side by side over several connections.
 *
 * <p>All of them read one snapshot where the kind has one to share. Elsewhere rows that change meanwhile may be seen by two lanes,
 * or by none.
 */
final class Split implements AutoCloseable {
    private final Database source;
    private final List<Database> siblings = new ArrayList<>();
    private final Ranges ranges;
    private final int fetchRows;
    private final Cancel cancel;
    private final String why;
    private boolean begun;

    private Split(Database source, RangeQueries queries, List<String> first, int fetchRows, Cancel cancel) throws Failure {
        this.source = source;
        this.fetchRows = fetchRows;
        this.cancel = cancel;
        this.ranges = new Ranges(queries, first);
        try {
            openSiblings(queries.lanes - 1);
            cancel.throwIfCancelled();
            why = source.kind().shareSnapshot(source, siblings);
            begun = why == null;
            // A lane's reader must not end the transaction behind its first range.
            hold(true);
        } catch (SQLException e) {
            close();
            cancel.throwIfCancelled();
            throw Failure.sql("read", e, null);
        } catch (Failure e) {
            close();
            throw e;
        }
    }

    /**
     * Opens the connections beyond the first; null where the query is better read at once, over one.
     *
     * @throws Failure of whatever goes wrong when the first bound is asked for or the connections are opened
     */
    static Split open(Database source, RangeQueries queries, int fetchRows, Cancel cancel) throws Failure {
        List<String> first = Ranges.firstBound(queries, source, cancel);
        return first == null ? null : new Split(source, queries, first, fetchRows, cancel);
    }

    /** Opens them together: far away, each takes many times the latency. Those that are open are closed by {@link #close}. */
    private void openSiblings(int count) throws Failure {
        List<FutureTask<Database>> opening = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            FutureTask<Database> task = new FutureTask<>(source::openSibling);
            opening.add(task);
            Thread thread = new Thread(task, "open " + source.name());
            thread.setDaemon(true);
            thread.start();
        }
        Failure failed = null;
        for (FutureTask<Database> task : opening) {
            try {
                siblings.add(task.get());
            } catch (ExecutionException e) {
                failed = Failure.from("read", e.getCause(), null).phase("read");
            } catch (InterruptedException e) {
                failed = Failure.cancelled("read");
            }
        }
        if (failed != null) {
            throw failed;
        }
    }

    /** A source for each connection. They must be closed before this is. */
    List<Lane> lanes() throws Failure {
        List<Lane> lanes = new ArrayList<>();
        try {
            lanes.add(new Lane(source, ranges, fetchRows, cancel));
            for (Database sibling : siblings) {
                lanes.add(new Lane(sibling, ranges, fetchRows, cancel, lanes.get(0).columns()));
            }
        } catch (Failure e) {
            lanes.forEach(Lane::close);
            throw e;
        }
        return lanes;
    }

    /** Why not all connections see one moment; null if they do. */
    String whyNotOneMoment() {
        return why;
    }

    int ranges() {
        return ranges.count();
    }

    private void hold(boolean hold) {
        source.hold(hold);
        siblings.forEach(sibling -> sibling.hold(hold));
    }

    /** Closes the connections beyond the first and ends the shared snapshot. Their readers must have ended. */
    @Override
    public void close() {
        hold(false);
        for (Database sibling : siblings) {
            Transactions.endRead(sibling);
            sibling.close();
        }
        siblings.clear();
        Transactions.endRead(source);
        if (begun) {
            try {
                source.kind().endSharedSnapshot(source);
            } catch (SQLException e) {
                // The connection is broken: its next use says so.
            }
        }
    }
}
