package jrunner.db;

import java.util.List;
import java.util.Map;
import java.util.Objects;

/** Everything needed to open a connection. Plain data; two equal specs give interchangeable connections. */
public final class ConnectSpec {
    /** Seconds to wait for a connection when the request does not say. */
    public static final int DEFAULT_CONNECT_TIMEOUT_S = 15;

    /** A {@link jrunner.kinds.Kind} by its id, or empty: told by the URL. */
    public String kind = "";

    /** Paths of the driver's jar and of what it needs. */
    public List<String> jars = List.of();

    /** The driver's class, or empty: found through the jar's service entry, else the kind's usual class. */
    public String driverClass = "";

    public String url = "";

    /** User and password may be null: not sent to the driver then. */
    public String user;

    public String password;

    /** Driver properties; they win over jrunner's own defaults. */
    public Map<String, String> properties = Map.of();

    /** SQL run once after each real connect. */
    public List<String> init = List.of();

    /** What a DBA sees this connection as; not part of the identity, it can change on an open connection. */
    public String applicationName = "jrunner";

    public int connectTimeoutSeconds = DEFAULT_CONNECT_TIMEOUT_S;

    public boolean readOnly;

    /** Rows are to be written: the driver may send the server rows as a file of this machine's, see {@link jrunner.kinds.Kind}. */
    public boolean writes = true;

    /** How it is encrypted; null: as the driver does without being told. */
    public Tls tls;

    /** The same, to write as well. */
    ConnectSpec toWrite() {
        ConnectSpec spec = new ConnectSpec();
        spec.kind = kind;
        spec.jars = jars;
        spec.driverClass = driverClass;
        spec.url = url;
        spec.user = user;
        spec.password = password;
        spec.properties = properties;
        spec.init = init;
        spec.applicationName = applicationName;
        spec.connectTimeoutSeconds = connectTimeoutSeconds;
        spec.tls = tls;
        return spec;
    }

    /** True if a connection opened with {@code other} can serve for this one. */
    public boolean sameConnection(ConnectSpec other) {
        return kind.equals(other.kind)
                && jars.equals(other.jars)
                && driverClass.equals(other.driverClass)
                && url.equals(other.url)
                && Objects.equals(user, other.user)
                && Objects.equals(password, other.password)
                && properties.equals(other.properties)
                && init.equals(other.init)
                && readOnly == other.readOnly
                && writes == other.writes
                && String.valueOf(tls).equals(String.valueOf(other.tls));
    }
}
