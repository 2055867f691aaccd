package jrunner.kinds;

import java.util.List;

/** MySQL; without its own driver, MariaDB's of version 2 serves as well, and later ones with less. */
public final class MySql extends MySqlBase {
    @Override
    public String driverClass() {
        return "com.mysql.cj.jdbc.Driver";
    }

    @Override
    public List<String> driverJars(String url) {
        return List.of("mysql-connector", "mariadb-java-client-2", "mariadb-java-client");
    }
}
