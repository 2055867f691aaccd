package jrunner.db;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.sql.Driver;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import jrunner.Failure;
import jrunner.kinds.Kind;

/**
 * Loads JDBC drivers from jars, each list of jars in a class loader of its own.
 *
 * <p>The loaders' parent is the platform loader, so a driver sees the JDK and its own jars but neither jrunner nor other
 * drivers: two versions of one driver live side by side. A loader is made once and kept, as native libraries (SQLite's)
 * can be loaded by one loader only.
 */
final class Drivers {
    private static final Map<List<String>, ClassLoader> LOADERS = new HashMap<>();

    private Drivers() {}

    /** A driver and the loader it came from. */
    static final class Loaded {
        final Driver driver;
        final ClassLoader loader;

        Loaded(Driver driver, ClassLoader loader) {
            this.driver = driver;
            this.loader = loader;
        }
    }

    /**
     * Finds the driver for a connection.
     *
     * @throws Failure of code {@code driver} when a jar or class is missing, or no driver takes the URL
     */
    static Loaded load(ConnectSpec spec, Kind kind) throws Failure {
        if (spec.jars.isEmpty() && spec.driverClass.isEmpty()) {
            throw failure("no driver jar given for " + kind.id() + "; name the JDBC driver's jar", null);
        }
        ClassLoader loader = loader(spec.jars);
        Driver driver = spec.driverClass.isEmpty()
                ? discover(spec, kind, loader)
                : instantiate(spec, spec.driverClass, loader);
        return new Loaded(driver, loader);
    }

    private static synchronized ClassLoader loader(List<String> jars) throws Failure {
        List<String> key = new ArrayList<>();
        List<URL> urls = new ArrayList<>();
        for (String jar : jars) {
            File file = new File(jar);
            if (!file.exists()) {
                throw failure("driver jar not found: " + jar, null);
            }
            if (!file.canRead()) {
                throw failure("driver jar not readable: " + jar, null);
            }
            try {
                // The real path: /a/x.jar and a link to it are one driver, with one native library.
                File real = file.getCanonicalFile();
                key.add(real.getPath());
                urls.add(real.toURI().toURL());
            } catch (MalformedURLException e) {
                throw failure("driver jar has no usable path: " + jar, e);
            } catch (java.io.IOException e) {
                throw failure("driver jar not readable: " + jar, e);
            }
        }
        return LOADERS.computeIfAbsent(
                key, k -> new URLClassLoader("driver", urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader()));
    }

    private static Driver instantiate(ConnectSpec spec, String className, ClassLoader loader) throws Failure {
        try {
            Class<?> type = Class.forName(className, true, loader);
            return (Driver) type.getDeclaredConstructor().newInstance();
        } catch (ClassNotFoundException | NoClassDefFoundError e) {
            throw failure("driver class " + className + " (or a class that it needs) is not in " + spec.jars, e);
        } catch (ClassCastException e) {
            throw failure(className + " is not a JDBC driver (it does not implement java.sql.Driver)", e);
        } catch (UnsupportedClassVersionError e) {
            throw failure("driver class " + className + " needs a newer Java than " + System.getProperty("java.version"), e);
        } catch (ReflectiveOperationException | LinkageError e) {
            throw failure("driver class " + className + " could not be loaded: " + reason(e), e);
        }
    }

    private static Driver discover(ConnectSpec spec, Kind kind, ClassLoader loader) throws Failure {
        List<String> seen = new ArrayList<>();
        Throwable problem = null;
        try {
            for (Driver driver : ServiceLoader.load(Driver.class, loader)) {
                if (driver.getClass().getClassLoader() != loader) {
                    continue;
                }
                seen.add(driver.getClass().getName());
                if (driver.acceptsURL(spec.url)) {
                    return driver;
                }
            }
        } catch (ServiceConfigurationError | LinkageError | java.sql.SQLException e) {
            problem = e;
        }
        if (!kind.driverClass().isEmpty()) {
            try {
                return instantiate(spec, kind.driverClass(), loader);
            } catch (Failure e) {
                if (problem == null) {
                    problem = e;
                }
            }
        }
        if (!seen.isEmpty()) {
            throw failure("the driver in " + spec.jars + " (" + String.join(", ", seen) + ") does not take the URL "
                    + jrunner.Redaction.url(spec.url), problem);
        }
        throw failure("no JDBC driver found in " + spec.jars + "; name its class", problem);
    }

    private static String reason(Throwable e) {
        Throwable t = e;
        while (t.getCause() != null) {
            t = t.getCause();
        }
        return t.getMessage() == null ? t.getClass().getName() : t.getMessage();
    }

    private static Failure failure(String message, Throwable cause) {
        return Failure.of("open", Failure.DRIVER, message, cause);
    }
}
