package jrunner.transfer;

import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.types.ColumnInfo;

/** One of several connections that read a query together: whenever it has read a range, it takes the next one. */
final class Lane implements RowSource {
    private final Database database;
    private final Ranges ranges;
    private final int fetchRows;
    /** Of this lane alone: whatever it does at the moment ends when another one fails. */
    private final Cancel cancel = new Cancel();
    private final Cancel.Registration registration;
    /** Those of the first range's query; all others have the same. */
    private List<ColumnInfo> columns;
    private int[] indexes;
    private RowSource current;

    /** A lane that has its first range. */
    Lane(Database database, Ranges ranges, int fetchRows, Cancel request) throws Failure {
        this(database, ranges, fetchRows, request, null);
        try {
            open(ranges.next(database, cancel));
        } catch (Failure e) {
            close();
            throw e;
        }
        columns = current.columns();
    }

    /** A lane that takes its first range when it begins to read. */
    Lane(Database database, Ranges ranges, int fetchRows, Cancel request, List<ColumnInfo> columns) throws Failure {
        this.database = database;
        this.ranges = ranges;
        this.fetchRows = fetchRows;
        this.columns = columns;
        this.registration = request.onCancel(this::abort);
    }

    private void open(String sql) throws Failure {
        current = columns == null ? database.kind().rowSource(database, sql, fetchRows, cancel)
            : database.kind().rowSource(database, sql, columns, fetchRows, cancel);
        if (indexes != null) {
            current.select(indexes);
        }
    }

    @Override
    public List<ColumnInfo> columns() {
        return columns;
    }

    @Override
    public void select(int[] selected) throws Failure {
        indexes = selected;
        if (current != null) {
            current.select(selected);
        }
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        if (current == null) {
            String sql = ranges.next(database, cancel);
            if (sql == null) {
                return false;
            }
            open(sql);
        }
        if (!current.fill(block, firstRow)) {
            current.close();
            current = null;
        }
        return true;
    }

    @Override
    public void abort() {
        if (!cancel.cancel()) {
            cancel.repeat();
        }
    }

    @Override
    public void close() {
        registration.close();
        if (current != null) {
            current.close();
        }
        cancel.finish();
    }
}
