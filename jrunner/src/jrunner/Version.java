package jrunner;

/** The version of this program. */
public final class Version {
    /** From the jar's manifest, where the build writes the package's version; classes run without a jar say "dev". */
    public static final String TEXT = text();

    private Version() {}

    private static String text() {
        String version = Version.class.getPackage().getImplementationVersion();
        return version == null ? "dev" : version;
    }
}
