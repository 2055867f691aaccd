package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.db.Database;

/** What a kind is told to make the {@link RowSink} of a load, and where it tells which path it chose. */
public final class Load {
    public final Database dest;
    public final List<Target> targets;
    /** SQL text of the destination table's name. */
    public final String table;
    /** The columns' names, quoted, with commas between, in the order of {@link #targets}. */
    public final String columns;
    private final TransferRequest request;
    private final TransferResult result;

    Load(Database dest, List<Target> targets, String columns, TransferRequest request, TransferResult result) {
        this.dest = dest;
        this.targets = targets;
        this.table = request.table;
        this.columns = columns;
        this.request = request;
        this.result = result;
    }

    /** True if the request asks for {@code path} or leaves the choice to the kind. */
    public boolean takes(String path) {
        return request.path.equals(TransferRequest.AUTO) || request.path.equals(path);
    }

    /** Tells the path, and why it is the best one. */
    public void chosen(String path, String why) {
        result.path = path;
        if (!request.path.equals(TransferRequest.AUTO)) {
            result.pathReason = "asked for";
        } else if (result.pathReason == null) {
            result.pathReason = why;
        } else {
            result.pathReason = why + " (copy-raw: " + result.pathReason + ")";
        }
    }

    /** Prepared inserts, told as the chosen {@code path}. */
    public RowSink batches(String path, String why) throws Failure {
        chosen(path, why);
        return new BatchSink(this, request.batchRows);
    }

    /** The failure for a path that was asked for and cannot be; {@code why} begins with its punctuation. */
    public Failure impossible(String why) {
        return Failure.of("describe", Failure.PROTOCOL, "path " + request.path + " is not possible" + why);
    }
}
