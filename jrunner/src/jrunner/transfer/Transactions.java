package jrunner.transfer;

import java.sql.SQLException;
import jrunner.db.Database;

/** Ends transactions where nothing more can be done about an error. */
final class Transactions {
    private Transactions() {
    }

    /**
     * Ends a transaction that has only read. By a commit, if that goes: SQLite's driver begins another one behind a rollback, with
     * the lock of a writer.
     */
    static void endRead(Database db) {
        try {
            db.connection().setAutoCommit(true);
        } catch (SQLException | RuntimeException e) {
            rollback(db);
        }
    }

    /** Rolls back and returns to autocommit, unless it is held. A connection that cannot is broken: its next use says so. */
    static void rollback(Database db) {
        if (db.isHeld()) {
            return;
        }
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
