package jrunner.db;

import java.io.IOException;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeoutException;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Redaction;
import jrunner.Timed;
import jrunner.kinds.Kind;
import jrunner.kinds.Kinds;

/** Opens and checks connections. */
public final class Connector {
    /** Seconds for {@code isValid} of a connection that is to be used again. */
    private static final int CHECK_TIMEOUT_S = 5;

    private Connector() {}

    /** Prepares the first connection to each of these kinds, as far as that can be done; an unknown one is left out. */
    public static void rehearse(List<String> kinds) {
        for (String id : kinds) {
            Kind kind = Kinds.byId(id);
            if (kind == null) {
                continue;
            }
            kind.beforeDriver();
            try {
                Driver driver = Drivers.onClassPath(kind);
                if (driver != null) {
                    kind.rehearse(driver);
                }
            } catch (IOException | SQLException | RuntimeException | LinkageError e) {
                continue; // the first connection tells what is wrong
            }
        }
    }

    /** As {@link #open(String, ConnectSpec, Cancel)}, without a way to cancel. */
    public static Database open(String name, ConnectSpec spec) throws Failure {
        return open(name, spec, null);
    }

    /**
     * Opens a connection and runs its {@code init} statements.
     *
     * <p>The connect timeout holds whatever the driver does: it connects on a thread of its own, which is left behind when
     * it hangs (and whose connection, should it come late, is closed).
     *
     * @throws Failure of phase {@code open}: code {@code driver}, {@code connect}, {@code sql} (an init statement) or
     *     {@code cancelled}
     */
    public static Database open(String name, ConnectSpec spec, Cancel cancel) throws Failure {
        Kind kind = kind(spec);
        Redaction.addSecret(spec.password);
        Redaction.addUrlSecrets(spec.url);
        for (Map.Entry<String, String> property : spec.properties.entrySet()) {
            if (Redaction.isSecretName(property.getKey())) {
                Redaction.addSecret(property.getValue());
            }
        }
        // By the URL, which tells the driver even where the request calls the kind generic.
        Kinds.byUrl(spec.url).beforeDriver();
        Drivers.Loaded loaded = Drivers.load(spec, kind);
        Properties properties = new Properties();
        String driver = loaded.driver.getClass().getName();
        Kind.protectFiles(properties, spec, driver);
        kind.properties(properties, spec, driver);
        spec.properties.forEach(properties::setProperty);
        if (spec.user != null) {
            properties.setProperty("user", spec.user);
        }
        if (spec.password != null) {
            properties.setProperty("password", spec.password);
        }
        TlsFiles files = spec.tls == null
                ? null
                : TlsFiles.give(properties, spec.tls, spec.tls.choose(loaded.driver, spec.url));
        Database database = null;
        boolean ready = false;
        try {
            Connection connection = connect(name, spec, kind, loaded, properties, cancel);
            database = new Database(name, spec, kind, loaded.loader, connection, files);
            prepare(database, kind, spec, cancel);
            ready = true;
            return database;
        } finally {
            if (!ready) {
                Database.closeQuietly(database != null ? database : files);
            }
        }
    }

    private static Kind kind(ConnectSpec spec) throws Failure {
        if (spec.kind.isEmpty()) {
            return Kinds.byUrl(spec.url);
        }
        Kind kind = Kinds.byId(spec.kind);
        if (kind == null) {
            throw Failure.of("open", Failure.DRIVER, "unknown kind '" + spec.kind + "'; known are " + Kinds.ids());
        }
        return kind;
    }

    private static Connection connect(
            String name, ConnectSpec spec, Kind kind, Drivers.Loaded loaded, Properties properties, Cancel cancel)
            throws Failure {
        Connection connection;
        try {
            connection = Timed.call(
                    "connect " + name,
                    loaded.loader,
                    spec.connectTimeoutSeconds * 1000L,
                    cancel,
                    () -> kind.connect(loaded.driver, spec.url, properties),
                    Database::closeQuietly);
        } catch (TimeoutException e) {
            throwIfCancelled(cancel);
            throw Failure.of("open", Failure.CONNECT, "no connection to " + Redaction.url(spec.url) + " within "
                    + spec.connectTimeoutSeconds + " s; check the host, the port, the network between, and that a database of"
                    + " this kind listens there");
        } catch (Failure e) {
            throw e.phaseIfAbsent("open");
        } catch (SQLException e) {
            Failure told = Failure.sql("open", e, null);
            throw Failure.connect(spec.url, told);
        } catch (Exception e) {
            Throwable cause = e.getCause() instanceof LinkageError ? e.getCause() : e;
            String code = cause instanceof LinkageError ? Failure.DRIVER : Failure.CONNECT;
            // What a driver does not expect of a server: a negative length, a text where a number should be.
            String doubt = cause instanceof LinkageError ? "" : "; if the URL is right, no database of this kind listens there";
            throw Failure.of("open", code, "connecting to " + Redaction.url(spec.url) + " failed: " + cause + doubt, e);
        }
        if (connection == null) {
            throw Failure.of("open", Failure.DRIVER, "the driver " + loaded.driver.getClass().getName()
                    + " does not take the URL " + Redaction.url(spec.url));
        }
        return connection;
    }

    private static void prepare(Database database, Kind kind, ConnectSpec spec, Cancel cancel) throws Failure {
        Connection connection = database.connection();
        try {
            if (!connection.getAutoCommit()) {
                connection.setAutoCommit(true);
            }
            if (spec.readOnly && !kind.isReadOnlyByProperty()) {
                connection.setReadOnly(true);
            }
        } catch (SQLException e) {
            throw Failure.sql("open", e, null);
        }
        for (String sql : kind.initSql()) {
            run(connection, sql, cancel);
        }
        for (String sql : kind.bestEffortSql(connection)) {
            try {
                run(connection, sql, cancel);
            } catch (Failure e) {
                throwIfCancelled(cancel);
            }
        }
        for (String sql : spec.init) {
            run(connection, sql, cancel);
        }
    }

    private static void throwIfCancelled(Cancel cancel) throws Failure {
        if (cancel != null && cancel.isCancelled()) {
            throw Failure.cancelled("open");
        }
    }

    private static void run(Connection connection, String sql, Cancel cancel) throws Failure {
        try (Statement statement = connection.createStatement();
                Cancel.Registration registration = cancel == null ? null : cancel.register(statement)) {
            statement.execute(sql);
        } catch (SQLException e) {
            throwIfCancelled(cancel);
            throw Failure.sql("open", e, sql);
        }
    }

    /** True if the connection answers; a driver that hangs counts as no. */
    public static boolean isAlive(Database database, Cancel cancel) throws Failure {
        try {
            return Timed.call(
                    "check " + database.name(),
                    database.driverLoader(),
                    (2 * CHECK_TIMEOUT_S + 1) * 1000L,
                    cancel,
                    () -> answersNow(database.connection()),
                    ok -> {});
        } catch (Failure e) {
            throw e;
        } catch (Exception e) {
            throwIfCancelled(cancel);
            return false;
        }
    }

    private static boolean answersNow(Connection connection) throws SQLException {
        // Twice: a cancel that the server carries out late hits the first question, and only that.
        return connection.isValid(CHECK_TIMEOUT_S) || (!connection.isClosed() && connection.isValid(CHECK_TIMEOUT_S));
    }

    /** As {@link #isAlive}, for a connection that nobody waits for: never throws. */
    public static boolean answers(Database database) {
        try {
            return isAlive(database, null);
        } catch (Failure e) {
            return false;
        }
    }

    /** Shows a new application name to the database, where it can change on an open connection. */
    public static void setApplicationName(Database database, String applicationName) {
        String property = database.kind().clientInfoName();
        if (property == null) {
            return;
        }
        try {
            database.connection().setClientInfo(property, applicationName);
        } catch (SQLException | RuntimeException | AbstractMethodError e) {
            // A label, nothing more: a driver that refuses it must not fail the run.
        }
    }
}
