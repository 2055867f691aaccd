package jrunner.kinds;

import java.util.List;

/** Any other database with a JDBC driver: no assumptions, the metadata tells the quoting. */
public final class Generic extends Kind {
    @Override
    public List<String> driverJars(String url) {
        // jTDS serves Sybase, too.
        return url.startsWith("jdbc:jtds:") ? List.of("jtds") : List.of();
    }
}
