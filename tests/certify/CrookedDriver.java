package crooked;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.DriverPropertyInfo;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.temporal.ChronoUnit;
import java.util.Properties;
import java.util.logging.Logger;
import java.util.regex.Pattern;

/**
 * A driver over H2's with one of the faults that drivers were met with: jdbc:crooked:FAULT:FILE. What it writes or reads
 * is wrong, and no error tells.
 */
public final class CrookedDriver implements Driver {
    private static final String PREFIX = "jdbc:crooked:";
    private static final long DAY_NS = 86_400_000_000_000L;
    private static final Pattern FRACTION = Pattern.compile("\\.(\\d{1,6})'");
    private static final LocalDate GREGORIAN = LocalDate.of(1582, 10, 15);

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
        try {
            Driver driver = (Driver) Class.forName("org.h2.Driver").getDeclaredConstructor().newInstance();
            return (Connection) wrapped(Connection.class, driver.connect("jdbc:h2:" + parts[1], info), parts[0], 0);
        } catch (ReflectiveOperationException error) {
            throw new SQLException(error);
        }
    }

    /** From the parameter {@code dropped} on (0: none), everything is NULL. */
    private static Object wrapped(Class<?> type, Object real, String fault, int dropped) {
        ClassLoader loader = CrookedDriver.class.getClassLoader();
        return Proxy.newProxyInstance(loader, new Class<?>[] {type}, (self, method, given) -> {
            String name = method.getName();
            Object[] arguments = given;
            if (real instanceof PreparedStatement && name.startsWith("set") && given != null && given.length >= 2) {
                int place = (Integer) given[0];
                if (dropped > 0 && place >= dropped) {
                    ((PreparedStatement) real).setNull(place, Types.VARCHAR);
                    return null;
                }
                arguments = given.clone();
                arguments[1] = written(given[1], fault);
            }
            if (fault.equals("coarse-clock") && real instanceof Statement && given != null && given[0] instanceof String) {
                arguments = given.clone();
                arguments[0] = coarse((String) given[0]);
            }
            if (fault.equals("scale-zero") && real instanceof ResultSetMetaData && name.equals("getScale")
                    && ((ResultSetMetaData) real).getColumnTypeName((Integer) given[0]).startsWith("TIME")) {
                return 0;
            }
            Object answer;
            try {
                answer = method.invoke(real, arguments);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
            if (answer instanceof PreparedStatement) {
                int from = fault.equals("blank-column") ? blankColumn((String) given[0]) : 0;
                return wrapped(PreparedStatement.class, answer, fault, from);
            }
            if (answer instanceof Statement && real instanceof Connection) {
                return wrapped(Statement.class, answer, fault, 0);
            }
            if (answer instanceof ResultSetMetaData) {
                return wrapped(ResultSetMetaData.class, answer, fault, 0);
            }
            if (answer instanceof ResultSet) {
                return wrapped(ResultSet.class, answer, fault, 0);
            }
            return real instanceof ResultSet && name.startsWith("get") ? read(answer, fault) : answer;
        });
    }

    private static Object written(Object value, String fault) {
        switch (fault) {
            case "time-fraction":
                // As sendTimeAsDatetime does: in 1/300 s, and the day begins again after the last of them.
                return value instanceof LocalTime
                    ? LocalTime.ofNanoOfDay(ticks(((LocalTime) value).toNanoOfDay()) % DAY_NS) : value;
            case "old-dates":
                return shifted(value, 2);
            case "old-instants":
                return value instanceof OffsetDateTime ? shifted(value, 2) : value;
            case "gap-dates":
                return late(value);
            case "whole-minutes":
                return value instanceof LocalDateTime
                    ? ((LocalDateTime) value).plusSeconds(30).truncatedTo(ChronoUnit.MINUTES) : value;
            case "code-page":
                return value instanceof String
                    ? new String(((String) value).getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.ISO_8859_1) : value;
            case "garbage":
                return value instanceof String ? "[B@" + Integer.toHexString(value.hashCode()) : value;
            default:
                return value;
        }
    }

    private static Object read(Object value, String fault) {
        switch (fault) {
            case "old-dates":
                return shifted(value, -2);
            case "old-instants":
                return value instanceof OffsetDateTime ? shifted(value, -2) : value;
            case "coarse-clock":
                return value instanceof LocalDateTime
                    ? ((LocalDateTime) value).plusNanos(500_000).truncatedTo(ChronoUnit.MILLIS) : value;
            case "raw-bytes":
                return value instanceof String
                    ? new String(((String) value).getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1) : value;
            default:
                return value;
        }
    }

    /** Nanoseconds of the nearest 1/300 s. */
    private static long ticks(long nanos) {
        return Math.round(nanos * 300 / 1e9) * 1_000_000_000L / 300;
    }

    /** Fractions in the SQL that writes, as a datetime holds them. */
    private static String coarse(String sql) {
        return sql.startsWith("INSERT") ? FRACTION.matcher(sql).replaceAll(found -> String.format(".%06d'",
            ticks(Long.parseLong((found.group(1) + "000000").substring(0, 6)) * 1000) / 1000)) : sql;
    }

    /** The days that the Gregorian calendar left out, ten days late. */
    private static Object late(Object value) {
        LocalDate day = value instanceof LocalDate ? (LocalDate) value
            : value instanceof LocalDateTime ? ((LocalDateTime) value).toLocalDate() : GREGORIAN;
        if (!day.isBefore(GREGORIAN) || !day.isAfter(GREGORIAN.minusDays(11))) {
            return value;
        }
        return value instanceof LocalDate ? day.plusDays(10) : ((LocalDateTime) value).plusDays(10);
    }

    /** Alike both ways: what comes back is what was given, and the database holds another day. */
    private static Object shifted(Object value, int days) {
        if (value instanceof LocalDate && ((LocalDate) value).isBefore(GREGORIAN)) {
            return ((LocalDate) value).plusDays(days);
        }
        if (value instanceof LocalDateTime && ((LocalDateTime) value).toLocalDate().isBefore(GREGORIAN)) {
            return ((LocalDateTime) value).plusDays(days);
        }
        if (value instanceof OffsetDateTime && ((OffsetDateTime) value).toLocalDate().isBefore(GREGORIAN)) {
            return ((OffsetDateTime) value).plusDays(days);
        }
        return value;
    }

    /** The place among the columns of an INSERT of the first whose name begins with a blank; 0 if there is none. */
    private static int blankColumn(String sql) {
        int at = sql.startsWith("INSERT") ? sql.indexOf("\" ", sql.indexOf('(')) : -1;
        if (at < 0) {
            return 0;
        }
        int place = 1;
        for (int i = sql.indexOf('('); i < at; i++) {
            place += sql.charAt(i) == ',' ? 1 : 0;
        }
        return place;
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
        return Logger.getLogger("crooked");
    }
}
