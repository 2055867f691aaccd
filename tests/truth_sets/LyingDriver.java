package lying;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverPropertyInfo;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Properties;
import java.util.logging.Logger;

/**
 * A driver over H2's that is not true to what it is given: jdbc:lying:HOW:FILE. HOW says what it does to the second and
 * third parameter of each row: swap them, drop the second to NULL, cut the second's text; or "honest".
 */
public final class LyingDriver implements Driver {
    private static final String PREFIX = "jdbc:lying:";

    @Override
    public boolean acceptsURL(String url) {
        return url.startsWith(PREFIX);
    }

    @Override
    public Connection connect(String url, Properties info) throws SQLException {
        if (!acceptsURL(url)) {
            return null;
        }
        String[] parts = url.substring(PREFIX.length()).split(":", 2);
        Connection real;
        try {
            // H2's own class, out of this driver's jar: DriverManager knows drivers of other class loaders only.
            var driver = (Driver) Class.forName("org.h2.Driver").getDeclaredConstructor().newInstance();
            real = driver.connect("jdbc:h2:" + parts[1], info);
        } catch (ReflectiveOperationException error) {
            throw new SQLException(error);
        }
        return (Connection) wrapped(Connection.class, real, parts[0]);
    }

    private static Object wrapped(Class<?> type, Object real, String how) {
        return Proxy.newProxyInstance(LyingDriver.class.getClassLoader(), new Class<?>[] {type}, (self, method, given) -> {
            Object[] arguments = given;
            boolean sets = real instanceof PreparedStatement && method.getName().startsWith("set")
                    && given != null && given.length >= 2 && given[0] instanceof Integer;
            if (sets) {
                arguments = given.clone();
                int place = (Integer) given[0];
                if (how.equals("swap") && place > 1) {
                    arguments[0] = 5 - place;
                } else if (how.equals("drop") && place == 2) {
                    ((PreparedStatement) real).setNull(place, java.sql.Types.VARCHAR);
                    return null;
                } else if (how.equals("cut") && place == 2 && given[1] instanceof String && ((String) given[1]).length() > 3) {
                    arguments[1] = ((String) given[1]).substring(0, 3);
                }
            }
            try {
                Object answer = method.invoke(real, arguments);
                return method.getName().equals("prepareStatement") ? wrapped(PreparedStatement.class, answer, how) : answer;
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        });
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
        return Logger.getLogger("lying");
    }
}
