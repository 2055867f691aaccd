package jrunner.types;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.LinkedHashMap;
import java.util.List;
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

    /** Whether it is a text of fixed length: blanks at its end may be the database's own. */
    public boolean isFixedText() {
        return jdbcType == Types.CHAR || jdbcType == Types.NCHAR;
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
     * a prepared statement. (For an SQLite expression, which has no type, the first rows are looked at.)
     *
     * @throws Failure of phase {@code describe}
     */
    public static List<ColumnInfo> describe(Database db, String sqlOrTable, boolean isTable, Cancel cancel)
            throws Failure {
        cancel.throwIfCancelled();
        String sql = isTable ? "SELECT * FROM " + sqlOrTable + " WHERE 1 = 0" : sqlOrTable;
        try {
            db.kind().beforeDescribe(db);
            List<ColumnInfo> columns = isTable ? executed(db, sql, cancel) : prepared(db, sql);
            if (columns == null) {
                columns = executed(db, db.kind().toRunEmpty(sql), cancel);
            }
            return isTable ? db.kind().describedTable(db, sqlOrTable, columns, cancel)
                : db.kind().describedQuery(db, sql, columns, cancel);
        } catch (SQLException e) {
            cancel.throwIfCancelled();
            String advice = db.kind().explain(db, e, sql);
            throw Failure.sql("describe", advice == null ? e
                : new SQLException(advice + " (" + e.getMessage() + ")", e.getSQLState(), e.getErrorCode()), sql);
        }
    }

    private static List<ColumnInfo> prepared(Database db, String sql) throws SQLException {
        Connection connection = db.connection();
        try (PreparedStatement statement = connection.prepareStatement(db.kind().toDescribe(sql))) {
            ResultSetMetaData meta = statement.getMetaData();
            return meta == null ? null : db.kind().columns(meta);
        }
    }

    private static List<ColumnInfo> executed(Database db, String sql, Cancel cancel) throws SQLException, Failure {
        try (Statement statement = db.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery(sql)) {
            return db.kind().columns(result.getMetaData());
        }
    }
}
