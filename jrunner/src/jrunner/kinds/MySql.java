package jrunner.kinds;

/** MySQL, with its own driver or MariaDB's, which from version 3 on takes its URLs only with {@code permitMysqlScheme}. */
public final class MySql extends MySqlBase {
    public MySql() {
        super("com.mysql.cj.jdbc.Driver", "mysql-connector", "mariadb-java-client-2", "mariadb-java-client");
    }
}
