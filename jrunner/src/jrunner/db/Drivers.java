package jrunner.db;

import java.io.File;
import java.io.IOException;
import java.net.MalformedURLException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.security.CodeSource;
import java.sql.Driver;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import jrunner.Failure;
import jrunner.kinds.Kind;
import jrunner.tunnel.LoopbackSockets;

/**
 * Loads JDBC drivers from jars, each list of jars in a class loader of its own.
 *
 * <p>The loaders' parent is the platform loader, so a driver sees the JDK and its own jars but neither other drivers nor more of
 * jrunner than {@link LoopbackSockets}: two versions of one driver live side by side. A loader is made once and kept, as native
 * libraries (SQLite's) can be loaded by one loader only.
 *
 * <p>Jars on jrunner's own class path are the exception: those whose classes the class-data archive holds. They are taken
 * from there where a connection asks for the very same files, as that spares most of a driver's start.
 */
final class Drivers {
    private static final Map<List<File>, ClassLoader> LOADERS = new HashMap<>();
    private static final Set<File> CLASS_PATH = classPath();
    private static final ClassLoader PARENT = new ClassLoader("jdk", ClassLoader.getPlatformClassLoader()) {
        @Override
        protected Class<?> findClass(String name) throws ClassNotFoundException {
            if (name.equals(LoopbackSockets.class.getName())) {
                return LoopbackSockets.class;
            }
            throw new ClassNotFoundException(name);
        }
    };

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
        List<File> jars = realPaths(spec.jars);
        Loaded archived = fromClassPath(spec, kind, jars);
        if (archived != null) {
            return archived;
        }
        ClassLoader loader = loader(jars);
        Driver driver = spec.driverClass.isEmpty()
                ? discover(spec, kind, loader)
                : instantiate(spec, spec.driverClass, loader);
        return new Loaded(driver, loader);
    }

    /** The files, by their real paths: /a/x.jar and a link to it are one driver, with one native library. */
    private static List<File> realPaths(List<String> jars) throws Failure {
        List<File> files = new ArrayList<>();
        for (String jar : jars) {
            File file = new File(jar);
            if (!file.exists()) {
                throw failure("driver jar not found: " + jar, null);
            }
            if (!file.canRead()) {
                throw failure("driver jar not readable: " + jar, null);
            }
            try {
                files.add(file.getCanonicalFile());
            } catch (IOException e) {
                throw failure("driver jar not readable: " + jar, e);
            }
        }
        return files;
    }

    private static Set<File> classPath() {
        Set<File> files = new HashSet<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            try {
                files.add(new File(entry).getCanonicalFile());
            } catch (IOException e) {
                continue; // a file that cannot be found is none that a connection names
            }
        }
        return files;
    }

    /**
     * The driver by jrunner's own class loader; null where its class is not known, comes from another file than a connection
     * names, or does not take the URL: the jars' own loader then finds it, or says why not.
     */
    private static Loaded fromClassPath(ConnectSpec spec, Kind kind, List<File> jars) {
        String name = spec.driverClass.isEmpty() ? kind.driverClass() : spec.driverClass;
        if (name.isEmpty() || jars.isEmpty() || !CLASS_PATH.containsAll(jars)) {
            return null;
        }
        ClassLoader loader = Drivers.class.getClassLoader();
        try {
            Class<?> type = Class.forName(name, true, loader);
            CodeSource source = type.getProtectionDomain().getCodeSource();
            if (source == null || !jars.contains(new File(source.getLocation().toURI()).getCanonicalFile())) {
                return null;
            }
            Driver driver = (Driver) type.getDeclaredConstructor().newInstance();
            return driver.acceptsURL(spec.url) ? new Loaded(driver, loader) : null;
        } catch (ReflectiveOperationException | LinkageError | ClassCastException | URISyntaxException | IOException
                | SQLException e) {
            return null;
        }
    }

    /** The kind's driver on jrunner's own class path, ready for use; null where it is not there. */
    static Driver onClassPath(Kind kind) {
        try {
            Class<?> type = Class.forName(kind.driverClass(), true, Drivers.class.getClassLoader());
            return (Driver) type.getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException | LinkageError | ClassCastException e) {
            return null;
        }
    }

    private static synchronized ClassLoader loader(List<File> jars) throws Failure {
        List<URL> urls = new ArrayList<>();
        for (File jar : jars) {
            try {
                urls.add(jar.toURI().toURL());
            } catch (MalformedURLException e) {
                throw failure("driver jar has no usable path: " + jar, e);
            }
        }
        return LOADERS.computeIfAbsent(
                jars, k -> new URLClassLoader("driver", urls.toArray(new URL[0]), PARENT));
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
        } catch (ServiceConfigurationError | LinkageError | SQLException e) {
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
