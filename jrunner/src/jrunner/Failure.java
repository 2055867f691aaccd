package jrunner;

import java.net.UnknownHostException;
import java.sql.SQLException;
import java.sql.SQLNonTransientConnectionException;
import java.sql.SQLRecoverableException;
import java.sql.SQLTransientConnectionException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;

/**
 * Why a request failed, in the terms of the protocol: phase, code, message and what it concerns.
 *
 * <p>Everything below the session throws this and nothing else on purpose; a stray runtime exception becomes code
 * {@code internal}. Messages are kept as the driver gave them: the session redacts secrets when it prints them.
 */
public final class Failure extends Exception {
    private static final long serialVersionUID = 1L;

    /** The codes of the protocol; see jrunner/README.md for their meaning. */
    public static final String PROTOCOL = "protocol";
    public static final String DRIVER = "driver";
    public static final String CONNECT = "connect";
    public static final String NOT_OPEN = "not_open";
    public static final String SQL = "sql";
    public static final String CONNECTION_LOST = "connection_lost";
    /** What was loaded is not given back as it was read. */
    public static final String VALUES_DIFFER = "values_differ";
    public static final String COUNT_MISMATCH = "count_mismatch";
    public static final String VALUE = "value";
    public static final String COLUMNS = "columns";
    public static final String CANCELLED = "cancelled";
    public static final String INTERNAL = "internal";

    private static final Set<String> H2_LOST = Set.of("90067", "90098", "90121");

    /** Longer chains than this are repetition. */
    private static final int MAX_CAUSES = 10;

    private String phase;
    private final String code;
    private String statement;
    private Integer statementIndex;
    private String sqlState;
    private Integer vendorCode;
    private String column;
    private Long row;
    private final List<String> causes = new ArrayList<>();

    private Failure(String phase, String code, String message, Throwable cause) {
        super(message, cause);
        this.phase = phase;
        this.code = code;
    }

    /** A failure that jrunner found itself. {@code phase} may be null: the session then sets the operation's own. */
    public static Failure of(String phase, String code, String message) {
        return new Failure(phase, code, message, null);
    }

    /** As {@link #of(String, String, String)}, keeping the messages of what caused it. */
    public static Failure of(String phase, String code, String message, Throwable cause) {
        Failure failure = new Failure(phase, code, message, cause);
        failure.collectCauses(cause);
        return failure;
    }

    /** A value that the destination cannot hold. {@code row} counts from 1. */
    public static Failure value(String phase, String column, long row, String message) {
        return of(phase, VALUE, message).column(column).row(row);
    }

    /** The error of a request that was cancelled. */
    public static Failure cancelled(String phase) {
        return of(phase, CANCELLED, "cancelled");
    }

    /**
     * What a driver threw. The message is the first one that says something: a {@code BatchUpdateException} often only
     * says that a batch failed, and the reason hangs on {@code getNextException}.
     */
    public static Failure sql(String phase, SQLException thrown, String statement) {
        SQLException telling = telling(thrown);
        String message = message(telling);
        Failure failure = new Failure(phase, isConnectionLost(thrown) ? CONNECTION_LOST : SQL, message, thrown);
        failure.statement = statement;
        failure.sqlState = telling.getSQLState() != null ? telling.getSQLState() : thrown.getSQLState();
        failure.vendorCode = telling.getErrorCode() != 0 ? telling.getErrorCode() : thrown.getErrorCode();
        failure.collectCauses(thrown);
        failure.causes.remove(message);
        return failure;
    }

    /** A login that the database refused, or a host that could not be reached; {@code told} is what the driver said. */
    public static Failure connect(String url, Failure told) {
        String message = "connecting to " + Redaction.url(url) + " failed: " + told.getMessage();
        Failure failure = new Failure("open", CONNECT, message, told);
        failure.sqlState = told.sqlState;
        failure.vendorCode = told.vendorCode;
        failure.causes.addAll(told.causes);
        return failure;
    }

    /** As {@link #sql(String, SQLException, String)} for any throwable: a Failure stays itself. */
    public static Failure from(String phase, Throwable thrown, String statement) {
        if (thrown instanceof Failure) {
            return ((Failure) thrown).phaseIfAbsent(phase);
        }
        if (thrown instanceof SQLException) {
            return sql(phase, (SQLException) thrown, statement);
        }
        Failure failure = of(phase, INTERNAL, message(thrown), thrown).statement(statement);
        failure.causes.remove(failure.getMessage());
        return failure;
    }

    /** True when {@code thrown} says that the connection is gone, not merely that a statement was refused. */
    public static boolean isConnectionLost(SQLException thrown) {
        int depth = 0;
        for (Throwable t = thrown; t != null && depth < MAX_CAUSES; t = t.getCause(), depth++) {
            if (t instanceof SQLNonTransientConnectionException
                    || (t instanceof SQLTransientConnectionException && !isGeneral((SQLException) t))
                    || t instanceof SQLRecoverableException) {
                return true;
            }
            if (t instanceof SQLException) {
                String state = ((SQLException) t).getSQLState();
                // Class 08 is "connection exception"; 57P01..57P05 are PostgreSQL's shutdowns and terminations; H2 has
                // states of its own: broken connection, closed object, closed database.
                if (state != null && (state.startsWith("08") || state.startsWith("57P0") || H2_LOST.contains(state))) {
                    return true;
                }
            }
        }
        return false;
    }

    /** MariaDB's driver makes an exception of connections out of every general error, such as a lock that did not come. */
    private static boolean isGeneral(SQLException thrown) {
        return thrown.getSQLState() != null && thrown.getSQLState().startsWith("HY");
    }

    private static SQLException telling(SQLException thrown) {
        SQLException next = thrown.getNextException();
        return thrown instanceof java.sql.BatchUpdateException && next != null && next.getMessage() != null ? next : thrown;
    }

    private static String message(Throwable thrown) {
        String message = thrown.getMessage();
        if (thrown instanceof UnknownHostException && message != null && message.indexOf(' ') < 0) {
            // Java says the name alone.
            return "unknown host " + message;
        }
        return message == null || message.isBlank() ? thrown.getClass().getName() : message.strip();
    }

    private void collectCauses(Throwable thrown) {
        Set<Throwable> seen = Collections.newSetFromMap(new IdentityHashMap<>());
        collect(thrown, seen);
    }

    private void collect(Throwable thrown, Set<Throwable> seen) {
        if (thrown == null || causes.size() >= MAX_CAUSES || !seen.add(thrown)) {
            return;
        }
        String message = message(thrown);
        if (!causes.contains(message)) {
            causes.add(message);
        }
        if (thrown instanceof SQLException) {
            collect(((SQLException) thrown).getNextException(), seen);
        }
        collect(thrown.getCause(), seen);
        for (Throwable suppressed : thrown.getSuppressed()) {
            collect(suppressed, seen);
        }
    }

    /** Names the statement, unless one is named already. */
    public Failure statement(String sql) {
        if (statement == null) {
            statement = sql;
        }
        return this;
    }

    /** The place of the statement in the request's list, from 0. */
    public Failure statementIndex(int index) {
        statementIndex = index;
        return this;
    }

    public Failure column(String name) {
        column = name;
        return this;
    }

    /** The row's number in the source's order, from 1. */
    public Failure row(long number) {
        row = number;
        return this;
    }

    /** Sets the phase where none is set. */
    public Failure phaseIfAbsent(String name) {
        if (phase == null) {
            phase = name;
        }
        return this;
    }

    /** The same error in another phase, for a driver's call whose meaning only the caller knows (a commit, say). */
    public Failure phase(String name) {
        phase = name;
        return this;
    }

    public String phase() {
        return phase;
    }

    public String code() {
        return code;
    }

    public String statement() {
        return statement;
    }

    public Integer statementIndex() {
        return statementIndex;
    }

    public String sqlState() {
        return sqlState;
    }

    public Integer vendorCode() {
        return vendorCode;
    }

    public String column() {
        return column;
    }

    public Long row() {
        return row;
    }

    /** Messages of what lies behind this failure, outermost first, without repetition. */
    public List<String> causes() {
        return Collections.unmodifiableList(causes);
    }
}
