import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Base64;

/**
 * Reads and fills H2, Derby, HSQLDB and DuckDB for the tests, with nothing of pipekit in it.
 *
 * A request is one line of fields parted by tabs: verb, URL, user, and texts in base64. Verbs: "execute" (statements, one
 * transaction), "rows" (one query), "columns" (a table's exact name), "tables". An answer is lines of cells parted by tabs,
 * each base64 or "-" for NULL, then "." or "! message". The database is closed after every request, so that another process
 * may open it.
 */
public final class Reader {
    private static final Base64.Encoder TO = Base64.getEncoder();
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] fields = line.split("\t");
            try {
                answer(fields);
                OUT.println(".");
            } catch (SQLException | RuntimeException error) {
                OUT.println("! " + encoded(error.getMessage()));
            }
            OUT.flush();
        }
    }

    private static String encoded(String text) {
        // The empty text would be an empty field, which split() drops at a line's end.
        return text == null ? "-" : "=" + TO.encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static String decoded(String field) {
        return new String(Base64.getDecoder().decode(field), StandardCharsets.UTF_8);
    }

    private static void answer(String[] fields) throws SQLException {
        String url = fields[1];
        // DuckDB knows no logins, and takes them for settings.
        try (Connection connection = fields[2].isEmpty() ? DriverManager.getConnection(url)
                : DriverManager.getConnection(url, fields[2], "")) {
            switch (fields[0]) {
                case "execute" -> {
                    connection.setAutoCommit(false);
                    for (int at = 3; at < fields.length; at++) {
                        try (Statement statement = connection.createStatement()) {
                            statement.execute(decoded(fields[at]));
                        } catch (SQLException error) {
                            throw new SQLException(error.getMessage() + " in " + decoded(fields[at]), error);
                        }
                    }
                    connection.commit();
                }
                case "rows" -> {
                    try (Statement statement = connection.createStatement()) {
                        print(statement.executeQuery(decoded(fields[3])));
                    }
                }
                case "columns" -> {
                    try (ResultSet found = connection.getMetaData().getColumns(null, null, decoded(fields[3]), null)) {
                        while (found.next()) {
                            OUT.println(encoded(found.getString("COLUMN_NAME")) + "\t" + encoded(found.getString("TYPE_NAME")));
                        }
                    }
                }
                case "tables" -> {
                    try (ResultSet found = connection.getMetaData().getTables(null, null, "%", null)) {
                        while (found.next()) {
                            OUT.println(encoded(found.getString("TABLE_SCHEM")) + "\t" + encoded(found.getString("TABLE_NAME")));
                        }
                    }
                }
                default -> throw new SQLException("no such verb: " + fields[0]);
            }
            if (url.startsWith("jdbc:hsqldb:")) {
                try (Statement statement = connection.createStatement()) {
                    statement.execute("SHUTDOWN");
                }
            }
        } finally {
            if (url.startsWith("jdbc:derby:")) {
                try {
                    DriverManager.getConnection(url.split(";")[0] + ";shutdown=true");
                } catch (SQLException ended) {
                    // Derby says by an exception that it has ended.
                }
            }
        }
    }

    private static void print(ResultSet rows) throws SQLException {
        ResultSetMetaData about = rows.getMetaData();
        var line = new StringBuilder();
        while (rows.next()) {
            line.setLength(0);
            for (int column = 1; column <= about.getColumnCount(); column++) {
                line.append(column > 1 ? "\t" : "").append(encoded(text(rows, column, about.getColumnType(column))));
            }
            OUT.println(line);
        }
    }

    private static String text(ResultSet rows, int column, int type) throws SQLException {
        switch (type) {
            case Types.BINARY, Types.VARBINARY, Types.LONGVARBINARY, Types.BLOB -> {
                byte[] bytes = rows.getBytes(column);
                return bytes == null ? null : hex(bytes);
            }
            case Types.REAL -> {
                float value = rows.getFloat(column);
                return rows.wasNull() ? null : Float.toString(value);
            }
            case Types.FLOAT, Types.DOUBLE -> {
                double value = rows.getDouble(column);
                return rows.wasNull() ? null : Double.toString(value);
            }
            default -> {
                return rows.getString(column);
            }
        }
    }

    private static String hex(byte[] bytes) {
        var text = new StringBuilder();
        for (byte one : bytes) {
            text.append(String.format("%02x", one));
        }
        return text.toString();
    }
}
