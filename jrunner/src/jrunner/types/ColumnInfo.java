package jrunner.types;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;

/** What a database says about one column of a query or a table. */
public final class ColumnInfo {
    private final String name;
    private final Family family;
    private final String typeName;
    private final int jdbcType;
    private final int precision;
    private final int scale;
    private final Boolean nullable;
    private final String remarks;

    public ColumnInfo(String name, Family family, String typeName, int jdbcType, int precision, int scale,
            Boolean nullable, String remarks) {
        this.name = name;
        this.family = family;
        this.typeName = typeName;
        this.jdbcType = jdbcType;
        this.precision = precision;
        this.scale = scale;
        this.nullable = nullable;
        this.remarks = remarks;
    }

    public String name() {
        return name;
    }

    public Family family() {
        return family;
    }

    /** The database's own name of the type. */
    public String typeName() {
        return typeName;
    }

    /** One of {@link java.sql.Types}. */
    public int jdbcType() {
        return jdbcType;
    }

    /**
     * Digits of a decimal, characters of a text, bytes of a binary, digits of a second's fraction; 0 where there is no
     * limit.
     */
    public int precision() {
        return precision;
    }

    public int scale() {
        return scale;
    }

    /** Null where the driver does not know. */
    public Boolean nullable() {
        return nullable;
    }

    public String remarks() {
        return remarks;
    }

    ColumnInfo as(Family other, int newPrecision, int newScale) {
        return new ColumnInfo(name, other, typeName, jdbcType, newPrecision, newScale, nullable, remarks);
    }

    /** The column as the describe operation shows it. */
    public Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("name", name);
        map.put("family", family.label());
        map.put("type_name", typeName);
        map.put("jdbc_type", jdbcType);
        map.put("precision", precision);
        map.put("scale", scale);
        map.put("nullable", nullable);
        if (remarks != null && !remarks.isEmpty()) {
            map.put("remarks", remarks);
        }
        return map;
    }

    /**
     * Describes the columns of a query, or of a table named by SQL text, fetching no rows where the driver can describe
     * a prepared statement. (For an SQLite expression, which has no type, the first row is looked at.)
     *
     * @throws Failure of phase {@code describe}
     */
    public static List<ColumnInfo> describe(Database db, String sqlOrTable, boolean isTable, Cancel cancel)
            throws Failure {
        cancel.throwIfCancelled();
        String sql = isTable ? "SELECT * FROM " + sqlOrTable + " WHERE 1 = 0" : sqlOrTable;
        try {
            if (db.kind().equals("sqlite")) {
                readSchemaAnew(db);
            }
            List<ColumnInfo> columns = isTable ? executed(db, sql, cancel) : prepared(db, sql);
            if (columns == null) {
                columns = executed(db, "SELECT * FROM (" + sql + "\n) q WHERE 1 = 0", cancel);
            }
            if (isTable && (db.kind().equals("mariadb") || db.kind().equals("mysql"))) {
                return mysqlTable(db, sqlOrTable, columns, cancel);
            }
            return db.kind().equals("sqlite") && !isTable ? lookAtFirstRow(db, sql, columns, cancel) : columns;
        } catch (SQLException e) {
            cancel.throwIfCancelled();
            throw Failure.sql("describe", e, sql);
        }
    }

    /** The columns of an open result. */
    public static List<ColumnInfo> of(Database db, ResultSetMetaData meta) throws SQLException {
        List<ColumnInfo> columns = new ArrayList<>(meta.getColumnCount());
        String[] declared = db.kind().equals("sqlite") ? SqliteDeclared.types(meta) : null;
        for (int i = 1; i <= meta.getColumnCount(); i++) {
            columns.add(SourceTypes.column(db.kind(), meta, i, declared == null ? null : declared[i - 1]));
        }
        return columns;
    }

    /**
     * SQLite prepares against the schema that it read last, and notices another process's ALTER TABLE only when a
     * statement runs: without this, a warm connection would describe a query as it was.
     */
    private static void readSchemaAnew(Database db) throws SQLException {
        try (Statement statement = db.connection().createStatement()) {
            statement.execute("SELECT count(*) FROM sqlite_master");
        }
    }

    private static List<ColumnInfo> prepared(Database db, String sql) throws SQLException {
        Connection connection = db.connection();
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            ResultSetMetaData meta = statement.getMetaData();
            return meta == null ? null : of(db, meta);
        }
    }

    private static List<ColumnInfo> executed(Database db, String sql, Cancel cancel) throws SQLException, Failure {
        try (Statement statement = db.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery(sql)) {
            return of(db, result.getMetaData());
        }
    }

    /** MySQL's result metadata hides a type's full text; SHOW COLUMNS has it. */
    private static List<ColumnInfo> mysqlTable(Database db, String table, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException, Failure {
        List<ColumnInfo> full = new ArrayList<>();
        try (Statement statement = db.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery("SHOW COLUMNS FROM " + table)) {
            for (int i = 0; result.next() && i < columns.size(); i++) {
                full.add(mysqlColumn(columns.get(i), result.getString("Type").toLowerCase(Locale.ROOT)));
            }
        }
        return full.size() == columns.size() ? full : columns;
    }

    private static ColumnInfo mysqlColumn(ColumnInfo column, String type) {
        if (type.startsWith("datetime") || type.startsWith("timestamp") || type.equals("time")
                || type.startsWith("time(")) {
            int open = type.indexOf('(');
            int digits = open < 0 ? 0 : Integer.parseInt(type.substring(open + 1, type.indexOf(')', open)));
            return new ColumnInfo(column.name, column.family, type, column.jdbcType, digits, 0, column.nullable,
                column.remarks);
        }
        Family family = type.equals("uuid") ? Family.UUID : column.family;
        return new ColumnInfo(column.name, family, type, column.jdbcType, column.precision, column.scale,
            column.nullable, column.remarks);
    }

    private static List<ColumnInfo> lookAtFirstRow(Database db, String sql, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException, Failure {
        boolean open = false;
        for (ColumnInfo column : columns) {
            open |= column.family == Family.ANY;
        }
        if (!open) {
            return columns;
        }
        List<ColumnInfo> seen = new ArrayList<>(columns.size());
        try (Statement statement = db.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery(sql)) {
            boolean row = result.next();
            for (int i = 0; i < columns.size(); i++) {
                ColumnInfo column = columns.get(i);
                Object first = row && column.family == Family.ANY ? result.getObject(i + 1) : null;
                Family family = first instanceof Integer || first instanceof Long ? Family.INT64
                    : first instanceof Double ? Family.FLOAT64
                    : first instanceof String ? Family.TEXT
                    : first instanceof byte[] ? Family.BINARY
                    : column.family;
                seen.add(family == column.family ? column : column.as(family, 0, 0));
            }
        }
        return seen;
    }
}
