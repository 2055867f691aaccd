package odd;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverPropertyInfo;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.util.Properties;
import java.util.logging.Logger;

/** A driver that does what its URL says: jdbc:odd:hang, chat, fail, error, deaf (its statements ignore cancel). */
public final class OddDriver implements Driver {
    @Override
    public Connection connect(String url, Properties info) throws SQLException {
        if (!acceptsURL(url)) {
            return null;
        }
        switch (url.substring("jdbc:odd:".length())) {
            case "hang":
                sleepForEver();
                return null;
            case "chat":
                System.out.println("{\"event\":\"result\",\"id\":1,\"from\":\"the driver\"}");
                System.err.println("logging in with password " + info.getProperty("password"));
                throw new SQLException("no more to say, " + info.getProperty("password"), "28000", 7);
            case "fail":
                SQLException outer = new SQLException("outer");
                outer.setNextException(new SQLException("the next one", "42000", 17));
                outer.initCause(new IllegalStateException("the cause of it all"));
                throw outer;
            case "error":
                throw new NoClassDefFoundError("some/other/Library");
            default:
                return deaf();
        }
    }

    private static void sleepForEver() {
        while (true) {
            try {
                Thread.sleep(1_000_000);
            } catch (InterruptedException e) {
                // Hangs for good: interrupts are ignored, too.
            }
        }
    }

    private static Connection deaf() {
        return (Connection) proxy(Connection.class, (name, args) -> {
            switch (name) {
                case "getAutoCommit":
                case "isValid":
                    return true;
                case "isClosed":
                    return false;
                case "createStatement":
                    return proxy(Statement.class, (call, arguments) -> {
                        if (call.equals("execute")) {
                            sleepForEver();
                        }
                        return null;
                    });
                case "getMetaData":
                    return proxy(java.sql.DatabaseMetaData.class, (call, arguments) -> null);
                case "close":
                case "rollback":
                    sleepForEver();
                    return null;
                default:
                    return null;
            }
        });
    }

    private interface Call {
        Object run(String name, Object[] args) throws SQLException;
    }

    private static Object proxy(Class<?> type, Call call) {
        return Proxy.newProxyInstance(OddDriver.class.getClassLoader(), new Class<?>[] {type}, (self, method, args) -> {
            Object result = call.run(method.getName(), args);
            return result == null ? nothing(method) : result;
        });
    }

    private static Object nothing(Method method) throws InvocationTargetException {
        Class<?> type = method.getReturnType();
        return type == boolean.class ? (Object) false : type == int.class ? (Object) 0 : type == long.class ? (Object) 0L : null;
    }

    @Override
    public boolean acceptsURL(String url) {
        return url.startsWith("jdbc:odd:");
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
    public Logger getParentLogger() throws SQLFeatureNotSupportedException {
        throw new SQLFeatureNotSupportedException();
    }
}
