package jrunner.kinds;

import java.util.List;

/** MySQL, with its own driver or MariaDB's, which from version 3 on takes its URLs only with {@code permitMysqlScheme}. */
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
