package jrunner.db;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import jrunner.Failure;
import jrunner.Redaction;
import jrunner.kinds.Kind;

/**
 * One open connection to a database, with what the rest of jrunner needs to know about it.
 *
 * <p>Used by one request at a time. Between requests it is in autocommit mode with no open transaction, unless it is held.
 */
public final class Database implements AutoCloseable {
    private final String name;
    private final ConnectSpec spec;
    private final Kind kind;
    private final ClassLoader driverLoader;
    private final Connection connection;
    private final String quote;
    private final TlsFiles files;
    private volatile boolean held;

    Database(
            String name, ConnectSpec spec, Kind kind, ClassLoader driverLoader, Connection connection, TlsFiles files) {
        this.name = name;
        this.spec = spec;
        this.kind = kind;
        this.driverLoader = driverLoader;
        this.connection = connection;
        this.files = files;
        this.quote = kind.quoteString(connection);
    }

    /** The name that requests use for this connection. */
    public String name() {
        return name;
    }

    /**
     * What is different for this database. A server that turns out to be MariaDB behind a {@code mysql} URL, or the other
     * way round, keeps the kind that the request named.
     */
    public Kind kind() {
        return kind;
    }

    /** The driver's connection. Whoever changes its autocommit mode or isolation sets it back. */
    public Connection connection() {
        return connection;
    }

    /** Whether its transaction goes on between requests, so that their reads see one moment. */
    public boolean isHeld() {
        return held;
    }

    /** Keeps, or no longer keeps, whoever ends transactions from ending this one. */
    public void hold(boolean hold) {
        held = hold;
    }

    /** The class loader of the driver's jars, for the driver's own classes (CopyManager, SQLServerBulkCopy, ...). */
    public ClassLoader driverLoader() {
        return driverLoader;
    }

    /**
     * A plain forward-only statement with JDBC's escape processing off, so that braces in SQL reach the database as they
     * are ({@code {d '...'}} is not rewritten, nor is JSON text taken for an escape).
     */
    public Statement statement() throws SQLException {
        Statement statement = connection.createStatement();
        try {
            statement.setEscapeProcessing(false);
        } catch (SQLException | RuntimeException | AbstractMethodError e) {
            // A driver that does not know escapes at all.
        }
        return statement;
    }

    /** {@code identifier} quoted for this database, the quote character doubled where it stands inside. */
    public String quote(String identifier) {
        if (quote.equals("[")) {
            return '[' + identifier.replace("]", "]]") + ']';
        }
        return quote + identifier.replace(quote, quote + quote) + quote;
    }

    /** The JDBC URL without its secrets, for messages. */
    public String url() {
        return Redaction.url(spec.url);
    }

    /**
     * Opens one more connection with the same parameters, for reads side by side. The caller closes it.
     *
     * <p>An in-memory database (SQLite's {@code :memory:}, say) may give an empty sibling: check before relying on it.
     *
     * @throws Failure of phase {@code open}
     */
    public Database openSibling() throws Failure {
        return Connector.open(name, spec);
    }

    /** As {@link #openSibling}, for a connection that may lock what this one only reads. */
    public Database openWriter() throws Failure {
        return Connector.open(name, spec.toWrite());
    }

    /** What it was opened with. */
    public ConnectSpec spec() {
        return spec;
    }

    /** Closes the connection; what the driver says about it is ignored, there is nothing left to save. */
    @Override
    public void close() {
        closeQuietly(connection);
        closeQuietly(files);
    }

    /** Closes what is not null; what the driver says about it is ignored. */
    public static void closeQuietly(AutoCloseable opened) {
        try {
            if (opened != null) {
                opened.close();
            }
        } catch (Exception e) {
            // Nothing depends on it any more.
        }
    }
}
