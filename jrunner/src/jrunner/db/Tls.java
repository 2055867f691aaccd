package jrunner.db;

import java.sql.Driver;
import java.sql.DriverPropertyInfo;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import jrunner.Failure;

/** How a connection is encrypted, in the driver's own settings. Plain data, but for {@link #choose}. */
public final class Tls {
    /** The settings of some versions of a driver. */
    public static final class Variant {
        final Map<String, String> properties;
        final Map<String, String> files;
        final boolean untold;

        /**
         * @param properties settings with their values
         * @param files settings that take something made of {@code ca}, {@code cert} and {@code key}: see {@link TlsFiles}
         * @param untold the driver takes settings that it does not list
         */
        public Variant(Map<String, String> properties, Map<String, String> files, boolean untold) {
            this.properties = properties;
            this.files = files;
            this.untold = untold;
        }
    }

    final List<Variant> variants;
    final String ca;
    final String cert;
    final String key;

    /** The paths may be null: the certificates that the Java runtime trusts, and no certificate of our own. */
    public Tls(List<Variant> variants, String ca, String cert, String key) {
        this.variants = variants;
        this.ca = ca;
        this.cert = cert;
        this.key = key;
    }

    /** All that it says, to compare it by. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(ca + "\n" + cert + "\n" + key);
        variants.forEach(each -> text.append('\n').append(each.properties).append(each.files));
        return text.toString();
    }

    /**
     * The first variant whose settings the driver says that it knows: one that is not known would be passed over in silence,
     * and the connection would not be encrypted.
     *
     * @throws Failure of code {@code driver} when there is none
     */
    Variant choose(Driver driver, String url) throws Failure {
        Set<String> known = new HashSet<>();
        try {
            for (DriverPropertyInfo each : driver.getPropertyInfo(url, new Properties())) {
                known.add(each.name.toLowerCase(Locale.ROOT));
            }
        } catch (SQLException | RuntimeException e) {
            throw Failure.of("open", Failure.DRIVER, "the driver does not tell its settings, so none for tls is given to it", e);
        }
        for (Variant each : variants) {
            Set<String> wanted = new HashSet<>();
            each.properties.keySet().forEach(name -> wanted.add(name.toLowerCase(Locale.ROOT)));
            each.files.keySet().forEach(name -> wanted.add(name.toLowerCase(Locale.ROOT)));
            if (each.untold || known.containsAll(wanted)) {
                return each;
            }
        }
        throw Failure.of("open", Failure.DRIVER, "this version of the driver (" + driver.getMajorVersion() + "."
                + driver.getMinorVersion() + ") does not know the settings for tls "
                + variants.get(0).properties.keySet() + "; take a newer one");
    }
}
