package jrunner.kinds;

import java.util.List;

/** MariaDB, with its own driver. */
public final class MariaDb extends MySqlBase {
    @Override
    public String driverClass() {
        return "org.mariadb.jdbc.Driver";
    }

    @Override
    public List<String> driverJars(String url) {
        return List.of("mariadb-java-client");
    }
}
