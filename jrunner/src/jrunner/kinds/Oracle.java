package jrunner.kinds;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Target;
import jrunner.types.Family;

/** Oracle Database. */
public final class Oracle extends Kind {
    private static final Map<String, Family> TYPES = StandardTypes.table(
        "DATE", Family.TIMESTAMP, "BINARY_FLOAT", Family.FLOAT32, "BINARY_DOUBLE", Family.FLOAT64, "FLOAT",
            Family.DECIMAL,
        "RAW", Family.BINARY, "LONG RAW", Family.BINARY, "LONG", Family.TEXT, "ROWID", Family.TEXT, "UROWID",
            Family.TEXT,
        "TIMESTAMP WITH TIME ZONE", Family.TIMESTAMPTZ, "TIMESTAMP WITH LOCAL TIME ZONE", Family.TIMESTAMPTZ,
        "INTERVALDS", Family.INTERVAL, "INTERVALYM", Family.INTERVAL, "JSON", Family.JSON);

    public Oracle() {
        super("oracle.jdbc.OracleDriver", "ojdbc");
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        p.setProperty("v$session.program", spec.applicationName);
        p.setProperty("oracle.net.CONNECT_TIMEOUT", Long.toString(spec.connectTimeoutSeconds * 1000L));
        p.setProperty("oracle.net.keepAlive", "true");
        // Region names that an older server does not know end in ORA-01882; an offset always works.
        p.setProperty("oracle.jdbc.timezoneAsRegion", "false");
    }

    /** Text made of a number or a time, and the other way round, in the user's query means the same in every country. */
    @Override
    public List<String> initSql() {
        return List.of("ALTER SESSION SET NLS_NUMERIC_CHARACTERS = '.,' NLS_DATE_FORMAT = 'YYYY-MM-DD HH24:MI:SS'"
            + " NLS_TIMESTAMP_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9'"
            + " NLS_TIMESTAMP_TZ_FORMAT = 'YYYY-MM-DD HH24:MI:SS.FF9 TZH:TZM' NLS_SORT = BINARY NLS_COMP = BINARY",
            "ALTER SESSION SET TIME_ZONE = '+00:00'",
            // A logon trigger may have set another, by which a merge would not see what was committed while it waited.
            "ALTER SESSION SET ISOLATION_LEVEL = READ COMMITTED");
    }

    @Override
    public String clientInfoName() {
        return "OCSID.MODULE";
    }

    @Override
    Family family(int jdbcType, String typeName, int precision) {
        String base = StandardTypes.baseName(typeName);
        if (base.startsWith("TIMESTAMP")) {
            return base.contains("ZONE") ? Family.TIMESTAMPTZ : Family.TIMESTAMP;
        }
        Family named = TYPES.get(base.toUpperCase(Locale.ROOT));
        return named != null ? named : StandardTypes.byJdbcType(jdbcType);
    }

    @Override
    int[] decimalSize(String typeName, int precision, int scale) {
        // NUMBER without a precision has a scale of -127.
        boolean unconstrained = scale < 0 || typeName.equals("FLOAT");
        return unconstrained ? new int[] {0, 0} : super.decimalSize(typeName, precision, scale);
    }

    @Override
    int fraction(Family family, String typeName, int precision, int scale) {
        return typeName.equals("DATE") ? 0 : super.fraction(family, typeName, precision, scale);
    }

    /** Never tried at a server. */
    @Override
    public boolean beginSnapshot(Database source) throws SQLException {
        return beginSnapshot(source, "SET TRANSACTION READ ONLY");
    }

    /** By flashback, which asks for a right to DBMS_FLASHBACK. Never tried at a server. */
    @Override
    public String shareSnapshot(Database source, List<Database> siblings) throws SQLException {
        List<Database> all = new ArrayList<>(siblings);
        all.add(source);
        try (Statement statement = source.connection().createStatement();
                ResultSet row = statement.executeQuery("SELECT DBMS_FLASHBACK.GET_SYSTEM_CHANGE_NUMBER FROM DUAL")) {
            row.next();
            String moment = row.getBigDecimal(1).toBigInteger().toString();
            for (Database each : all) {
                call(each, "DBMS_FLASHBACK.ENABLE_AT_SYSTEM_CHANGE_NUMBER(" + moment + ")");
            }
            return null;
        } catch (SQLException e) {
            for (Database each : all) {
                try {
                    endSharedSnapshot(each);
                } catch (SQLException unknown) {
                    // It had not begun, or the right to it is what lacks.
                }
            }
            beginSnapshots(source, siblings);
            return "the login has no DBMS_FLASHBACK: " + e.getMessage();
        }
    }

    @Override
    public void endSharedSnapshot(Database source) throws SQLException {
        call(source, "DBMS_FLASHBACK.DISABLE");
    }

    private static void call(Database database, String procedure) throws SQLException {
        try (Statement statement = database.connection().createStatement()) {
            statement.execute("BEGIN " + procedure + "; END;");
        }
    }

    @Override
    public Limits limits() {
        return new Limits().floatSpecials().skippedDays().emptyIsNull().noMinusZero();
    }

    @Override
    public Binder binder(Target target) {
        return target.family.isTemporal() ? Binders.javaTime(target)
            : target.family == Family.BOOLEAN ? Binders.booleanAsInt(target) : Binders.standard(target);
    }
}
