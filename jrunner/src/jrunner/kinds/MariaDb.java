package jrunner.kinds;

/** MariaDB, with its own driver. */
public final class MariaDb extends MySqlBase {
    public MariaDb() {
        super("org.mariadb.jdbc.Driver", "mariadb-java-client");
    }
}
