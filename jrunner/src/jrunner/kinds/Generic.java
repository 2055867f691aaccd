package jrunner.kinds;

import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;

/** Any other database with a JDBC driver: no assumptions, the metadata tells the quoting. */
public final class Generic extends Kind {
    public Generic() {
        super("");
    }

    @Override
    public List<String> driverJars(String url) {
        // jTDS serves Sybase, too.
        return url.startsWith("jdbc:jtds:") ? List.of("jtds") : List.of();
    }

    @Override
    public String quoteString(Connection connection) {
        try {
            String told = connection.getMetaData().getIdentifierQuoteString();
            return told == null || told.isBlank() ? "\"" : told.strip();
        } catch (SQLException e) {
            return "\"";
        }
    }
}
