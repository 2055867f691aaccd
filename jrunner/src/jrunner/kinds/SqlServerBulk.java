package jrunner.kinds;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import jrunner.db.Database;

/**
 * SQL Server's bulk copy, by way of its driver's own rewriting of batched inserts: the driver keeps the conversions of
 * types, and bulk copy takes the rows.
 *
 * <p>Used only with a driver (Microsoft's, from version 12 on) that can be told to check constraints, fire triggers and
 * keep NULLs: bulk copy alone would leave constraints unchecked and put defaults for NULLs.
 */
final class SqlServerBulk {
    private static final List<String> SETTINGS = List.of("setBulkCopyForBatchInsertCheckConstraints",
        "setBulkCopyForBatchInsertFireTriggers", "setBulkCopyForBatchInsertKeepNulls", "setUseBulkCopyForBatchInsert");

    private SqlServerBulk() {
    }

    /** Turns it on for the statements prepared next; false if the driver has no such thing. */
    static boolean enable(Database db) {
        return set(db, true);
    }

    /** Turns it off. */
    static void disable(Database db) {
        set(db, false);
    }

    private static boolean set(Database db, boolean on) {
        try {
            Class<?> type = Class.forName("com.microsoft.sqlserver.jdbc.SQLServerConnection", true, db.driverLoader());
            Connection connection = (Connection) db.connection().unwrap(type);
            for (String setting : SETTINGS) {
                type.getMethod(setting, boolean.class);
            }
            for (String setting : SETTINGS) {
                type.getMethod(setting, boolean.class).invoke(connection, on);
            }
            return true;
        } catch (ReflectiveOperationException | SQLException | RuntimeException | LinkageError e) {
            return false;
        }
    }
}
