package jrunner.flags;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import jrunner.transfer.TransferRequest;

/** The command line of flag mode, read and checked. */
final class Flags {
    static final String HELP = String.join("\n",
            "jrunner runs a query, or moves its rows into a table, over JDBC.",
            "",
            "Query: rows to stdout",
            "  jrunner -scu URL -scn USER -scp PASSWORD -sq QUERY [-f csv|tsv]",
            "Migration: rows into a table of another database, in one transaction",
            "  jrunner -scu URL -scn USER -scp PASSWORD -sq QUERY",
            "          -dcu URL -dcn USER -dcp PASSWORD -dt TABLE [-t] [-c] [-b]",
            "Session: requests as JSON lines on stdin, for programs (see jrunner/README.md)",
            "  jrunner session",
            "",
            "Source",
            "  -scu URL       JDBC URL, such as jdbc:postgresql://host:5432/db or jdbc:sqlite:file.db",
            "  -scn USER      user name; leave out for databases without logins",
            "  -scp PASSWORD  password: @FILE reads the first line of a file, env:NAME an environment variable;",
            "                 a password written here can be seen by every user of the machine",
            "  -sq QUERY      a file with the query, or - for stdin, or the query itself",
            "Output of a query",
            "  -f csv         RFC 4180: NULL is nothing at all, an empty text is \"\" (default)",
            "  -f tsv         tab-separated: NULL is \\N; tab, newline, return and backslash are \\t \\n \\r \\\\",
            "  --no-header    leave out the line of column names",
            "Destination",
            "  -dcu -dcn -dcp as for the source",
            "  -dt TABLE      table name as the database's SQL wants it; it must exist, columns are matched by name",
            "  -t             trim: take trailing blanks off every text",
            "  -c             clear: delete the table's rows first, in the same transaction",
            "  -b             insist on the destination's bulk path (COPY, LOAD DATA) where it has one",
            "  --path NAME    force a path: auto, copy-raw, copy-binary, copy-text, load-data, bulk, batch",
            "Drivers",
            "  --jars PATHS   driver jars or folders of jars, separated by ':' (default: JRUNNER_JARS, then",
            "                 /usr/share/java); the driver is found by the URL",
            "  --timeout S    seconds to wait for a connection (default 15)",
            "Other",
            "  --help, --version",
            "",
            "Data goes to stdout, everything else to stderr; the last line on stderr tells the number of rows.",
            "Exit status: 0 done, 1 failed (nothing was changed), 2 wrong usage, 130 and 143 interrupted.",
            "The JVM's heap is set by JRUNNER_HEAP (default 256m; memory does not grow with the table).");

    private static final String DEFAULT_JARS = "/usr/share/java";

    String sourceUrl;
    String sourceUser;
    String sourcePassword;
    String query;
    String destUrl;
    String destUser;
    String destPassword;
    String destTable;
    String format = "csv";
    String path;
    boolean header = true;
    boolean trim;
    boolean clear;
    boolean bulk;
    boolean help;
    boolean version;
    int timeoutSeconds = 15;
    List<String> jars;

    boolean isMigration() {
        return destUrl != null;
    }

    static Flags parse(String[] args, Map<String, String> environment) throws UsageException {
        Flags flags = new Flags();
        String jars = environment.get("JRUNNER_JARS");
        boolean formatGiven = false;
        List<String> rest = new ArrayList<>(Arrays.asList(args));
        while (!rest.isEmpty()) {
            String flag = rest.remove(0);
            switch (flag) {
                case "-h":
                case "-?":
                case "--help":
                    flags.help = true;
                    return flags;
                case "--version":
                    flags.version = true;
                    return flags;
                case "-t":
                    flags.trim = true;
                    break;
                case "-c":
                    flags.clear = true;
                    break;
                case "-b":
                    flags.bulk = true;
                    break;
                case "--no-header":
                    flags.header = false;
                    break;
                case "-scu":
                    flags.sourceUrl = value(flag, rest);
                    break;
                case "-scn":
                    flags.sourceUser = value(flag, rest);
                    break;
                case "-scp":
                    flags.sourcePassword = password(value(flag, rest), environment);
                    break;
                case "-sq":
                    flags.query = query(value(flag, rest));
                    break;
                case "-dcu":
                    flags.destUrl = value(flag, rest);
                    break;
                case "-dcn":
                    flags.destUser = value(flag, rest);
                    break;
                case "-dcp":
                    flags.destPassword = password(value(flag, rest), environment);
                    break;
                case "-dt":
                    flags.destTable = value(flag, rest);
                    break;
                case "-f":
                    flags.format = value(flag, rest).toLowerCase(java.util.Locale.ROOT);
                    formatGiven = true;
                    break;
                case "--path":
                    flags.path = value(flag, rest);
                    break;
                case "--jars":
                    jars = value(flag, rest);
                    break;
                case "--timeout":
                    flags.timeoutSeconds = seconds(value(flag, rest));
                    break;
                default:
                    throw new UsageException("unknown flag " + flag);
            }
        }
        flags.jars = Arrays.asList((jars == null || jars.isEmpty() ? DEFAULT_JARS : jars).split(File.pathSeparator));
        flags.check(formatGiven);
        return flags;
    }

    private void check(boolean formatGiven) throws UsageException {
        if (sourceUrl == null) {
            throw new UsageException("-scu is missing: the source's JDBC URL");
        }
        if (query == null) {
            throw new UsageException("-sq is missing: the query");
        }
        if (!format.equals("csv") && !format.equals("tsv")) {
            throw new UsageException("-f must be csv or tsv, not " + format);
        }
        if (destUrl == null) {
            if (destTable != null || destUser != null || destPassword != null || clear || bulk || path != null) {
                throw new UsageException("-dcu is missing: -dcn, -dcp, -dt, -c, -b and --path belong to a migration");
            }
        } else {
            if (destTable == null) {
                throw new UsageException("-dt is missing: the destination table");
            }
            if (formatGiven || !header) {
                throw new UsageException("-f and --no-header belong to a query, -dcu to a migration");
            }
            if (path != null && !TransferRequest.PATHS.contains(path)) {
                throw new UsageException("--path must be one of " + String.join(", ", TransferRequest.PATHS));
            }
            if (path != null && bulk) {
                throw new UsageException("-b and --path exclude each other");
            }
        }
    }

    private static String value(String flag, List<String> rest) throws UsageException {
        if (rest.isEmpty()) {
            throw new UsageException(flag + " wants a value");
        }
        return rest.remove(0);
    }

    private static int seconds(String text) throws UsageException {
        try {
            int seconds = Integer.parseInt(text);
            if (seconds > 0) {
                return seconds;
            }
        } catch (NumberFormatException e) {
            // Said below.
        }
        throw new UsageException("--timeout must be a whole number of seconds, not " + text);
    }

    private static String password(String given, Map<String, String> environment) throws UsageException {
        if (given.startsWith("env:")) {
            String value = environment.get(given.substring(4));
            if (value == null) {
                throw new UsageException("the environment variable " + given.substring(4) + " is not set");
            }
            return value;
        }
        if (given.startsWith("@")) {
            String text = read(given.substring(1), "password file");
            int end = text.indexOf('\n');
            String line = end < 0 ? text : text.substring(0, end);
            return line.endsWith("\r") ? line.substring(0, line.length() - 1) : line;
        }
        return given;
    }

    /** A file's content, stdin's, or the text itself: SQL has blanks, and no file has the name of a whole query. */
    private static String query(String given) throws UsageException {
        if (given.equals("-")) {
            try {
                return new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
            } catch (IOException e) {
                throw new UsageException("stdin cannot be read: " + e.getMessage());
            }
        }
        if (new File(given).isFile()) {
            return read(given, "query file");
        }
        if (given.isBlank() || !given.strip().matches("(?s).*\\s.*")) {
            throw new UsageException("-sq " + given + ": no such file, and no query");
        }
        return given;
    }

    private static String read(String path, String what) throws UsageException {
        try {
            String text = Files.readString(new File(path).toPath(), StandardCharsets.UTF_8);
            return text.startsWith("\uFEFF") ? text.substring(1) : text;
        } catch (IOException e) {
            throw new UsageException("the " + what + " " + path + " cannot be read: " + e.getMessage());
        }
    }
}
