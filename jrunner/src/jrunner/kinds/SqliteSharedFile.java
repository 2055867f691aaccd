package jrunner.kinds;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.Set;
import jrunner.db.Database;
import jrunner.transfer.LoadGuard;

/**
 * Lets one SQLite file be source and destination at once.
 *
 * <p>While rows are read, the file cannot be written to: a writer whose page cache is full would wait for the reader, the
 * reader for the writer to take its rows, and both for ever. So for such a migration the writer keeps its changed pages in
 * (native) memory until the commit, when the reader has ended. Files in WAL mode need none of this.
 */
final class SqliteSharedFile implements LoadGuard {
    private final Database dest;

    private SqliteSharedFile(Database dest) {
        this.dest = dest;
    }

    /** Prepares {@code dest} where both connections, to SQLite, have a file in common; else null. */
    static LoadGuard guard(Database source, Database dest) {
        try {
            Set<String> shared = files(dest);
            shared.retainAll(files(source));
            if (shared.isEmpty()) {
                return null;
            }
            spill(dest, false);
            return new SqliteSharedFile(dest);
        } catch (SQLException e) {
            // The migration will say what is wrong.
            return null;
        }
    }

    private static Set<String> files(Database database) throws SQLException {
        Set<String> files = new HashSet<>();
        try (Statement statement = database.statement();
                ResultSet rows = statement.executeQuery("PRAGMA database_list")) {
            while (rows.next()) {
                String file = rows.getString(3);
                // In-memory databases have no file, and belong to one connection alone.
                if (file != null && !file.isEmpty()) {
                    files.add(file);
                }
            }
        }
        return files;
    }

    private static void spill(Database database, boolean on) throws SQLException {
        try (Statement statement = database.statement()) {
            statement.execute("PRAGMA cache_spill = " + (on ? "ON" : "OFF"));
        }
    }

    @Override
    public void close() {
        try {
            spill(dest, true);
        } catch (SQLException e) {
            // A broken connection: its next use says so.
        }
    }
}
