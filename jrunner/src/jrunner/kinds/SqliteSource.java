package jrunner.kinds;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.transfer.Block;
import jrunner.transfer.RowSource;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;

/**
 * Reads SQLite through the driver's native calls: the storage class of each cell, then its value without an object for
 * it, and text as the UTF-8 bytes that the file holds. The ordinary getters cost twice the time.
 *
 * <p>Rests on classes inside of the Xerial driver, found by reflection; {@link #open} gives null where they differ, or
 * where the file's text is UTF-16, and {@code ResultSource} then does the work.
 */
final class SqliteSource implements RowSource {
    private static final int INTEGER = 1;
    private static final int FLOAT = 2;
    private static final int TEXT = 3;
    private static final int BLOB = 4;

    private final String sql;
    private final Statement statement;
    private final Cancel.Registration registration;
    private final ResultSet result;
    private final List<ColumnInfo> columns;
    private final MethodHandle columnType;
    private final MethodHandle columnLong;
    private final MethodHandle columnDouble;
    private final MethodHandle columnBlob;
    private final long pointer;
    private int[] indexes;

    private SqliteSource(Database db, String sql, Statement statement, Cancel.Registration registration)
            throws SQLException, ReflectiveOperationException {
        this.sql = sql;
        this.statement = statement;
        this.registration = registration;
        Class<?> dbClass = Class.forName("org.sqlite.core.DB", true, db.driverLoader());
        Object nativeDb = statement.getClass().getMethod("getDatabase").invoke(statement);
        columnType = handle(dbClass, nativeDb, "column_type", int.class);
        columnLong = handle(dbClass, nativeDb, "column_long", long.class);
        columnDouble = handle(dbClass, nativeDb, "column_double", double.class);
        columnBlob = handle(dbClass, nativeDb, "column_blob", byte[].class);
        result = statement.executeQuery(sql);
        columns = db.kind().columns(result.getMetaData());
        pointer = SqliteHandle.of(statement);
    }

    private static MethodHandle handle(Class<?> type, Object on, String name, Class<?> returns)
            throws ReflectiveOperationException {
        return MethodHandles.publicLookup().findVirtual(type, name,
            MethodType.methodType(returns, long.class, int.class)).bindTo(on);
    }

    /** A source, or null if this driver or file cannot be read this way. */
    static SqliteSource open(Database db, String sql, Cancel cancel) throws Failure {
        Statement statement = null;
        Cancel.Registration registration = null;
        try {
            statement = db.connection().createStatement();
            try (ResultSet encoding = statement.executeQuery("PRAGMA encoding")) {
                if (!encoding.next() || !"UTF-8".equals(encoding.getString(1))) {
                    statement.close();
                    return null;
                }
            }
            registration = cancel.register(statement);
            return new SqliteSource(db, sql, statement, registration);
        } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
            close(statement, registration);
            return null;
        } catch (SQLException | Failure e) {
            close(statement, registration);
            cancel.throwIfCancelled();
            throw Failure.from("read", e, sql);
        }
    }

    private static void close(Statement statement, Cancel.Registration registration) {
        Database.closeQuietly(registration);
        Database.closeQuietly(statement);
    }

    @Override
    public List<ColumnInfo> columns() {
        return columns;
    }

    @Override
    public void select(int[] selected) {
        indexes = selected;
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        try {
            while (!block.isFull()) {
                if (!result.next()) {
                    return false;
                }
                int row = block.rows;
                for (int i = 0; i < indexes.length; i++) {
                    cell(block.columns[i], row, indexes[i]);
                }
                block.rows = row + 1;
            }
            return true;
        } catch (SQLException e) {
            throw Failure.sql("read", e, sql);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw Failure.from("read", e, sql);
        }
    }

    private void cell(Cells cells, int row, int column) throws Throwable {
        switch ((int) columnType.invokeExact(pointer, column)) {
            case INTEGER:
                cells.setInt(row, (long) columnLong.invokeExact(pointer, column));
                break;
            case FLOAT:
                cells.setDouble(row, (double) columnDouble.invokeExact(pointer, column));
                break;
            case TEXT:
                bytes(cells, row, column, Cells.TEXT);
                break;
            case BLOB:
                bytes(cells, row, column, Cells.BINARY);
                break;
            default:
                cells.setNull(row);
                break;
        }
    }

    private void bytes(Cells cells, int row, int column, byte tag) throws Throwable {
        byte[] value = (byte[]) columnBlob.invokeExact(pointer, column);
        // The driver gives null for no bytes, too.
        cells.append(row, tag, value == null ? NONE : value, 0, value == null ? 0 : value.length);
    }

    private static final byte[] NONE = {};

    @Override
    public void abort() {
        try {
            statement.cancel();
        } catch (SQLException | RuntimeException e) {
            // The reader looks at the pump's state between blocks.
        }
    }

    @Override
    public void close() {
        close(statement, registration);
    }
}
