package jrunner.kinds;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.InvocationTargetException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;

/** The driver's {@code DuckDBAppender} for one table, by reflection. Used by one thread, the one that made it. */
final class DuckdbAppender {
    private final Object appender;
    private final MethodHandle beginRow;
    private final MethodHandle endRow;
    private final MethodHandle appendNull;

    /** @param table the table's name, its schema and catalog before it where it has them */
    DuckdbAppender(Connection connection, List<String> table) throws SQLException {
        Class<?>[] types = new Class<?>[table.size()];
        java.util.Arrays.fill(types, String.class);
        try {
            appender = connection.getClass().getMethod("createAppender", types).invoke(connection, table.toArray());
        } catch (InvocationTargetException e) {
            throw e.getCause() instanceof SQLException ? (SQLException) e.getCause() : new SQLException(e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new SQLException("this driver has no appender for " + types.length + " names: take a newer one", e);
        }
        beginRow = method("beginRow");
        endRow = method("endRow");
        appendNull = method("appendNull");
    }

    /** A method of the appender that takes these and gives nothing, to be called by {@code invokeExact}. */
    MethodHandle method(String name, Class<?>... takes) throws SQLException {
        try {
            MethodHandle found = MethodHandles.publicLookup().unreflect(appender.getClass().getMethod(name, takes));
            return found.bindTo(appender).asType(MethodType.methodType(void.class, takes));
        } catch (ReflectiveOperationException e) {
            throw new SQLException("this driver's appender has no " + name + ": take version 1.4 or newer", e);
        }
    }

    void beginRow() throws Throwable {
        beginRow.invokeExact();
    }

    void endRow() throws Throwable {
        endRow.invokeExact();
    }

    void appendNull() throws Throwable {
        appendNull.invokeExact();
    }

    /** Writes what is left. */
    void close() throws SQLException {
        try {
            ((AutoCloseable) appender).close();
        } catch (SQLException e) {
            throw e;
        } catch (Exception e) {
            throw new SQLException(e);
        }
    }
}
