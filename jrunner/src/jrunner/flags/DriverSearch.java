package jrunner.flags;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import jrunner.Failure;
import jrunner.Redaction;
import jrunner.kinds.Kind;
import jrunner.kinds.Kinds;

/** Finds the driver jar for a URL among jars and folders of jars, by the names under which drivers are published. */
final class DriverSearch {
    private DriverSearch() {}

    /**
     * The jars to load for {@code url}. Jars that {@code places} names themselves are taken as they are; folders are
     * searched.
     *
     * @throws Failure of code {@code driver} when there is none
     */
    static List<String> jars(String url, List<String> places) throws Failure {
        List<String> named = new ArrayList<>();
        List<File> folders = new ArrayList<>();
        for (String place : places) {
            File file = new File(place);
            if (file.isDirectory()) {
                folders.add(file);
            } else if (!place.isEmpty()) {
                named.add(place);
            }
        }
        if (!named.isEmpty()) {
            return named;
        }
        Kind kind = Kinds.byUrl(url);
        List<String> names = kind.driverJars(url.toLowerCase(Locale.ROOT));
        if (!names.isEmpty()) {
            return find(url, names, folders, kind.isDriverInSeveralJars());
        }
        throw Failure.of("open", Failure.DRIVER,
                "no driver is known for " + Redaction.url(url) + "; name its jar with --jars");
    }

    private static List<String> find(String url, List<String> names, List<File> folders, boolean all) throws Failure {
        List<String> found = new ArrayList<>();
        for (String name : names) {
            for (File folder : folders) {
                File jar = newest(folder, name);
                if (jar == null) {
                    continue;
                }
                found.add(jar.getPath());
                if (!all) {
                    return found;
                }
                break;
            }
        }
        if (found.isEmpty()) {
            String looked = String.join(".jar, ", names) + ".jar and versions of them";
            throw Failure.of("open", Failure.DRIVER, "no driver jar for " + Redaction.url(url) + " in " + folders
                    + " (looked for " + looked + "); name it with --jars");
        }
        return found;
    }

    /** {@code name.jar}, else the last of {@code name-1.2.3.jar} in the order of names. */
    private static File newest(File folder, String name) {
        File plain = new File(folder, name + ".jar");
        if (plain.isFile()) {
            return plain;
        }
        String[] files = folder.list((dir, file) -> file.matches(java.util.regex.Pattern.quote(name) + "[-_.0-9].*\\.jar"
                + "|" + java.util.regex.Pattern.quote(name) + "\\d+.*\\.jar"));
        if (files == null || files.length == 0) {
            return null;
        }
        Arrays.sort(files);
        return new File(folder, files[files.length - 1]);
    }
}
