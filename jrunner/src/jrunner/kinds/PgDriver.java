package jrunner.kinds;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.SQLException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jrunner.Failure;
import jrunner.db.Database;

/**
 * The parts of PostgreSQL's driver that JDBC has no name for: COPY and cancelling it. Reached by reflection through the
 * driver's own class loader, since jrunner is compiled without any driver.
 */
final class PgDriver {
    private final Object manager;
    private final Object connection;
    private final Method copyIn;
    private final Method copyOut;
    private final Method writeToCopy;
    private final Method endCopy;
    private final Method readFromCopy;
    private final Method cancelCopy;
    private final Method isActive;
    private final Method handledRows;
    private final Method cancelQuery;

    private PgDriver(Database db) throws ReflectiveOperationException, SQLException {
        ClassLoader loader = db.driverLoader();
        Class<?> pgConnection = Class.forName("org.postgresql.PGConnection", true, loader);
        connection = db.connection().unwrap(pgConnection);
        manager = invokeDirectly(pgConnection.getMethod("getCopyAPI"), connection);
        Class<?> managerClass = Class.forName("org.postgresql.copy.CopyManager", true, loader);
        Class<?> in = Class.forName("org.postgresql.copy.CopyIn", true, loader);
        Class<?> out = Class.forName("org.postgresql.copy.CopyOut", true, loader);
        Class<?> operation = Class.forName("org.postgresql.copy.CopyOperation", true, loader);
        copyIn = managerClass.getMethod("copyIn", String.class);
        copyOut = managerClass.getMethod("copyOut", String.class);
        writeToCopy = in.getMethod("writeToCopy", byte[].class, int.class, int.class);
        endCopy = in.getMethod("endCopy");
        readFromCopy = out.getMethod("readFromCopy");
        cancelCopy = operation.getMethod("cancelCopy");
        isActive = operation.getMethod("isActive");
        handledRows = operation.getMethod("getHandledRowCount");
        Method cancel;
        try {
            cancel = pgConnection.getMethod("cancelQuery");
        } catch (NoSuchMethodException e) {
            cancel = null;
        }
        cancelQuery = cancel;
    }

    private static Object invokeDirectly(Method method, Object on) throws ReflectiveOperationException {
        return method.invoke(on);
    }

    /** The driver's COPY, or null if the connection's driver has none (another driver for the same kind). */
    static PgDriver of(Database db) {
        try {
            return new PgDriver(db);
        } catch (ReflectiveOperationException | SQLException | RuntimeException | LinkageError e) {
            return null;
        }
    }

    private static Object call(Method method, Object on, Object... arguments) throws SQLException {
        try {
            return method.invoke(on, arguments);
        } catch (InvocationTargetException e) {
            Throwable cause = e.getCause();
            if (cause instanceof SQLException) {
                throw (SQLException) cause;
            }
            if (cause instanceof RuntimeException) {
                throw (RuntimeException) cause;
            }
            if (cause instanceof Error) {
                throw (Error) cause;
            }
            throw new SQLException(cause.toString(), cause);
        } catch (IllegalAccessException e) {
            throw new SQLException("the PostgreSQL driver does not let its COPY interface be called", e);
        }
    }

    /** Asks the server to cancel what this connection runs. May be called from any thread. */
    void cancelQuery() {
        try {
            if (cancelQuery != null) {
                call(cancelQuery, connection);
            }
        } catch (SQLException | RuntimeException e) {
            // Nothing was running, or the server is gone.
        }
    }

    In copyIn(String sql) throws SQLException {
        return new In(call(copyIn, manager, sql));
    }

    Out copyOut(String sql) throws SQLException {
        return new Out(call(copyOut, manager, sql));
    }

    /** A running {@code COPY ... FROM STDIN}. */
    final class In {
        private final Object operation;

        private In(Object operation) {
            this.operation = operation;
        }

        void write(byte[] bytes, int from, int length) throws SQLException {
            call(writeToCopy, operation, bytes, from, length);
        }

        /** @return rows as counted by the server */
        long end() throws SQLException {
            return (Long) call(endCopy, operation);
        }

        /** Ends a COPY that is still under way; the server then rolls it back. */
        void abort() {
            try {
                if ((Boolean) call(isActive, operation)) {
                    call(cancelCopy, operation);
                }
            } catch (SQLException | RuntimeException e) {
                // The server's answer to a cancel is an error, as it should be.
            }
        }
    }

    /** A running {@code COPY ... TO STDOUT}. */
    final class Out {
        private final Object operation;

        private final AtomicBoolean cancelled = new AtomicBoolean();

        private Out(Object operation) {
            this.operation = operation;
        }

        /**
         * Asks the server, once, to stop sending. May be called from any thread; the reader has to {@link #drain} then.
         */
        void cancel() {
            // A second cancel could arrive late and hit the connection's next statement.
            if (cancelled.compareAndSet(false, true)) {
                cancelQuery();
            }
        }

        /** The next row's bytes; null at the end. */
        byte[] read() throws SQLException {
            return (byte[]) call(readFromCopy, operation);
        }

        /** Rows as counted by the server, known at the end. */
        long rows() throws SQLException {
            return (Long) call(handledRows, operation);
        }

        /**
         * Ends a COPY that is still under way, reading what the server has sent already. (The driver's own cancelCopy
         * does not read it, and the connection's next statement would find it.)
         */
        void drain() {
            try {
                if ((Boolean) call(isActive, operation)) {
                    cancel();
                    while (read() != null) {
                        // Thrown away.
                    }
                }
            } catch (SQLException | RuntimeException e) {
                // The server's answer to the cancel, behind which the connection is free again.
            }
        }
    }

    /**
     * The failure of a COPY into a table. The server's CONTEXT names line and column; a value that it refuses (SQLState
     * class 22) is the protocol's code {@code value}.
     */
    static Failure copyFailure(SQLException thrown, String statement) {
        Failure failure = Failure.sql("write", thrown, statement);
        String message = String.valueOf(thrown.getMessage());
        Matcher where = Pattern.compile("COPY .*, line (\\d+)(?:, column ([^:\\n]+))?").matcher(message);
        boolean found = where.find();
        String state = failure.sqlState();
        if (state != null && state.startsWith("22") && found) {
            String first = failure.getMessage().split("\n", 2)[0];
            Failure value = Failure.of("write", Failure.VALUE, first + " (SQLState " + state + ")",
                thrown).statement(statement);
            return value.row(Long.parseLong(where.group(1))).column(where.group(2));
        }
        if (found) {
            failure.row(Long.parseLong(where.group(1)));
            if (where.group(2) != null) {
                failure.column(where.group(2));
            }
        }
        return failure;
    }
}
