package jrunner.flags;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import jrunner.Failure;
import jrunner.Redaction;

/** Finds the driver jar for a URL among jars and folders of jars, by the names under which drivers are published. */
final class DriverSearch {
    /** How URLs begin, and how the file names of the jars begin that serve them; the first one found wins. */
    private static final Map<String, List<String>> JARS = new LinkedHashMap<>();

    static {
        JARS.put("jdbc:sqlite:", List.of("sqlite-jdbc", "xerial-sqlite-jdbc"));
        JARS.put("jdbc:postgresql:", List.of("postgresql"));
        JARS.put("jdbc:mariadb:", List.of("mariadb-java-client"));
        JARS.put("jdbc:mysql:", List.of("mysql-connector", "mariadb-java-client-2", "mariadb-java-client"));
        JARS.put("jdbc:sqlserver:", List.of("mssql-jdbc", "sqljdbc"));
        JARS.put("jdbc:jtds:", List.of("jtds"));
        JARS.put("jdbc:oracle:", List.of("ojdbc"));
        JARS.put("jdbc:as400:", List.of("jt400"));
        JARS.put("jdbc:db2:", List.of("db2jcc", "jcc"));
        JARS.put("jdbc:h2:", List.of("h2"));
        JARS.put("jdbc:derby:", List.of("derby", "derbyclient", "derbyshared", "derbytools"));
        JARS.put("jdbc:hsqldb:", List.of("hsqldb"));
    }

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
        String lower = url.toLowerCase(Locale.ROOT);
        for (Map.Entry<String, List<String>> entry : JARS.entrySet()) {
            if (lower.startsWith(entry.getKey())) {
                return find(url, entry.getValue(), folders, entry.getKey().equals("jdbc:derby:"));
            }
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
