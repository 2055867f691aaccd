package jrunner.session;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.transfer.Transfer;
import jrunner.transfer.TransferRequest;
import jrunner.transfer.TransferResult;

/** The migrate operation: the protocol's fields to and from the transfer engine. */
final class Migrate {
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

    static Map<String, ?> run(Task task, Connections connections) throws Failure {
        Request request = task.request;
        Database source = connections.get(request.text("source"));
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
        transfer.splitBy = request.text("split_by", null);
        transfer.splitWith = request.text("split_with", "");
        transfer.splitSql = request.text("split_sql", null);
        transfer.parallel = request.number("parallel", 1, 1);
        transfer.trim = request.bool("trim", false) ? TransferRequest.Trim.FIXED : TransferRequest.Trim.NONE;
        transfer.clear = request.bool("clear", false);
        String verify = request.text("verify", "counts");
        if (!verify.equals("counts") && !verify.equals("values")) {
            throw Request.failure("field 'verify' must be counts or values");
        }
        transfer.verifyValues = verify.equals("values");
        request.finish();
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
        return result;
    }
}
