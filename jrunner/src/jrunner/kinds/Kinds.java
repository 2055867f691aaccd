package jrunner.kinds;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * The registry of kinds: a line a kind. A kind's class is loaded when the kind is first asked for, so that a session
 * pays at its start for none, and later for those that it uses.
 */
public final class Kinds {
    /** The class in this package, and how the URLs of its databases begin. The id is the class's name in lower case. */
    private static final String[][] LINES = {
        {"Sqlite", "jdbc:sqlite:"},
        {"PostgreSql", "jdbc:postgresql:"},
        {"MariaDb", "jdbc:mariadb:"},
        {"MySql", "jdbc:mysql:"},
        {"SqlServer", "jdbc:sqlserver:", "jdbc:jtds:sqlserver:"},
        {"Oracle", "jdbc:oracle:"},
        {"Db2", "jdbc:as400:", "jdbc:db2:", "jdbc:db2i:"},
        {"H2", "jdbc:h2:"},
        {"Derby", "jdbc:derby:"},
        {"Hsqldb", "jdbc:hsqldb:"},
        {"Duckdb", "jdbc:duckdb:"},
        {"Generic"},
    };

    private static final Map<String, Kind> MADE = new HashMap<>();

    private Kinds() {}

    /** The one object of the kind with this id; null if there is none. */
    public static Kind byId(String id) {
        for (String[] line : LINES) {
            if (id(line[0]).equals(id)) {
                return made(line[0]);
            }
        }
        return null;
    }

    /** The kind that a JDBC URL belongs to; {@link Generic} if no other takes it. */
    public static Kind byUrl(String url) {
        String lower = url.toLowerCase(Locale.ROOT);
        for (String[] line : LINES) {
            for (int i = 1; i < line.length; i++) {
                if (lower.startsWith(line[i])) {
                    return made(line[0]);
                }
            }
        }
        return made("Generic");
    }

    /** Every id, for messages: {@code sqlite, postgresql, ...}. */
    public static String ids() {
        StringBuilder ids = new StringBuilder();
        for (String[] line : LINES) {
            ids.append(ids.length() == 0 ? "" : ", ").append(id(line[0]));
        }
        return ids.toString();
    }

    static String id(String className) {
        return className.toLowerCase(Locale.ROOT);
    }

    private static synchronized Kind made(String className) {
        Kind kind = MADE.get(className);
        if (kind == null) {
            try {
                String name = Kinds.class.getPackageName() + '.' + className;
                kind = (Kind) Class.forName(name).getDeclaredConstructor().newInstance();
            } catch (ReflectiveOperationException e) {
                throw new IllegalStateException("the registry of kinds names no class " + className, e);
            }
            MADE.put(className, kind);
        }
        return kind;
    }
}
