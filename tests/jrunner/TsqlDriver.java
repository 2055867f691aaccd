package tsql;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverPropertyInfo;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;
import java.util.logging.Logger;

/**
 * H2 in its mode for SQL Server, behind what Microsoft's driver and the server do otherwise, as far as jrunner meets it: session
 * settings are taken, a description puts a statement before the query, and the catalogue tells code pages (those of a table
 * {@code code_pages}). {@code jdbc:tsql:NAME} describes as Microsoft's driver, {@code jdbc:tsql:NAME;jtds} as jTDS.
 */
public final class TsqlDriver implements Driver {
    @Override
    public Connection connect(String url, Properties info) throws SQLException {
        if (!acceptsURL(url)) {
            return null;
        }
        String name = url.substring("jdbc:tsql:".length());
        boolean jtds = name.endsWith(";jtds");
        Properties login = new Properties();
        login.setProperty("user", "sa");
        login.setProperty("password", "");
        String h2 = "jdbc:h2:mem:" + name.replace(";jtds", "") + ";MODE=MSSQLServer;DB_CLOSE_DELAY=-1";
        Connection real = new org.h2.Driver().connect(h2, login);
        try (Statement statement = real.createStatement()) {
            statement.execute("CREATE TABLE IF NOT EXISTS settings (statement VARCHAR(1000))");
        }
        return (Connection) proxy(Connection.class, real, (method, args) -> {
            if (method.equals("createStatement")) {
                return statement(real.createStatement(), real);
            }
            if (method.equals("prepareStatement") && args.length == 1) {
                return prepared(real, (String) args[0], jtds);
            }
            return null;
        });
    }

    private static final Object NULL = new Object();

    private interface Own {
        /** The answer, {@code NULL} for null, or null for the real object's. */
        Object call(String method, Object[] args) throws Exception;
    }

    private static Object proxy(Class<?> type, Object real, Own own) {
        return Proxy.newProxyInstance(TsqlDriver.class.getClassLoader(), new Class<?>[] {type}, (self, method, args) -> {
            try {
                Object found = own.call(method.getName(), args);
                return found == NULL ? null : found != null ? found : method.invoke(real, args);
            } catch (InvocationTargetException e) {
                throw e.getCause();
            }
        });
    }

    private static Statement statement(Statement real, Connection connection) {
        return (Statement) proxy(Statement.class, real, (method, args) -> {
            if (args == null || args.length == 0 || !(args[0] instanceof String)) {
                return null;
            }
            String sql = (String) args[0];
            if (sql.startsWith("SET FMTONLY ON;")) {
                return real.executeQuery(sql.replace("SET FMTONLY ON;", "").replace(";SET FMTONLY OFF", ""));
            }
            if (sql.startsWith("SET ")) {
                try (PreparedStatement log = connection.prepareStatement("INSERT INTO settings VALUES (?)")) {
                    log.setString(1, sql);
                    log.execute();
                }
                return false;
            }
            if (sql.contains("COLLATIONPROPERTY")) {
                return real.executeQuery("SELECT * FROM code_pages");
            }
            return null;
        });
    }

    private static PreparedStatement prepared(Connection connection, String sql, boolean jtds) throws SQLException {
        String bare = sql.startsWith(";") ? sql.substring(1) : sql;
        PreparedStatement real = connection.prepareStatement(bare);
        return (PreparedStatement) proxy(PreparedStatement.class, real, (method, args) -> {
            if (!method.equals("getMetaData")) {
                return null;
            }
            if (jtds && !sql.stripLeading().toLowerCase().startsWith("select")) {
                return NULL;
            }
            if (!sql.startsWith(";") && sql.replaceAll("(?m)--.*$|\\s", "").toLowerCase().startsWith("with")) {
                throw new SQLException("Incorrect syntax near the keyword 'with'.", "S0001", 319);
            }
            return null;
        });
    }

    @Override
    public boolean acceptsURL(String url) {
        return url.startsWith("jdbc:tsql:");
    }

    @Override
    public DriverPropertyInfo[] getPropertyInfo(String url, Properties info) {
        return new DriverPropertyInfo[0];
    }

    @Override
    public int getMajorVersion() {
        return 1;
    }

    @Override
    public int getMinorVersion() {
        return 0;
    }

    @Override
    public boolean jdbcCompliant() {
        return false;
    }

    @Override
    public Logger getParentLogger() {
        return null;
    }
}
