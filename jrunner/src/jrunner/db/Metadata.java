package jrunner.db;

import java.sql.DatabaseMetaData;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import jrunner.Cancel;
import jrunner.Failure;

/**
 * What a database contains, by {@code DatabaseMetaData}: schemas, tables, columns, keys.
 *
 * <p>MySQL and MariaDB have catalogs where others have schemas: they are given as schemas. Names are exact, never patterns:
 * {@code _} and {@code %} in them are escaped where the driver takes patterns.
 */
public final class Metadata {
    private final Database database;
    private final Cancel cancel;
    private final boolean catalogsAreSchemas;

    public Metadata(Database database, Cancel cancel) {
        this.database = database;
        this.cancel = cancel;
        this.catalogsAreSchemas = database.kind().hasCatalogsForSchemas();
    }

    /**
     * @param what {@code schemas}, {@code tables}, {@code columns}, {@code keys} or {@code indexes}; the last three want
     *     {@code table}
     * @param catalog null: the connection's own
     * @param schema null: any; where a table is named the connection's own
     * @param table wanted for columns, keys and indexes; tables are then those of this name alone
     * @throws Failure of phase {@code metadata}
     */
    public List<Map<String, Object>> items(String what, String catalog, String schema, String table) throws Failure {
        // Metadata calls have no Statement to cancel; cutting the wait short is the best there is.
        cancel.throwIfCancelled();
        try {
            DatabaseMetaData about = database.connection().getMetaData();
            switch (what) {
                case "schemas":
                    return schemas(about, catalog);
                case "tables":
                    return tables(about, catalog, table == null ? schema : ownSchema(schema), table);
                case "columns":
                    return columns(about, catalog, ownSchema(schema), wanted(table));
                case "keys":
                    return keys(about, catalog, ownSchema(schema), wanted(table));
                case "indexes":
                    return indexes(about, catalog, ownSchema(schema), wanted(table));
                default:
                    throw Failure.of("protocol", Failure.PROTOCOL,
                            "field 'what' must be schemas, tables, columns, keys or indexes, not '" + what + "'");
            }
        } catch (SQLException e) {
            throw Failure.sql("metadata", e, null);
        }
    }

    private static String wanted(String table) throws Failure {
        if (table == null) {
            throw Failure.of("protocol", Failure.PROTOCOL, "field 'table' is missing");
        }
        return table;
    }

    private String ownSchema(String schema) throws SQLException {
        if (schema != null) {
            return schema;
        }
        try {
            return catalogsAreSchemas ? database.connection().getCatalog() : database.connection().getSchema();
        } catch (SQLException | AbstractMethodError e) {
            return null;
        }
    }

    private List<Map<String, Object>> schemas(DatabaseMetaData about, String catalog) throws SQLException {
        List<Map<String, Object>> items = new ArrayList<>();
        if (catalogsAreSchemas) {
            try (ResultSet rows = about.getCatalogs()) {
                while (rows.next()) {
                    items.add(item("schema", rows.getString("TABLE_CAT")));
                }
            }
            return items;
        }
        String own = catalog == null ? catalogName() : catalog;
        try (ResultSet rows = about.getSchemas()) {
            boolean hasCatalog = rows.getMetaData().getColumnCount() > 1;
            while (rows.next()) {
                String schema = rows.getString(1);
                String of = hasCatalog ? rows.getString(2) : null;
                if (own != null && of != null && !of.equals(own)) {
                    continue;
                }
                Map<String, Object> item = item("schema", schema);
                put(item, "catalog", of);
                items.add(item);
            }
        }
        return items;
    }

    private String catalogName() {
        try {
            return database.connection().getCatalog();
        } catch (SQLException | AbstractMethodError e) {
            return null;
        }
    }

    private List<Map<String, Object>> tables(DatabaseMetaData about, String catalog, String schema, String table)
            throws SQLException {
        List<Map<String, Object>> items = new ArrayList<>();
        String name = table == null ? "%" : pattern(about, table);
        try (ResultSet rows =
                about.getTables(catalogArgument(catalog, schema), schemaArgument(about, schema), name, null)) {
            Columns columns = new Columns(rows);
            while (rows.next()) {
                String type = tableType(columns.text("TABLE_TYPE"));
                if (type == null) {
                    continue;
                }
                Map<String, Object> item = item("table", columns.text("TABLE_NAME"));
                put(item, "schema", columns.text(catalogsAreSchemas ? "TABLE_CAT" : "TABLE_SCHEM"));
                item.put("type", type);
                put(item, "remarks", remarks(columns.text("REMARKS")));
                items.add(item);
            }
        }
        items.sort((a, b) -> compare(a, b, "schema", "table"));
        return items;
    }

    /** Drivers have many words for few things; indexes, sequences and the like are left out. */
    private static String tableType(String told) {
        String type = told == null ? "TABLE" : told.toUpperCase(Locale.ROOT).strip();
        if (type.contains("VIEW")) {
            return type.contains("SYSTEM") ? null : "view";
        }
        if (type.contains("INDEX") || type.contains("SYSTEM") || type.contains("TYPE") || type.contains("SEQUENCE")) {
            return null;
        }
        return type.contains("TABLE") || type.equals("ALIAS") || type.equals("SYNONYM") ? "table" : null;
    }

    private List<Map<String, Object>> columns(DatabaseMetaData about, String catalog, String schema, String table)
            throws SQLException {
        List<Map<String, Object>> own = database.kind().tableColumns(database, schema, table);
        if (own != null) {
            return own;
        }
        Map<Integer, Map<String, Object>> items = new TreeMap<>();
        try (ResultSet rows = about.getColumns(
                catalogArgument(catalog, schema), schemaArgument(about, schema), pattern(about, table), "%")) {
            Columns columns = new Columns(rows);
            while (rows.next()) {
                // First: Oracle's driver gives the default as a LONG, which is lost once a later column is read.
                String defaultText = columns.text("COLUMN_DEF");
                Map<String, Object> item = item("column", columns.text("COLUMN_NAME"));
                item.put("type_name", columns.text("TYPE_NAME"));
                item.put("jdbc_type", columns.number("DATA_TYPE"));
                item.put("size", columns.number("COLUMN_SIZE"));
                item.put("scale", columns.number("DECIMAL_DIGITS"));
                Integer nullable = columns.number("NULLABLE");
                item.put("nullable", nullable == null || nullable != DatabaseMetaData.columnNoNulls);
                put(item, "default", defaultText == null ? null : defaultText.strip());
                put(item, "remarks", remarks(columns.text("REMARKS")));
                put(item, "auto_increment", yes(columns.text("IS_AUTOINCREMENT")));
                put(item, "generated", yes(columns.text("IS_GENERATEDCOLUMN")));
                Integer position = columns.number("ORDINAL_POSITION");
                items.put(position == null ? items.size() + 1 : position, item);
            }
        }
        return new ArrayList<>(items.values());
    }

    /** The primary key first, then unique indexes; each with its columns in order. */
    private List<Map<String, Object>> keys(DatabaseMetaData about, String catalog, String schema, String table)
            throws SQLException {
        List<Map<String, Object>> items = new ArrayList<>();
        String catalogName = catalogArgument(catalog, schema);
        String schemaName = catalogsAreSchemas ? null : schema;
        Map<Integer, String> primary = new TreeMap<>();
        String primaryName = null;
        try (ResultSet rows = about.getPrimaryKeys(catalogName, schemaName, table)) {
            Columns columns = new Columns(rows);
            while (rows.next()) {
                String column = columns.text("COLUMN_NAME");
                String name = columns.text("PK_NAME");
                Integer sequence = columns.number("KEY_SEQ");
                primary.put(sequence == null ? primary.size() : sequence, column);
                primaryName = name == null ? primaryName : name;
            }
        }
        if (!primary.isEmpty()) {
            items.add(key(primaryName, "primary", new ArrayList<>(primary.values())));
        }
        Set<String> names = new HashSet<>();
        for (Map<String, Object> column : columns(about, catalog, schema, table)) {
            names.add((String) column.get("column"));
        }
        Map<String, TreeMap<Integer, String>> unique = new LinkedHashMap<>();
        Map<String, Boolean> partial = new HashMap<>();
        try (ResultSet rows = about.getIndexInfo(catalogName, schemaName, table, true, true)) {
            Columns columns = new Columns(rows);
            while (rows.next()) {
                String name = columns.text("INDEX_NAME");
                String column = columns.text("COLUMN_NAME");
                Integer sequence = columns.number("ORDINAL_POSITION");
                String filter = columns.text("FILTER_CONDITION");
                String nonUnique = columns.text("NON_UNIQUE");
                if (name == null || isTrue(nonUnique)) {
                    continue;
                }
                TreeMap<Integer, String> parts = unique.computeIfAbsent(name, n -> new TreeMap<>());
                parts.put(sequence == null ? parts.size() : sequence, column);
                // Unique only among some rows, or over an expression: no key of the table.
                if (!names.contains(column) || (filter != null && !filter.isBlank())) {
                    partial.put(name, true);
                }
            }
        }
        List<String> primaryColumns = new ArrayList<>(primary.values());
        for (Map.Entry<String, TreeMap<Integer, String>> index : unique.entrySet()) {
            List<String> parts = new ArrayList<>(index.getValue().values());
            if (!partial.containsKey(index.getKey()) && !parts.equals(primaryColumns)) {
                items.add(key(index.getKey(), "unique", parts));
            }
        }
        return items;
    }

    /** Indexes of all the table's rows, unique or not; each with its columns in order, up to the first expression. */
    private List<Map<String, Object>> indexes(DatabaseMetaData about, String catalog, String schema, String table)
            throws SQLException {
        Set<String> names = new HashSet<>();
        for (Map<String, Object> column : columns(about, catalog, schema, table)) {
            names.add((String) column.get("column"));
        }
        Map<String, TreeMap<Integer, String>> found = new LinkedHashMap<>();
        try (ResultSet rows = about.getIndexInfo(
                catalogArgument(catalog, schema), catalogsAreSchemas ? null : schema, table, false, true)) {
            Columns columns = new Columns(rows);
            while (rows.next()) {
                String name = columns.text("INDEX_NAME");
                String column = columns.text("COLUMN_NAME");
                Integer sequence = columns.number("ORDINAL_POSITION");
                String filter = columns.text("FILTER_CONDITION");
                if (name == null || (filter != null && !filter.isBlank())) {
                    continue;
                }
                TreeMap<Integer, String> parts = found.computeIfAbsent(name, n -> new TreeMap<>());
                parts.put(sequence == null ? parts.size() : sequence, names.contains(column) ? column : "");
            }
        }
        List<Map<String, Object>> items = new ArrayList<>();
        for (Map.Entry<String, TreeMap<Integer, String>> index : found.entrySet()) {
            List<String> parts = new ArrayList<>(index.getValue().values());
            int known = parts.indexOf("") < 0 ? parts.size() : parts.indexOf("");
            items.add(key(index.getKey(), "index", new ArrayList<>(parts.subList(0, known))));
        }
        return items;
    }

    private static Map<String, Object> key(String name, String type, List<String> columns) {
        Map<String, Object> item = new LinkedHashMap<>();
        put(item, "name", name);
        item.put("type", type);
        item.put("columns", columns);
        return item;
    }

    private String catalogArgument(String catalog, String schema) {
        if (catalogsAreSchemas) {
            return schema != null ? schema : catalog;
        }
        // Without a catalog some drivers (SQL Server's) look through all databases of the server.
        return catalog != null ? catalog : catalogName();
    }

    private String schemaArgument(DatabaseMetaData about, String schema) throws SQLException {
        return catalogsAreSchemas || schema == null ? null : pattern(about, schema);
    }

    /** A name as a pattern that matches it alone. */
    private static String pattern(DatabaseMetaData about, String name) throws SQLException {
        String escape = about.getSearchStringEscape();
        if (escape == null || escape.isEmpty()) {
            return name;
        }
        return name.replace(escape, escape + escape).replace("_", escape + "_").replace("%", escape + "%");
    }

    private static String remarks(String told) {
        return told == null || told.isBlank() ? null : told;
    }

    private static boolean isTrue(String told) {
        return told != null && (told.equalsIgnoreCase("true") || told.equals("1") || told.equalsIgnoreCase("t"));
    }

    private static Boolean yes(String told) {
        return told != null && told.equalsIgnoreCase("YES") ? true : null;
    }

    private static Map<String, Object> item(String name, Object value) {
        Map<String, Object> item = new LinkedHashMap<>();
        item.put(name, value);
        return item;
    }

    private static void put(Map<String, Object> item, String name, Object value) {
        if (value != null) {
            item.put(name, value);
        }
    }

    private static int compare(Map<String, Object> a, Map<String, Object> b, String... names) {
        for (String name : names) {
            int order = String.valueOf(a.get(name)).compareTo(String.valueOf(b.get(name)));
            if (order != 0) {
                return order;
            }
        }
        return 0;
    }

    /** A metadata result by column name; drivers differ in which columns they give. */
    private static final class Columns {
        private final ResultSet rows;
        private final Map<String, Integer> places = new HashMap<>();

        Columns(ResultSet rows) throws SQLException {
            this.rows = rows;
            ResultSetMetaData about = rows.getMetaData();
            for (int i = 1; i <= about.getColumnCount(); i++) {
                places.putIfAbsent(about.getColumnLabel(i).toUpperCase(Locale.ROOT), i);
            }
        }

        String text(String name) throws SQLException {
            Integer place = places.get(name);
            return place == null ? null : rows.getString(place);
        }

        Integer number(String name) throws SQLException {
            Integer place = places.get(name);
            if (place == null) {
                return null;
            }
            int value = rows.getInt(place);
            return rows.wasNull() ? null : value;
        }
    }
}
