package jrunner.transfer;

import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;
import jrunner.db.Database;
import jrunner.types.ColumnInfo;
import jrunner.types.Convert;

/**
 * Loads a query's rows from one database into a table of another, in one transaction of the destination.
 *
 * <p>Whatever goes wrong, the destination is rolled back: its table is then as it was. Both connections are in
 * autocommit mode again when {@link #run} returns.
 */
public final class Transfer {
    private final TransferRequest request;
    private final String sql;
    private final Database source;
    private final Database dest;
    private final Progress progress;
    private final Cancel cancel;
    private final TransferResult result = new TransferResult();
    private final List<KeyedSource> keyed = new ArrayList<>();
    private Fingerprint read;
    private List<ColumnInfo> loaded;

    private Transfer(TransferRequest request, Database source, Database dest, Progress progress, Cancel cancel) {
        this.request = request;
        this.sql = withoutSemicolon(request.sql);
        this.source = source;
        this.dest = dest;
        this.progress = progress;
        this.cancel = cancel;
    }

    /**
     * @throws Failure of code {@code columns} when columns find no partner, {@code value} for a value that the
     *     destination cannot hold, {@code sql} for what a database refuses; of phase {@code commit} when it is not
     *     known whether the destination committed
     */
    public static TransferResult run(TransferRequest request, Database source, Database dest, Progress progress,
        Cancel cancel)
            throws Failure {
        try (LoadGuard guard = dest.kind().guard(source, dest)) {
            return new Transfer(request, source, dest, progress, cancel).run();
        }
    }

    /** The query is put inside of others, where a semicolon would end it too early. */
    private static String withoutSemicolon(String query) {
        String bare = query.stripTrailing();
        while (bare.endsWith(";")) {
            bare = bare.substring(0, bare.length() - 1).stripTrailing();
        }
        return bare;
    }

    private TransferResult run() throws Failure {
        long began = System.nanoTime();
        if (!TransferRequest.PATHS.contains(request.path)) {
            throw Failure.of("protocol", Failure.PROTOCOL, "no path '" + request.path + "'; there are "
                + String.join(", ", TransferRequest.PATHS));
        }
        boolean done = false;
        try {
            List<ColumnInfo> destColumns = begin();
            if (request.clear) {
                clear();
            }
            if (!tryRaw(destColumns)) {
                pump(destColumns);
            }
            if (request.around != null) {
                request.around.after(result);
            }
            cancel.throwIfCancelled();
            commit();
            done = true;
        } catch (SQLException e) {
            throw Failure.sql("write", e, null);
        } finally {
            if (!done) {
                Transactions.rollback(dest);
            }
        }
        if (read != null) {
            compareValues();
        }
        result.elapsedMs = (System.nanoTime() - began) / 1_000_000;
        return result;
    }

    /** Begins the load's transaction, and describes its table: one that the transaction makes can be described only within. */
    private List<ColumnInfo> begin() throws SQLException, Failure {
        if (request.around != null && request.around.begins()) {
            // As Execute begins a merge: where it has to be told, with the lock of a writer from the first.
            dest.connection().setAutoCommit(false);
            request.around.before();
            return ColumnInfo.describe(dest, request.table, true, cancel);
        }
        List<ColumnInfo> columns = ColumnInfo.describe(dest, request.table, true, cancel);
        dest.kind().beginLoad(dest);
        return columns;
    }

    /** Reads the table as the destination gives it back. */
    private void compareValues() throws Failure {
        String query = "SELECT " + columnList(loaded) + " FROM " + request.table;
        RowSource back = dest.kind().rowSource(dest, query, request.fetchRows, cancel);
        Fingerprint there = new Fingerprint(loaded);
        try {
            int[] all = new int[loaded.size()];
            for (int i = 0; i < all.length; i++) {
                all[i] = i;
            }
            back.select(all);
            Block block = new Block(all.length);
            boolean more = true;
            for (long rows = 0; more; rows += block.rows) {
                cancel.throwIfCancelled();
                block.clear();
                more = back.fill(block, rows + 1);
                there.add(block);
                progress.report("verify", rows + block.rows, 0);
            }
        } finally {
            back.close();
        }
        String difference = read.difference(there);
        if (difference != null) {
            throw Failure.of("verify", Failure.VALUES_DIFFER, "the destination does not give back the values that were read: "
                + difference + ". Driver, type or trigger of " + request.table + " change them").statement(query);
        }
    }

    private void clear() throws Failure {
        String sql = "DELETE FROM " + request.table;
        try (Statement statement = dest.connection().createStatement();
                Cancel.Registration running = cancel.register(statement)) {
            statement.executeUpdate(sql);
        } catch (SQLException e) {
            cancel.throwIfCancelled();
            throw Failure.sql("write", e, sql);
        }
    }

    private void commit() throws Failure {
        try {
            dest.connection().commit();
        } catch (SQLException e) {
            throw Failure.sql("commit", e, "COMMIT");
        }
        try {
            dest.connection().setAutoCommit(true);
        } catch (SQLException e) {
            // The rows are committed; a connection in this state is found out at its next use.
        }
    }

    /** Copies from server to server if both are of a kind that can, and query and types allow it. */
    private boolean tryRaw(List<ColumnInfo> destColumns) throws Failure {
        boolean forced = request.path.equals(TransferRequest.COPY_RAW);
        if (!forced && !request.path.equals(TransferRequest.AUTO)) {
            return false;
        }
        DirectCopy copy = dest.kind().directCopy(source, dest);
        if (copy == null) {
            refuse(forced, "copy-raw needs PostgreSQL on both sides");
            return false;
        }
        if (copy.obstacle(sql) != null) {
            refuse(forced, copy.obstacle(sql));
            return false;
        }
        if (request.split != null || request.trim != TransferRequest.Trim.NONE
                || request.verifyValues) {
            refuse(forced, "copy-raw can neither split nor trim nor compare values");
            result.pathReason = request.verifyValues ? "values are compared" : result.pathReason;
            return false;
        }
        List<ColumnInfo> sourceColumns = sourceColumns();
        Matching matching = Matching.of(sourceColumns, destColumns, request);
        String obstacle = copy.obstacle(sourceColumns, matching.sources, matching.targets);
        if (obstacle != null) {
            refuse(forced, obstacle);
            result.pathReason = obstacle;
            return false;
        }
        List<String> names = new ArrayList<>();
        boolean whole = matching.sources.length == sourceColumns.size();
        for (int i = 0; i < matching.sources.length; i++) {
            names.add(source.quote(sourceColumns.get(matching.sources[i]).name()));
            whole &= matching.sources[i] == i;
        }
        copy.run(sql, whole ? null : names, request.table, columnList(matching.targets), result, progress, cancel);
        result.path = TransferRequest.COPY_RAW;
        result.pathReason = forced ? "asked for" : copy.reason();
        return true;
    }

    private List<ColumnInfo> sourceColumns() throws Failure {
        try {
            return ColumnInfo.describe(source, sql, false, cancel);
        } catch (Failure e) {
            throw e.phase("read");
        }
    }

    private static void refuse(boolean forced, String why) throws Failure {
        if (forced) {
            throw Failure.of("describe", Failure.PROTOCOL, "path copy-raw is not possible: " + why);
        }
    }

    private String columnList(List<ColumnInfo> columns) {
        return columns.stream().map(c -> dest.quote(c.name())).collect(Collectors.joining(", "));
    }

    private void pump(List<ColumnInfo> destColumns) throws Failure {
        List<RowSource> sources = new ArrayList<>();
        RowSink sink = null;
        Split split = null;
        try {
            if (request.split != null) {
                split = Split.open(source, request.split, request.fetchRows, cancel);
                result.lanes = 1;
                result.ranges = 1;
            }
            if (split != null) {
                List<Lane> lanes = split.lanes();
                lanes.forEach(lane -> sources.add(wrapped(lane)));
                result.lanes = lanes.size();
                result.whyNotOneMoment = split.whyNotOneMoment();
            } else {
                sources.add(wrapped(source.kind().rowSource(source, sql, request.fetchRows, cancel)));
            }
            List<ColumnInfo> sourceColumns = sources.get(0).columns();
            Matching matching = Matching.of(sourceColumns, destColumns, request);
            List<Fingerprint> fingerprints = new ArrayList<>();
            for (RowSource each : sources) {
                each.select(matching.sources);
                if (each instanceof FingerprintedSource) {
                    fingerprints.add(((FingerprintedSource) each).take(matching.targets));
                }
            }
            for (KeyedSource each : keyed) {
                Convert convert = new Convert();
                each.check(request.columns, targets(matching, convert), convert);
            }
            List<Target> targets = targets(matching, new Convert());
            sink = dest.kind().rowSink(new Load(dest, targets, columnList(matching.targets), request, result));
            Pump pump = new Pump(sources, sink, targets.size(), progress, cancel);
            RowSink running = sink;
            sink = null;
            result.rowsWritten = pump.run();
            result.rowsRead = pump.rowsRead();
            if (request.verifyValues) {
                loaded = matching.targets;
                read = new Fingerprint(loaded);
                fingerprints.forEach(read::add);
            }
            result.bytes = running.bytes();
            result.ranges = split != null ? split.ranges() : result.ranges;
            result.readMs = pump.readMs();
            result.writeMs = pump.writeMs();
        } finally {
            if (sink != null) {
                sink.abort();
            }
            for (RowSource each : sources) {
                each.close();
            }
            if (split != null) {
                split.close();
            }
        }
    }

    private List<Target> targets(Matching matching, Convert convert) {
        List<Target> targets = new ArrayList<>();
        for (ColumnInfo column : matching.targets) {
            targets.add(new Target(dest.kind(), column, source.kind(), convert));
        }
        return targets;
    }

    /** The source with what is asked of its rows on their way. */
    private RowSource wrapped(RowSource plain) {
        if (request.columns.stream().anyMatch(pair -> pair.key != null)) {
            KeyedSource checked = new KeyedSource(plain);
            keyed.add(checked);
            return fingerprinted(checked);
        }
        return fingerprinted(plain);
    }

    private RowSource fingerprinted(RowSource plain) {
        RowSource trimmed = request.trim == TransferRequest.Trim.NONE ? plain : new TrimmedSource(plain, request.trim);
        return request.verifyValues ? new FingerprintedSource(trimmed) : trimmed;
    }
}
