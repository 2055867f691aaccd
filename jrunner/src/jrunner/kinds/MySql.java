package jrunner.kinds;

import java.sql.Connection;
import java.util.List;

/** MySQL, with its own driver or MariaDB's, which from version 3 on takes its URLs only with {@code permitMysqlScheme}. */
public final class MySql extends MySqlBase {
    public MySql() {
        super("com.mysql.cj.jdbc.Driver", "mysql-connector", "mariadb-java-client-2", "mariadb-java-client");
    }

    /** Staging tables have no primary key. */
    @Override
    public List<String> bestEffortSql(Connection connection) {
        return List.of("SET SESSION sql_require_primary_key = OFF");
    }
}
