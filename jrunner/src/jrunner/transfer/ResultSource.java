package jrunner.transfer;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.types.BadValue;
import jrunner.types.CellReader;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;

/** Reads a query through a JDBC cursor: the rows are never in memory together, whichever the driver. */
public final class ResultSource implements RowSource {
    private static final int FETCH_ROWS = 1000;

    private final Database db;
    private final String sql;
    private final Statement statement;
    private final Cancel.Registration registration;
    private final ResultSet result;
    private final List<ColumnInfo> columns;
    private final boolean inTransaction;
    private int[] indexes;
    private CellReader[] readers;

    /** @param fetchRows rows fetched at a time, 0 for the usual number */
    public ResultSource(Database db, String sql, int fetchRows, Cancel cancel) throws Failure {
        this(db, sql, sql, null, fetchRows, cancel);
    }

    /**
     * @param sql the query, for messages
     * @param executed what is executed for it
     * @param described its columns, null to take those of the result
     */
    public ResultSource(Database db, String sql, String executed, List<ColumnInfo> described, int fetchRows, Cancel cancel)
            throws Failure {
        this.db = db;
        this.sql = sql;
        this.inTransaction = db.kind().isCursorInTransaction();
        Statement opened = null;
        Cancel.Registration registered = null;
        try {
            Connection connection = db.connection();
            if (inTransaction) {
                connection.setAutoCommit(false);
            }
            opened = connection.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY);
            db.kind().setFetchSize(opened, fetchRows > 0 ? fetchRows : FETCH_ROWS);
            registered = cancel.register(opened);
            result = opened.executeQuery(executed);
            columns = described == null ? db.kind().columns(result.getMetaData()) : described;
        } catch (SQLException | Failure e) {
            statement = opened;
            registration = registered;
            close();
            cancel.throwIfCancelled();
            throw Failure.from("read", e, sql);
        }
        statement = opened;
        registration = registered;
    }

    @Override
    public List<ColumnInfo> columns() {
        return columns;
    }

    @Override
    public void select(int[] selected) {
        indexes = selected;
        readers = new CellReader[selected.length];
        for (int i = 0; i < selected.length; i++) {
            readers[i] = db.kind().reader(db, columns.get(selected[i]));
        }
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        int column = 0;
        try {
            while (!block.isFull()) {
                if (!result.next()) {
                    return false;
                }
                int row = block.rows;
                Cells[] cells = block.columns;
                for (column = 0; column < readers.length; column++) {
                    readers[column].read(result, indexes[column] + 1, cells[column], row);
                }
                block.rows = row + 1;
            }
            return true;
        } catch (SQLException e) {
            throw Failure.sql("read", e, sql);
        } catch (BadValue e) {
            throw Failure.value("read", columns.get(indexes[column]).name(), firstRow + block.rows, e.getMessage());
        }
    }

    @Override
    public void abort() {
        try {
            statement.cancel();
        } catch (SQLException | RuntimeException | AbstractMethodError e) {
            // The reader looks at the pump's state between blocks.
        }
    }

    @Override
    public final void close() {
        Database.closeQuietly(registration);
        Database.closeQuietly(statement);
        if (inTransaction) {
            Transactions.rollback(db);
        }
    }
}
