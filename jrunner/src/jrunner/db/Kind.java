package jrunner.db;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Properties;

/**
 * The kinds of databases that jrunner knows: how their URLs begin, their usual driver, quoting, and the driver settings
 * that a data mover wants. Data first; {@link #properties} and {@link #initSql} hold the settings with their reasons.
 */
enum Kind {
    SQLITE("\"", "org.sqlite.JDBC", "jdbc:sqlite:"),
    POSTGRESQL("\"", "org.postgresql.Driver", "jdbc:postgresql:"),
    MARIADB("`", "org.mariadb.jdbc.Driver", "jdbc:mariadb:"),
    MYSQL("`", "com.mysql.cj.jdbc.Driver", "jdbc:mysql:"),
    SQLSERVER("[", "com.microsoft.sqlserver.jdbc.SQLServerDriver", "jdbc:sqlserver:", "jdbc:jtds:sqlserver:"),
    ORACLE("\"", "oracle.jdbc.OracleDriver", "jdbc:oracle:"),
    DB2("\"", "com.ibm.as400.access.AS400JDBCDriver", "jdbc:as400:", "jdbc:db2:", "jdbc:db2i:"),
    H2("\"", "org.h2.Driver", "jdbc:h2:"),
    DERBY("\"", "org.apache.derby.jdbc.EmbeddedDriver", "jdbc:derby:"),
    HSQLDB("\"", "org.hsqldb.jdbc.JDBCDriver", "jdbc:hsqldb:"),
    /** Any other JDBC driver: no assumptions, the metadata tells the quoting. */
    GENERIC(null, "", "jdbc:");

    /** Seconds that a SQLite statement waits for another process's lock. */
    private static final int SQLITE_BUSY_MS = 30_000;
    /** Flags of sqlite3_open_v2. */
    private static final int SQLITE_OPEN_READONLY = 0x1;
    private static final int SQLITE_OPEN_READWRITE = 0x2;
    private static final int SQLITE_OPEN_CREATE = 0x4;
    private static final int SQLITE_OPEN_NOMUTEX = 0x8000;

    private final String quote;
    private final String driverClass;
    private final String[] urlPrefixes;

    Kind(String quote, String driverClass, String... urlPrefixes) {
        this.quote = quote;
        this.driverClass = driverClass;
        this.urlPrefixes = urlPrefixes;
    }

    String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /** The driver class to try when the jars have no service entry; empty for generic. */
    String driverClass() {
        return driverClass;
    }

    String[] urlPrefixes() {
        return urlPrefixes;
    }

    /** The kind with this id, else null. */
    static Kind byId(String id) {
        for (Kind kind : values()) {
            if (kind.id().equals(id)) {
                return kind;
            }
        }
        return null;
    }

    /** The kind that a URL belongs to; {@link #GENERIC} if none knows it. */
    static Kind byUrl(String url) {
        String lower = url.toLowerCase(Locale.ROOT);
        for (Kind kind : values()) {
            for (String prefix : kind.urlPrefixes) {
                if (lower.startsWith(prefix)) {
                    return kind;
                }
            }
        }
        return GENERIC;
    }

    /** What opens a quoted identifier: one character, "[" standing for the pair of brackets. */
    String quoteString(Connection connection) {
        if (quote != null) {
            return quote;
        }
        try {
            String told = connection.getMetaData().getIdentifierQuoteString();
            return told == null || told.isBlank() ? "\"" : told.strip();
        } catch (SQLException e) {
            return "\"";
        }
    }

    /** Driver properties for a connection, before the user's own are laid over them. */
    Properties properties(ConnectSpec spec, String driver) {
        Properties p = new Properties();
        String seconds = Integer.toString(spec.connectTimeoutSeconds);
        String millis = Long.toString(spec.connectTimeoutSeconds * 1000L);
        switch (this) {
            case SQLITE:
                p.setProperty("busy_timeout", Integer.toString(SQLITE_BUSY_MS));
                // A deferred transaction that reads first and writes later fails at once when another writer came
                // between; an immediate one waits for its turn. Reading happens in autocommit.
                p.setProperty("transaction_mode", spec.readOnly ? "DEFERRED" : "IMMEDIATE");
                // NOMUTEX: SQLite's own lock around each call costs a fifth of the time of reading a row. The driver locks
                // the connection itself, and what another thread may do meanwhile (interrupt) needs no lock.
                int access = spec.readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
                p.setProperty("open_mode", Integer.toString(access | SQLITE_OPEN_NOMUTEX));
                break;
            case POSTGRESQL:
                p.setProperty("ApplicationName", spec.applicationName);
                p.setProperty("tcpKeepAlive", "true");
                p.setProperty("connectTimeout", seconds);
                p.setProperty("loginTimeout", seconds);
                // Text parameters take the type of their column (uuid, json, enums) on the batch path.
                p.setProperty("stringtype", "unspecified");
                break;
            case MARIADB:
            case MYSQL:
                mysqlProperties(p, spec, driver, millis);
                break;
            case SQLSERVER:
                boolean jtds = driver.startsWith("net.sourceforge.jtds");
                p.setProperty(jtds ? "appName" : "applicationName", spec.applicationName);
                p.setProperty("loginTimeout", seconds);
                break;
            case ORACLE:
                p.setProperty("v$session.program", spec.applicationName);
                p.setProperty("oracle.net.CONNECT_TIMEOUT", millis);
                p.setProperty("oracle.net.keepAlive", "true");
                // Region names that an older server does not know end in ORA-01882; an offset always works.
                p.setProperty("oracle.jdbc.timezoneAsRegion", "false");
                break;
            case DB2:
                if (driver.startsWith("com.ibm.as400")) {
                    // The toolbox asks for missing passwords in a window, which would hang for ever.
                    p.setProperty("prompt", "false");
                    p.setProperty("login timeout", seconds);
                    p.setProperty("keep alive", "true");
                    p.setProperty("errors", "full");
                } else {
                    p.setProperty("loginTimeout", seconds);
                    p.setProperty("clientProgramName", spec.applicationName);
                }
                break;
            case HSQLDB:
                // The log is forced to disk at each commit, not twice a second.
                p.setProperty("hsqldb.write_delay", "false");
                break;
            default:
                break;
        }
        return p;
    }

    private static void mysqlProperties(Properties p, ConnectSpec spec, String driver, String millis) {
        p.setProperty("connectTimeout", millis);
        p.setProperty("tcpKeepAlive", "true");
        // TINYINT(1) is a number with values up to 127, not a boolean; YEAR is a number.
        p.setProperty("tinyInt1isBit", "false");
        p.setProperty("yearIsDateType", "false");
        p.setProperty("rewriteBatchedStatements", "true");
        // Text protocol: values arrive as the server prints them, nothing is converted on the way.
        p.setProperty("useServerPrepStmts", "false");
        p.setProperty("connectionAttributes", "program_name:" + spec.applicationName.replace(',', ' ').replace(':', ' '));
        if (driver.startsWith("com.mysql")) {
            p.setProperty("allowLoadLocalInfile", "true");
            p.setProperty("connectionTimeZone", "UTC");
        } else {
            p.setProperty("allowLocalInfile", "true");
        }
    }

    /** Statements that make the session fit for moving data, run before the user's own. */
    List<String> initSql() {
        List<String> sql = new ArrayList<>();
        if (this == MARIADB || this == MYSQL) {
            // Nothing is cut or rounded to fit without an error, and a 0 in an AUTO_INCREMENT column stays a 0: numbered
            // anew it would come again with each run. TIMESTAMP columns are read and written in UTC; the server waits
            // for us while the other side of a migration is slow (its defaults are 30 and 60 seconds).
            // Under READ COMMITTED two merges into one table could both delete the old rows and both insert: neither sees the
            // other's. REPEATABLE READ, the default, locks the gaps as well.
            sql.add("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
            sql.add("SET SESSION sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES',"
                    + " 'NO_AUTO_VALUE_ON_ZERO'), time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600");
        }
        return sql;
    }

    /** Statements that improve durability, if this login may run them. */
    List<String> bestEffortSql() {
        if (this == H2) {
            // A commit is on disk when it returns, not half a second later.
            return List.of("SET WRITE_DELAY 0");
        }
        if (this == HSQLDB) {
            return List.of("SET FILES WRITE DELAY FALSE");
        }
        return List.of();
    }

    /** The name under which {@code Connection.setClientInfo} takes the application name, or null. */
    String clientInfoName() {
        switch (this) {
            case POSTGRESQL:
            case DB2:
                return "ApplicationName";
            case ORACLE:
                return "OCSID.MODULE";
            default:
                return null;
        }
    }
}
