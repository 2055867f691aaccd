package jrunner.kinds;

import java.sql.Connection;
import java.util.List;
import java.util.Properties;
import jrunner.db.ConnectSpec;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Target;
import jrunner.types.Family;

/** HSQLDB, embedded or as a server. */
public final class Hsqldb extends Kind {
    public Hsqldb() {
        super("org.hsqldb.jdbc.JDBCDriver", "hsqldb");
    }

    @Override
    public void beforeDriver() {
        // It reconfigures java.util.logging, unless told not to.
        systemDefault("hsqldb.reconfig_logging", "false");
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        // The log is forced to disk at each commit, not twice a second.
        p.setProperty("hsqldb.write_delay", "false");
    }

    /** Where the database's default is SERIALIZABLE, a merge would go by a snapshot from before its table's lock. */
    @Override
    public List<String> initSql() {
        return List.of("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED");
    }

    @Override
    public List<String> bestEffortSql(Connection connection) {
        return List.of("SET FILES WRITE DELAY FALSE");
    }

    /** A BIT of more than one bit is a string of bits. */
    @Override
    Family family(int jdbcType, String typeName, int precision) {
        boolean bits = typeName.startsWith("BIT VARYING") || typeName.startsWith("BIT") && precision > 1;
        return bits ? Family.OTHER : super.family(jdbcType, typeName, precision);
    }

    @Override
    public Limits limits() {
        return new Limits().floatSpecials().skippedDays().utf16();
    }

    @Override
    public Binder binder(Target target) {
        // As an object it would be moved by the days between the Julian and the Gregorian calendar before 1582: as a
        // java.sql.Date in every version, as a java.time.LocalDate since 2.7.
        return target.family.isTemporal() ? Binders.text(target) : Binders.standard(target);
    }
}
