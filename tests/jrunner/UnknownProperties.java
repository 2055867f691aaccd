import java.lang.reflect.Method;
import java.sql.Driver;
import java.sql.DriverPropertyInfo;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import jrunner.db.ConnectSpec;
import jrunner.kinds.Kind;
import jrunner.kinds.Kinds;

/**
 * Arguments KIND CLASS URL: prints the properties that a kind gives to a driver, then a line "known" and the names of those that
 * the driver tells that it knows.
 */
public final class UnknownProperties {
    public static void main(String[] args) throws Exception {
        Kind kind = Kinds.byId(args[0]);
        Driver driver = (Driver) Class.forName(args[1]).getDeclaredConstructor().newInstance();
        ConnectSpec spec = new ConnectSpec();
        spec.kind = args[0];
        spec.url = args[2];
        spec.driverClass = args[1];
        Properties given = new Properties();
        kind.properties(given, spec, args[1]);
        for (String name : new TreeSet<>(given.stringPropertyNames())) {
            System.out.println(name + "=" + given.getProperty(name));
        }
        System.out.println("known");
        Set<String> known = new TreeSet<>();
        for (DriverPropertyInfo info : driver.getPropertyInfo(args[2], new Properties())) {
            known.add(info.name);
        }
        if (args[1].startsWith("com.ibm.db2.jcc.")) {
            // jcc tells of none but the login; its data source has a setter for each.
            for (Method method : Class.forName("com.ibm.db2.jcc.DB2SimpleDataSource").getMethods()) {
                if (method.getName().startsWith("set")) {
                    known.add(method.getName().substring("set".length()));
                }
            }
        }
        known.forEach(System.out::println);
    }
}
