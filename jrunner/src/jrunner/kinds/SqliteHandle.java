package jrunner.kinds;

import java.lang.reflect.Field;
import java.sql.Statement;

/** SQLite's own handle of a prepared statement, for the native calls of the Xerial driver that take one. */
final class SqliteHandle {
    private SqliteHandle() {
    }

    /**
     * The handle, valid until the statement is closed or prepared anew.
     *
     * @throws ReflectiveOperationException if the driver keeps it elsewhere
     */
    static long of(Statement statement) throws ReflectiveOperationException {
        Object value = statement.getClass().getField("pointer").get(statement);
        if (value instanceof Long) {
            return (Long) value;
        }
        // Since version 3.40 an object that guards against use after close.
        Field inner = value.getClass().getDeclaredField("ptr");
        inner.setAccessible(true);
        return inner.getLong(value);
    }
}
