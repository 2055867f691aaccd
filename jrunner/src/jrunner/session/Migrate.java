package jrunner.session;

import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.transfer.RangeQueries;
import jrunner.transfer.Transfer;
import jrunner.transfer.TransferRequest;
import jrunner.transfer.TransferResult;

/** The migrate operation: the protocol's fields to and from the transfer engine. */
final class Migrate {
    /** Of the field snapshot: reads what the last one so held has seen, and lets the next one. */
    private static final String HOLD = "hold";

    private Migrate() {}

    private static TransferRequest.Key key(String name) throws Failure {
        for (TransferRequest.Key key : TransferRequest.Key.values()) {
            if (key.name().toLowerCase(Locale.ROOT).equals(name)) {
                return key;
            }
        }
        if (name != null) {
            throw Request.failure("field 'key' must be usual or single");
        }
        return null;
    }

    /** How the read is split, or null. */
    private static RangeQueries split(Request request) throws Failure {
        if (request == null) {
            return null;
        }
        RangeQueries split = new RangeQueries();
        split.lanes = request.number("lanes", 1, 1);
        split.literals = new ArrayList<>();
        for (Request literal : request.objects("literals")) {
            split.literals.add(new RangeQueries.Literal(literal.text("form"), literal.text("pattern")));
            literal.finish();
        }
        int width = split.literals.size();
        split.firstBound = request.pieces("first_bound", 0);
        split.nextBound = request.pieces("next_bound", width);
        split.first = request.pieces("first", 2 * width);
        split.middle = request.pieces("middle", 2 * width);
        split.last = request.pieces("last", width);
        split.rest = request.has("rest") ? request.pieces("rest", 0) : null;
        request.finish();
        return split;
    }

    static Map<String, ?> run(Task task, Connections connections) throws Failure {
        Request request = task.request;
        String snapshot = request.text("snapshot", null);
        if (snapshot != null && !snapshot.equals(HOLD) && !snapshot.equals("end")) {
            throw Request.failure("field 'snapshot' must be hold or end");
        }
        String name = request.text("source");
        Database source = snapshot == null ? connections.get(name) : connections.held(name);
        Database dest = connections.get(request.text("dest"));
        TransferRequest transfer = new TransferRequest();
        transfer.sql = request.text("sql");
        transfer.table = request.text("table");
        for (Request pair : request.objects("columns")) {
            transfer.columns.add(new TransferRequest.Pair(pair.text("source"), pair.text("dest"),
                key(pair.text("key", null))));
            pair.finish();
        }
        transfer.path = request.text("path", TransferRequest.AUTO);
        if (!TransferRequest.PATHS.contains(transfer.path)) {
            throw Request.failure("field 'path' must be one of " + String.join(", ", TransferRequest.PATHS));
        }
        transfer.fetchRows = request.number("fetch_rows", 0, 0);
        transfer.batchRows = request.number("batch_rows", 0, 0);
        transfer.split = split(request.object("split"));
        if (transfer.split != null && snapshot != null) {
            throw Request.failure("field 'snapshot' is not for a read that is split");
        }
        transfer.trim = request.bool("trim", false) ? TransferRequest.Trim.FIXED : TransferRequest.Trim.NONE;
        transfer.clear = request.bool("clear", false);
        String verify = request.text("verify", "counts");
        if (!verify.equals("counts") && !verify.equals("values")) {
            throw Request.failure("field 'verify' must be counts or values");
        }
        transfer.verifyValues = verify.equals("values");
        Around around = Around.of(task, dest);
        transfer.around = around;
        request.finish();
        if (HOLD.equals(snapshot) && !source.isHeld()) {
            hold(source);
        }
        TransferResult done = Transfer.run(transfer, source, dest, task, task.cancel);
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("rows_read", done.rowsRead);
        result.put("rows_written", done.rowsWritten);
        result.put("bytes", done.bytes);
        result.put("path", done.path);
        result.put("path_reason", done.pathReason);
        result.put("elapsed_ms", done.elapsedMs);
        result.put("read_ms", done.readMs);
        result.put("write_ms", done.writeMs);
        if (transfer.split != null) {
            result.put("split", Map.of("lanes", done.lanes, "ranges", done.ranges, "one_moment", done.whyNotOneMoment == null,
                "why", done.whyNotOneMoment == null ? "" : done.whyNotOneMoment));
        }
        if (snapshot != null) {
            result.put("snapshot", source.isHeld());
            source.hold(source.isHeld() && snapshot.equals(HOLD));
        }
        if (around != null) {
            result.put("counts", Operations.list(around.countsBefore, around.countsAfter));
        }
        return result;
    }

    private static void hold(Database source) throws Failure {
        try {
            source.hold(source.kind().beginSnapshot(source));
        } catch (SQLException e) {
            throw Failure.sql("read", e, null);
        }
    }

    /** The statements in one transaction with the rows, and the wait for a confirm. */
    private static final class Around implements TransferRequest.Around {
        private final Task task;
        private final Database dest;
        private final List<Execute.Step> before;
        private final List<Execute.Step> after;
        private final boolean confirm;
        private long[] countsBefore = {};
        private long[] countsAfter = {};

        private Around(Task task, Database dest) throws Failure {
            this.task = task;
            this.dest = dest;
            before = Execute.Step.of(task.request, "before");
            after = Execute.Step.of(task.request, "after");
            confirm = task.request.bool("confirm", false);
        }

        /** What the request asks for; null: nothing. */
        static Around of(Task task, Database dest) throws Failure {
            Around around = new Around(task, dest);
            return around.before.isEmpty() && around.after.isEmpty() && !around.confirm ? null : around;
        }

        @Override
        public boolean begins() {
            return !before.isEmpty() || confirm;
        }

        @Override
        public void before() throws Failure {
            countsBefore = Execute.steps(dest, before, 0, -1, task, task.cancel);
        }

        @Override
        public void after(TransferResult rows) throws Failure {
            if (rows.rowsRead != rows.rowsWritten) {
                throw Failure.of("write", Failure.COUNT_MISMATCH, "rows read: " + rows.rowsRead + ", rows that the destination took: "
                        + rows.rowsWritten);
            }
            countsAfter = Execute.steps(dest, after, before.size(), rows.rowsRead, task, task.cancel);
            if (confirm) {
                task.cancel.throwIfCancelled();
                task.awaitConfirm(Map.of("rows_read", rows.rowsRead, "counts", Operations.list(countsBefore, countsAfter)));
            }
        }
    }
}
