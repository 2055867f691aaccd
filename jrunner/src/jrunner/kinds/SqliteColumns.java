package jrunner.kinds;

import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jrunner.db.Database;

/** A table's columns as SQLite keeps them: its driver's metadata garbles sizes, and knows no attached databases. */
final class SqliteColumns {
    /** A declared type: words, then maybe a size and a scale. */
    private static final Pattern TYPE = Pattern.compile("\\s*([^(]*?)\\s*(?:\\(\\s*(\\d+)\\s*(?:,\\s*(\\d+)\\s*)?\\).*)?");

    private SqliteColumns() {}

    /** In the form of {@link jrunner.db.Metadata}'s columns; {@code schema} is the name of an attached database, null for main. */
    static List<Map<String, Object>> of(Database database, String schema, String table) throws SQLException {
        String sql = "SELECT name, type, \"notnull\", dflt_value, hidden FROM pragma_table_xinfo(?, ?) ORDER BY cid";
        List<Map<String, Object>> items = new ArrayList<>();
        try (PreparedStatement statement = database.connection().prepareStatement(sql)) {
            statement.setString(1, table);
            statement.setString(2, schema == null ? "main" : schema);
            try (ResultSet rows = statement.executeQuery()) {
                while (rows.next()) {
                    Map<String, Object> item = new LinkedHashMap<>();
                    item.put("column", rows.getString(1));
                    type(item, rows.getString(2));
                    item.put("nullable", rows.getInt(3) == 0);
                    if (rows.getString(4) != null) {
                        item.put("default", rows.getString(4));
                    }
                    // 2 and 3 are generated columns, 1 a hidden one of a virtual table.
                    if (rows.getInt(5) > 1) {
                        item.put("generated", true);
                    }
                    items.add(item);
                }
            }
        }
        return items;
    }

    private static void type(Map<String, Object> item, String declared) {
        Matcher matcher = TYPE.matcher(declared == null ? "" : declared);
        boolean understood = matcher.matches();
        item.put("type_name", understood ? matcher.group(1).toUpperCase(Locale.ROOT) : declared);
        item.put("size", understood && matcher.group(2) != null ? Long.valueOf(matcher.group(2)) : null);
        item.put("scale", understood && matcher.group(3) != null ? Long.valueOf(matcher.group(3)) : null);
    }
}
