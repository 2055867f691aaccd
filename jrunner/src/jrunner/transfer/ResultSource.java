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
import jrunner.types.Family;

/** Reads a query through a JDBC cursor: the rows are never in memory together, whichever the driver. */
final class ResultSource implements RowSource {
    private static final int FETCH_ROWS = 1000;
    private static final int LONG_VALUE = 10_000;

    private final Database db;
    private final String sql;
    private final Statement statement;
    private final Cancel.Registration registration;
    private final ResultSet result;
    private final List<ColumnInfo> columns;
    private final boolean inTransaction;
    private int[] indexes;
    private CellReader[] readers;

    ResultSource(Database db, String sql, int fetchRows, Cancel cancel) throws Failure {
        this.db = db;
        this.sql = sql;
        // pgjdbc uses a cursor only inside a transaction.
        this.inTransaction = db.kind().equals("postgresql");
        boolean isMysql = db.kind().equals("mariadb") || db.kind().equals("mysql");
        Statement opened = null;
        Cancel.Registration registered = null;
        try {
            Connection connection = db.connection();
            if (inTransaction) {
                connection.setAutoCommit(false);
            }
            opened = connection.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY);
            List<ColumnInfo> described = isMysql ? ColumnInfo.describe(db, sql, false, cancel) : null;
            int usual = described != null && holdsLongValues(described) ? 1 : FETCH_ROWS;
            setFetch(opened, fetchRows > 0 ? fetchRows : usual);
            registered = cancel.register(opened);
            result = opened.executeQuery(described == null ? sql : exactFloats(db, sql, described));
            columns = described == null ? ColumnInfo.of(db, result.getMetaData()) : described;
        } catch (SQLException | Failure e) {
            statement = opened;
            registration = registered;
            end();
            cancel.throwIfCancelled();
            throw Failure.from("read", e, sql);
        }
        statement = opened;
        registration = registered;
    }

    /** MariaDB's driver holds as many rows as are fetched at a time; where each may be huge, one must be enough. */
    private static boolean holdsLongValues(List<ColumnInfo> columns) {
        for (ColumnInfo column : columns) {
            Family family = column.family();
            boolean bytes = family == Family.TEXT || family == Family.JSON || family == Family.BINARY;
            if (bytes && (column.precision() == 0 || column.precision() > LONG_VALUE)) {
                return true;
            }
        }
        return false;
    }

    private static void setFetch(Statement statement, int rows) throws SQLException {
        // MySQL's own driver streams only at this magic number, and reads everything into memory at any other.
        boolean connectorJ = statement.getClass().getName().startsWith("com.mysql");
        statement.setFetchSize(connectorJ ? Integer.MIN_VALUE : rows);
    }

    /** MySQL prints a FLOAT with six digits, which loses some; as a DOUBLE it comes whole. */
    private static String exactFloats(Database db, String sql, List<ColumnInfo> columns) {
        StringBuilder list = new StringBuilder();
        boolean any = false;
        for (ColumnInfo column : columns) {
            String name = db.quote(column.name());
            boolean isFloat = column.family() == Family.FLOAT32;
            any |= isFloat;
            list.append(list.length() == 0 ? "" : ", ").append(isFloat ? name + " + 0e0 AS " + name : name);
        }
        return any ? "SELECT " + list + " FROM (" + sql + "\n) AS q" : sql;
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
            readers[i] = CellReader.of(db, columns.get(selected[i]));
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
    public void close() {
        end();
    }

    private void end() {
        if (registration != null) {
            registration.close();
        }
        try {
            if (statement != null) {
                statement.close();
            }
        } catch (SQLException | RuntimeException e) {
            // Nothing depends on it.
        }
        if (inTransaction) {
            Transactions.rollback(db);
        }
    }
}
