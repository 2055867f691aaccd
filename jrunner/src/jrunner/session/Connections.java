package jrunner.session;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Connector;
import jrunner.db.Database;

/**
 * The session's open connections by name.
 *
 * <p>The scheduler sees to it that only one request at a time uses a name; this class may be read from any thread.
 */
final class Connections {
    /** How long a close may take; an embedded database may have to write out what it holds. */
    private static final long CLOSE_MS = 10_000;

    private final Map<String, Database> open = new ConcurrentHashMap<>();
    private final Set<String> lost = ConcurrentHashMap.newKeySet();

    /** What {@link #open} did. */
    static final class Opened {
        final Database database;
        final boolean reused;

        Opened(Database database, boolean reused) {
            this.database = database;
            this.reused = reused;
        }
    }

    /** Opens {@code name}, or keeps it when it is open with the same parameters and answers. */
    Opened open(String name, ConnectSpec spec, Cancel cancel) throws Failure {
        Database present = open.get(name);
        if (present != null) {
            release(present);
            boolean same = present.spec().sameConnection(spec);
            if (same && Connector.isAlive(present, cancel)) {
                Connector.setApplicationName(present, spec.applicationName);
                return new Opened(present, true);
            }
            open.remove(name);
            if (same) {
                // It does not answer: a driver that says goodbye first would wait for ever.
                abort(present);
            } else {
                closeSoon(present);
            }
        }
        List<Database> readers = spec.writes ? closeReaders(spec) : List.of();
        try {
            Database database = Connector.open(name, spec, cancel);
            open.put(name, database);
            lost.remove(name);
            return new Opened(database, false);
        } finally {
            reopen(readers);
        }
    }

    /** Closes, and gives, what keeps a database of {@link jrunner.kinds.Kind#isOpenedOneWay} from being opened to write. */
    private List<Database> closeReaders(ConnectSpec spec) {
        List<Database> readers = new ArrayList<>();
        for (Database other : open.values()) {
            if (other.kind().isOpenedOneWay() && other.spec().url.equals(spec.url)) {
                if (other.spec().writes) {
                    return List.of();
                }
                readers.add(other);
            }
        }
        readers.forEach(reader -> close(reader.name()));
        return readers;
    }

    /** They share the writer's database now, or open it as before where there is none. */
    private void reopen(List<Database> readers) {
        for (Database reader : readers) {
            try {
                open.put(reader.name(), reader.openSibling());
            } catch (Failure e) {
                lost.add(reader.name());
            }
        }
    }

    /** The connection, without an open transaction. */
    Database get(String name) throws Failure {
        release(held(name));
        return held(name);
    }

    /** Ends the transaction of a connection that is held. */
    private void release(Database database) {
        if (database.isHeld()) {
            database.hold(false);
            if (!reset(database)) {
                drop(database.name(), database);
            }
        }
    }

    /** The connection as it is: held, perhaps. */
    Database held(String name) throws Failure {
        Database database = open.get(name);
        if (database == null) {
            String message = lost.contains(name)
                    ? "connection '" + name + "' was lost and closed; open it again"
                    : "connection '" + name + "' is not open";
            throw Failure.of(null, Failure.NOT_OPEN, message);
        }
        return database;
    }

    List<String> names() {
        return new ArrayList<>(open.keySet());
    }

    /** Closes {@code name}; false if it was not open. */
    boolean close(String name) {
        lost.remove(name);
        Database database = open.remove(name);
        if (database == null) {
            return false;
        }
        closeSoon(database);
        return true;
    }

    /** Closes it, or cuts it when the driver does not come back: its server may be gone without a word. */
    private static void closeSoon(Database database) {
        Thread thread = new Thread(database::close, "close " + database.name());
        thread.setDaemon(true);
        thread.start();
        try {
            thread.join(CLOSE_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (thread.isAlive()) {
            abort(database);
        }
    }

    /**
     * Leaves the connection as the next request expects it: no open transaction, autocommit on; held, where the request asked
     * for that and went well. One that cannot be brought there, or that {@code failure} (may be null) says is gone, is closed and forgotten.
     */
    void settle(String name, Failure failure) {
        Database database = open.get(name);
        if (database == null || database.isHeld() && failure == null) {
            return;
        }
        database.hold(false);
        boolean usable = failure == null || !Failure.CONNECTION_LOST.equals(failure.code());
        if (usable) {
            usable = reset(database);
        } else if (Connector.answers(database)) {
            // The error came from another connection of the same request.
            usable = reset(database);
        }
        if (!usable) {
            drop(name, database);
        }
    }

    private static boolean reset(Database database) {
        Connection connection = database.connection();
        try {
            if (connection.isClosed()) {
                return false;
            }
            if (!connection.getAutoCommit()) {
                rollback(database);
                connection.setAutoCommit(true);
            }
            return true;
        } catch (SQLException | RuntimeException e) {
            return false;
        }
    }

    private static void rollback(Database database) throws SQLException {
        try {
            database.connection().rollback();
        } catch (SQLException first) {
            database.kind().beforeSecondRollback(database);
            // A cancel that arrived late can hit the rollback itself; the second one is not disturbed.
            database.connection().rollback();
        }
    }

    private void drop(String name, Database database) {
        if (open.remove(name, database)) {
            lost.add(name);
        }
        abort(database);
    }

    /** Cuts the connection without waiting for the driver: for one that hangs. */
    void abort(String name) {
        Database database = open.get(name);
        if (database != null) {
            drop(name, database);
        }
    }

    private static void abort(Database database) {
        Thread thread = new Thread(() -> {
            try {
                database.connection().abort(Runnable::run);
            } catch (SQLException | RuntimeException | LinkageError e) {
                // Not supported, or broken already: close does what can be done.
            }
            database.close();
        }, "abort " + database.name());
        thread.setDaemon(true);
        thread.start();
    }

    /** Closes all connections side by side, waiting at most {@code waitMs} in total. */
    void closeAll(long waitMs) {
        List<Thread> threads = new ArrayList<>();
        for (Map.Entry<String, Database> entry : open.entrySet()) {
            if (!open.remove(entry.getKey(), entry.getValue())) {
                continue;
            }
            Thread thread = new Thread(entry.getValue()::close, "close " + entry.getKey());
            thread.setDaemon(true);
            thread.start();
            threads.add(thread);
        }
        long deadline = System.nanoTime() + waitMs * 1_000_000;
        for (Thread thread : threads) {
            long left = (deadline - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                return;
            }
            try {
                thread.join(left);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }
}
