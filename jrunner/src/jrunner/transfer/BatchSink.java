package jrunner.transfer;

import java.sql.BatchUpdateException;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Collections;
import java.util.List;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.kinds.Kind;
import jrunner.types.BadValue;
import jrunner.types.Cells;

/** Writes by prepared inserts, sent in batches limited by rows and by bytes. */
final class BatchSink implements RowSink {
    private static final int ROWS = 1000;
    private static final int BYTES = 4 << 20;

    private final List<Target> targets;
    private final Binder[] binders;
    private final int[] nullTypes;
    private final int batchRows;
    private final String sql;
    private final PreparedStatement statement;
    private int pending;
    private long pendingBytes;
    private long pendingFirst;
    private long sent;
    private long counted;
    private long bytes;

    BatchSink(Load load, int batchRows) throws Failure {
        Kind kind = load.dest.kind();
        this.targets = load.targets;
        this.batchRows = batchRows > 0 ? batchRows : ROWS;
        binders = new Binder[targets.size()];
        nullTypes = new int[targets.size()];
        for (int i = 0; i < binders.length; i++) {
            binders[i] = kind.binder(targets.get(i));
            nullTypes[i] = kind.nullType(targets.get(i).info);
        }
        sql = "INSERT INTO " + load.table + " (" + load.columns + ") VALUES ("
            + String.join(", ", Collections.nCopies(binders.length, "?")) + ")";
        try {
            statement = load.dest.connection().prepareStatement(sql);
        } catch (SQLException e) {
            throw Failure.sql("write", e, sql);
        }
    }

    @Override
    public void write(Block block) throws Failure {
        // The block's values belong to its rows evenly enough for a limit.
        long bytesPerRow = block.estimatedBytes() / block.rows;
        for (int row = 0; row < block.rows; row++) {
            if (pending == 0) {
                pendingFirst = block.firstRow + row;
            }
            bind(block, row);
            pending++;
            pendingBytes += bytesPerRow;
            if (pending >= batchRows || pendingBytes >= BYTES) {
                send();
            }
        }
    }

    private void bind(Block block, int row) throws Failure {
        int column = 0;
        try {
            for (; column < binders.length; column++) {
                Cells cells = block.columns[column];
                if (cells.tag[row] == Cells.NULL) {
                    statement.setNull(column + 1, nullTypes[column]);
                } else {
                    binders[column].bind(statement, column + 1, cells, row);
                }
            }
            statement.addBatch();
        } catch (BadValue e) {
            throw Failure.value("convert", targets.get(column).name(), block.firstRow + row, e.getMessage());
        } catch (SQLException e) {
            Failure failure = Failure.sql("write", e, sql).row(block.firstRow + row);
            throw column < binders.length ? failure.column(targets.get(column).name()) : failure;
        }
    }

    private void send() throws Failure {
        if (pending == 0) {
            return;
        }
        try {
            for (int count : statement.executeBatch()) {
                // A driver that rewrites batches knows only that it worked.
                counted += count == Statement.SUCCESS_NO_INFO ? 1 : Math.max(0, count);
            }
        } catch (BatchUpdateException e) {
            throw batchFailure(e);
        } catch (SQLException e) {
            throw rowFailure(e, 0);
        }
        sent += pending;
        bytes += pendingBytes;
        pending = 0;
        pendingBytes = 0;
    }

    private Failure batchFailure(BatchUpdateException e) {
        int[] counts = e.getUpdateCounts();
        long row = 0;
        if (counts != null && counts.length < pending) {
            // The driver stopped at the row behind the last count.
            row = pendingFirst + counts.length;
        } else if (counts != null) {
            for (int i = 0; i < counts.length; i++) {
                if (counts[i] == Statement.EXECUTE_FAILED) {
                    row = pendingFirst + i;
                    break;
                }
            }
        }
        return rowFailure(e, row);
    }

    /** A value that the database refuses (SQLState class 22) is the protocol's code {@code value}. */
    private Failure rowFailure(SQLException thrown, long row) {
        Failure failure = Failure.sql("write", thrown, sql);
        String state = failure.sqlState();
        if (state != null && state.startsWith("22")) {
            failure = Failure.of("write", Failure.VALUE, failure.getMessage() + " (SQLState " + state + ")",
                thrown).statement(sql);
            String column = namedColumn(failure.getMessage());
            if (column != null) {
                failure.column(column);
            }
        }
        return row > 0 ? failure.row(row) : failure;
    }

    /** The column that the first line of the message names: drivers quote it, or put it behind a colon. */
    private String namedColumn(String message) {
        String line = message.split("\n", 2)[0];
        String found = null;
        int first = Integer.MAX_VALUE;
        for (Target target : targets) {
            String name = target.name();
            for (String form : List.of("'" + name + "'", "\"" + name + "\"", "\"" + name + " ", "column: " + name)) {
                int at = line.indexOf(form);
                if (at >= 0 && at < first) {
                    first = at;
                    found = name;
                }
            }
        }
        return found;
    }

    @Override
    public long finish() throws Failure {
        send();
        Database.closeQuietly(statement);
        return counted;
    }

    @Override
    public void interrupt() {
        try {
            statement.cancel();
        } catch (SQLException | RuntimeException | AbstractMethodError e) {
            // The batch ends by itself.
        }
    }

    @Override
    public void abort() {
        Database.closeQuietly(statement);
    }

    @Override
    public long bytes() {
        return bytes;
    }
}
