package jrunner.transfer;

import java.sql.SQLException;
import jrunner.db.Database;

/** Ends transactions where nothing more can be done about an error. */
final class Transactions {
    private Transactions() {
    }

    /**
     * Begins the transaction of a load. SQLite's connections begin immediate transactions (see {@link jrunner.db.Kind}), which lock
     * every attached file: a load writes to one of them from its first statement on and leaves the others to their writers.
     */
    static void begin(Database db) throws SQLException {
        sqliteMode(db, "DEFERRED");
        try {
            db.connection().setAutoCommit(false);
        } finally {
            sqliteMode(db, "IMMEDIATE");
        }
    }

    private static void sqliteMode(Database db, String mode) {
        if (!db.kind().equals("sqlite")) {
            return;
        }
        try {
            Object config = db.connection().getClass().getMethod("getConnectionConfig").invoke(db.connection());
            Class<?> modes = Class.forName("org.sqlite.SQLiteConfig$TransactionMode", true, db.driverLoader());
            Object chosen = modes.getMethod("valueOf", String.class).invoke(null, mode);
            config.getClass().getMethod("setTransactionMode", modes).invoke(config, chosen);
        } catch (ReflectiveOperationException e) {
            // Another driver for SQLite: its loads keep other writers waiting, nothing worse.
        }
    }

    /** Rolls back and returns to autocommit. A connection that cannot is broken: its next use says so. */
    static void rollback(Database db) {
        try {
            if (!db.connection().getAutoCommit()) {
                db.connection().rollback();
                db.connection().setAutoCommit(true);
            }
        } catch (SQLException | RuntimeException e) {
            // Not setAutoCommit after a rollback that failed: by JDBC's rules it would commit. The database rolls back
            // a connection that is gone, and the session checks a connection before it is used again.
        }
    }
}
