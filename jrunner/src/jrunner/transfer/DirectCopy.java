package jrunner.transfer;

import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;
import jrunner.types.ColumnInfo;

/** A way from one server into another of its kind without decoding rows: the path {@code copy-raw}. */
public interface DirectCopy {
    /** Why {@code sql} cannot be read this way; null if it can. */
    String obstacle(String sql);

    /** Why the types do not allow it, {@code indexes} being the source's place of each of {@code dest}; null if they do. */
    String obstacle(List<ColumnInfo> source, int[] indexes, List<ColumnInfo> dest);

    /** Why the path is the best one, for the result. */
    String reason();

    /**
     * Copies the rows, inside of the destination's transaction, and writes counts and times into {@code result}.
     *
     * @param names the query's columns to read, quoted; null: all of them, as they are
     * @param columns the destination's columns, quoted, with commas between
     */
    void run(String sql, List<String> names, String table, String columns, TransferResult result, Progress progress,
        Cancel cancel) throws Failure;
}
