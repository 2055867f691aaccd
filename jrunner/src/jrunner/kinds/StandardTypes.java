package jrunner.kinds;

import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Types;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/** Sorts what a driver says about a column into a {@link Family}, by the standard's names and by JDBC's types. */
final class StandardTypes {
    /** Standard names that have no JDBC type of their own. */
    private static final Map<String, Family> NAMES = table(
        "UUID", Family.UUID, "JSON", Family.JSON, "XML", Family.XML, "DECFLOAT", Family.DECIMAL, "ENUM", Family.TEXT,
        "BOOLEAN", Family.BOOLEAN, "TIMESTAMP WITH TIME ZONE", Family.TIMESTAMPTZ, "TIME WITH TIME ZONE", Family.TIMETZ,
        "GRAPHIC", Family.TEXT, "VARGRAPHIC", Family.TEXT, "DBCLOB", Family.TEXT, "GEOMETRY", Family.OTHER, "ARRAY",
            Family.ARRAY);

    private StandardTypes() {
    }

    /** A map of type names, given as name, family, name, family, ... */
    static Map<String, Family> table(Object... pairs) {
        Map<String, Family> map = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], (Family) pairs[i + 1]);
        }
        return map;
    }

    /** @param typeName null is taken as empty */
    static ColumnInfo column(Kind kind, ResultSetMetaData meta, int index, String typeName) throws SQLException {
        int nullable = safe(() -> meta.isNullable(index));
        Boolean isNullable = nullable == ResultSetMetaData.columnNoNulls ? Boolean.FALSE
            : nullable == ResultSetMetaData.columnNullable ? Boolean.TRUE : null;
        return kind.column(meta.getColumnLabel(index), typeName == null ? "" : typeName, meta.getColumnType(index),
            safe(() -> meta.getPrecision(index)), safe(() -> meta.getScale(index)), isNullable);
    }

    private interface IntCall {
        int get() throws SQLException;
    }

    /** Some drivers refuse questions that make no sense for a type. */
    private static int safe(IntCall call) {
        try {
            return call.get();
        } catch (SQLException | RuntimeException e) {
            return 0;
        }
    }

    /** By the type's name if it is one of the standard's, else by its JDBC type. */
    static Family family(int jdbcType, String typeName) {
        String base = baseName(typeName).toUpperCase(Locale.ROOT);
        if (base.startsWith("INTERVAL")) {
            return Family.INTERVAL;
        }
        Family named = NAMES.get(base);
        return named != null ? named : byJdbcType(jdbcType);
    }

    /**
     * {@code VARCHAR(20)} is {@code VARCHAR}; {@code TIMESTAMP(6) WITH TIME ZONE} is {@code TIMESTAMP WITH TIME ZONE}.
     */
    static String baseName(String typeName) {
        int open = typeName.indexOf('(');
        if (open < 0) {
            return typeName.trim();
        }
        int close = typeName.indexOf(')', open);
        return (typeName.substring(0, open) + (close < 0 ? "" : typeName.substring(close + 1))).trim();
    }

    static Family byJdbcType(int jdbc) {
        switch (jdbc) {
            case Types.BOOLEAN:
            case Types.BIT:
                return Family.BOOLEAN;
            case Types.TINYINT:
            case Types.SMALLINT:
                return Family.INT16;
            case Types.INTEGER:
                return Family.INT32;
            case Types.BIGINT:
                return Family.INT64;
            case Types.DECIMAL:
            case Types.NUMERIC:
                return Family.DECIMAL;
            case Types.REAL:
                return Family.FLOAT32;
            case Types.FLOAT:
            case Types.DOUBLE:
                return Family.FLOAT64;
            case Types.CHAR:
            case Types.VARCHAR:
            case Types.LONGVARCHAR:
            case Types.NCHAR:
            case Types.NVARCHAR:
            case Types.LONGNVARCHAR:
            case Types.CLOB:
            case Types.NCLOB:
                return Family.TEXT;
            case Types.BINARY:
            case Types.VARBINARY:
            case Types.LONGVARBINARY:
            case Types.BLOB:
                return Family.BINARY;
            case Types.DATE:
                return Family.DATE;
            case Types.TIME:
                return Family.TIME;
            case Types.TIME_WITH_TIMEZONE:
                return Family.TIMETZ;
            case Types.TIMESTAMP:
                return Family.TIMESTAMP;
            case Types.TIMESTAMP_WITH_TIMEZONE:
                return Family.TIMESTAMPTZ;
            case Types.SQLXML:
                return Family.XML;
            case Types.ARRAY:
                return Family.ARRAY;
            default:
                return Family.OTHER;
        }
    }

    /** Precision and scale in the protocol's terms: digits, characters, or digits of a second's fraction. */
    static int[] size(Kind kind, Family family, String typeName, int jdbcType, int precision, int scale) {
        switch (family) {
            case DECIMAL:
                return kind.decimalSize(typeName, precision, scale);
            case TEXT:
                return new int[] {kind.isUnlimitedText(jdbcType, precision) ? 0 : precision, 0};
            case BINARY:
                boolean unlimited = precision <= 0 || precision >= 1_000_000_000 || jdbcType == Types.BLOB;
                return new int[] {unlimited ? 0 : precision, 0};
            case TIME:
            case TIMETZ:
            case TIMESTAMP:
            case TIMESTAMPTZ:
                return new int[] {kind.fraction(family, typeName, precision, scale), 0};
            default:
                return new int[] {0, 0};
        }
    }

    /** The least and the greatest number of a family of integers. */
    static long[] integerRange(Family family) {
        switch (family) {
            case INT16:
                return new long[] {Short.MIN_VALUE, Short.MAX_VALUE};
            case INT32:
                return new long[] {Integer.MIN_VALUE, Integer.MAX_VALUE};
            default:
                return new long[] {Long.MIN_VALUE, Long.MAX_VALUE};
        }
    }
}
