package jrunner.kinds;

import java.util.List;
import java.util.Properties;
import jrunner.db.ConnectSpec;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Target;
import jrunner.types.Family;

/** DB2 for i, with IBM's toolbox (jt400), and DB2 for Linux, UNIX and Windows, with its own driver (jcc). */
public final class Db2 extends Kind {
    public Db2() {
        super("com.ibm.as400.access.AS400JDBCDriver");
    }

    @Override
    public List<String> driverJars(String url) {
        return url.startsWith("jdbc:as400:") ? List.of("jt400")
            : url.startsWith("jdbc:db2:") ? List.of("db2jcc", "jcc") : List.of();
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        String seconds = Integer.toString(spec.connectTimeoutSeconds);
        if (driver.startsWith("com.ibm.as400")) {
            // The toolbox asks for missing passwords in a window, which would hang for ever.
            p.setProperty("prompt", "false");
            p.setProperty("login timeout", seconds);
            p.setProperty("keep alive", "true");
            p.setProperty("errors", "full");
            // Text made of a time or a number in the user's query means the same for every job.
            p.setProperty("date format", "iso");
            p.setProperty("time format", "iso");
            p.setProperty("decimal separator", ".");
            // Text that nobody gave a character set (CCSID 65535) is the job's, not bytes.
            p.setProperty("translate binary", "true");
        } else {
            p.setProperty("loginTimeout", seconds);
            p.setProperty("clientProgramName", spec.applicationName);
        }
    }

    @Override
    public String clientInfoName() {
        return "ApplicationName";
    }

    @Override
    public Limits limits() {
        return new Limits().skippedDays();
    }

    @Override
    public Binder binder(Target target) {
        return target.family == Family.BOOLEAN ? Binders.booleanAsInt(target) : super.binder(target);
    }
}
