package jrunner.kinds;

import java.lang.reflect.Method;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;

/**
 * The declared types of an SQLite result's columns, word for word.
 *
 * <p>The Xerial driver's metadata drops sizes, and calls a column without any type NUMERIC, so the driver's native
 * calls are asked instead, by reflection. Where they are not found the metadata has to do.
 */
final class SqliteDeclared {
    private SqliteDeclared() {
    }

    /** One type a column; empty for a column without one. Null if the driver cannot be asked. */
    static String[] types(ResultSetMetaData meta) throws SQLException {
        if (!(meta instanceof ResultSet)) {
            return null;
        }
        try {
            Statement statement = ((ResultSet) meta).getStatement();
            long pointer = SqliteHandle.of(statement);
            Object db = statement.getClass().getMethod("getDatabase").invoke(statement);
            Method declared = Class.forName("org.sqlite.core.DB", true, statement.getClass().getClassLoader())
                .getMethod("column_decltype", long.class, int.class);
            String[] types = new String[meta.getColumnCount()];
            for (int i = 0; i < types.length; i++) {
                String type = (String) declared.invoke(db, pointer, i);
                types[i] = type == null ? "" : type;
            }
            return types;
        } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
            return null;
        }
    }
}
