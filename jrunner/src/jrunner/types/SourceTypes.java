package jrunner.types;

import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Types;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Sorts what a driver says about a column into a {@link Family}. The type's name decides where the database has names
 * of its own; else the JDBC type does.
 */
final class SourceTypes {
    private static final Map<String, Family> POSTGRESQL = table(
        "bool", Family.BOOLEAN, "int2", Family.INT16, "smallserial", Family.INT16, "int4", Family.INT32, "serial",
            Family.INT32,
        "int8", Family.INT64, "bigserial", Family.INT64, "oid", Family.INT64, "numeric", Family.DECIMAL, "float4",
            Family.FLOAT32,
        "float8", Family.FLOAT64, "text", Family.TEXT, "varchar", Family.TEXT, "bpchar", Family.TEXT, "char",
            Family.TEXT,
        "name", Family.TEXT, "citext", Family.TEXT, "bytea", Family.BINARY, "date", Family.DATE, "time", Family.TIME,
        "timetz", Family.TIMETZ, "timestamp", Family.TIMESTAMP, "timestamptz", Family.TIMESTAMPTZ, "uuid", Family.UUID,
        "json", Family.JSON, "jsonb", Family.JSON, "xml", Family.XML, "interval", Family.INTERVAL);

    private static final Map<String, Family> MYSQL = table(
        "TINYINT", Family.INT16, "TINYINT UNSIGNED", Family.INT16, "SMALLINT", Family.INT16, "SMALLINT UNSIGNED",
            Family.INT32,
        "MEDIUMINT", Family.INT32, "MEDIUMINT UNSIGNED", Family.INT32, "INT", Family.INT32, "INTEGER", Family.INT32,
        "INT UNSIGNED", Family.INT64, "INTEGER UNSIGNED", Family.INT64, "BIGINT", Family.INT64, "BIGINT UNSIGNED",
            Family.DECIMAL,
        "YEAR", Family.INT16, "DECIMAL", Family.DECIMAL, "DECIMAL UNSIGNED", Family.DECIMAL, "FLOAT", Family.FLOAT32,
        "FLOAT UNSIGNED", Family.FLOAT32, "DOUBLE", Family.FLOAT64, "DOUBLE UNSIGNED", Family.FLOAT64, "DATE",
            Family.DATE,
        "TIME", Family.TIME, "DATETIME", Family.TIMESTAMP, "TIMESTAMP", Family.TIMESTAMPTZ, "JSON", Family.JSON,
        "ENUM", Family.TEXT, "SET", Family.TEXT, "CHAR", Family.TEXT, "VARCHAR", Family.TEXT, "TEXT", Family.TEXT,
        "TINYTEXT", Family.TEXT, "MEDIUMTEXT", Family.TEXT, "LONGTEXT", Family.TEXT, "UUID", Family.UUID, "GEOMETRY",
            Family.BINARY);

    private static final Map<String, Family> SQLSERVER = table(
        "bit", Family.BOOLEAN, "tinyint", Family.INT16, "money", Family.DECIMAL, "smallmoney", Family.DECIMAL, "real",
            Family.FLOAT32,
        "float", Family.FLOAT64, "datetime", Family.TIMESTAMP, "datetime2", Family.TIMESTAMP, "smalldatetime",
            Family.TIMESTAMP,
        "datetimeoffset", Family.TIMESTAMPTZ, "uniqueidentifier", Family.UUID, "xml", Family.XML, "timestamp",
            Family.BINARY,
        "rowversion", Family.BINARY, "sql_variant", Family.OTHER);

    private static final Map<String, Family> ORACLE = table(
        "DATE", Family.TIMESTAMP, "BINARY_FLOAT", Family.FLOAT32, "BINARY_DOUBLE", Family.FLOAT64, "FLOAT",
            Family.DECIMAL,
        "RAW", Family.BINARY, "LONG RAW", Family.BINARY, "LONG", Family.TEXT, "ROWID", Family.TEXT, "UROWID",
            Family.TEXT,
        "TIMESTAMP WITH TIME ZONE", Family.TIMESTAMPTZ, "TIMESTAMP WITH LOCAL TIME ZONE", Family.TIMESTAMPTZ,
        "INTERVALDS", Family.INTERVAL, "INTERVALYM", Family.INTERVAL, "JSON", Family.JSON);

    /** H2, Derby, HSQLDB, DB2 and drivers not known by name: standard names that have no JDBC type of their own. */
    private static final Map<String, Family> STANDARD = table(
        "UUID", Family.UUID, "JSON", Family.JSON, "XML", Family.XML, "DECFLOAT", Family.DECIMAL, "ENUM", Family.TEXT,
        "BOOLEAN", Family.BOOLEAN, "TIMESTAMP WITH TIME ZONE", Family.TIMESTAMPTZ, "TIME WITH TIME ZONE", Family.TIMETZ,
        "GRAPHIC", Family.TEXT, "VARGRAPHIC", Family.TEXT, "DBCLOB", Family.TEXT, "GEOMETRY", Family.OTHER, "ARRAY",
            Family.ARRAY);

    /** Types whose name holds one of these words, in this order; SQLite takes any name at all for a type. */
    private static final Object[][] SQLITE_WORDS = {
        {"BOOL", Family.BOOLEAN}, {"INTERVAL", Family.TEXT}, {"POINT", Family.ANY}, {"INT", Family.INT64},
            {"UUID", Family.UUID},
        {"GUID", Family.UUID}, {"JSON", Family.JSON}, {"CHAR", Family.TEXT}, {"CLOB", Family.TEXT},
            {"TEXT", Family.TEXT},
        {"STRING", Family.TEXT}, {"BLOB", Family.BINARY}, {"BINARY", Family.BINARY}, {"BYTEA", Family.BINARY},
            {"REAL", Family.FLOAT64},
        {"FLOA", Family.FLOAT64}, {"DOUB", Family.FLOAT64}, {"DEC", Family.DECIMAL}, {"NUM", Family.DECIMAL},
            {"MONEY", Family.DECIMAL},
        {"TIMESTAMPTZ", Family.TIMESTAMPTZ}, {"TIMESTAMP WITH TIME ZONE", Family.TIMESTAMPTZ},
            {"DATETIMEOFFSET", Family.TIMESTAMPTZ},
        {"TIMESTAMP", Family.TIMESTAMP}, {"DATETIME", Family.TIMESTAMP}, {"TIMETZ", Family.TIMETZ},
            {"TIME", Family.TIME},
        {"DATE", Family.DATE}, {"YEAR", Family.INT64},
    };

    private SourceTypes() {
    }

    private static Map<String, Family> table(Object... pairs) {
        Map<String, Family> map = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], (Family) pairs[i + 1]);
        }
        return map;
    }

    /** @param declared SQLite's declared type; null for other kinds, and where it cannot be told */
    static ColumnInfo column(String kind, ResultSetMetaData meta, int index, String declared) throws SQLException {
        String name = meta.getColumnLabel(index);
        int jdbc = meta.getColumnType(index);
        String typeName = declared != null ? declared : meta.getColumnTypeName(index);
        typeName = typeName == null ? "" : typeName;
        int precision = safe(() -> meta.getPrecision(index));
        int scale = safe(() -> meta.getScale(index));
        int nullable = safe(() -> meta.isNullable(index));
        Boolean isNullable = nullable == ResultSetMetaData.columnNoNulls ? Boolean.FALSE
            : nullable == ResultSetMetaData.columnNullable ? Boolean.TRUE : null;
        if (kind.equals("sqlite")) {
            return sqlite(name, typeName, jdbc, isNullable);
        }
        Family family = family(kind, jdbc, typeName, precision, scale);
        int[] size = size(kind, family, jdbc, typeName, precision, scale);
        return new ColumnInfo(name, family, typeName, jdbc, size[0], size[1], isNullable, null);
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

    static Family family(String kind, int jdbc, String typeName, int precision, int scale) {
        String base = baseName(typeName);
        Family named = null;
        switch (kind) {
            case "postgresql":
                named = POSTGRESQL.get(base.toLowerCase(Locale.ROOT));
                if (named == null) {
                    return typeName.startsWith("_") ? Family.ARRAY : Family.OTHER;
                }
                return named;
            case "mariadb":
            case "mysql":
                if (base.equals("BIT")) {
                    return precision <= 1 ? Family.BOOLEAN : precision < 64 ? Family.INT64 : Family.DECIMAL;
                }
                named = MYSQL.get(base.toUpperCase(Locale.ROOT));
                break;
            case "sqlserver":
                named = SQLSERVER.get(base.toLowerCase(Locale.ROOT));
                break;
            case "oracle":
                if (base.startsWith("TIMESTAMP")) {
                    return base.contains("ZONE") ? Family.TIMESTAMPTZ : Family.TIMESTAMP;
                }
                named = ORACLE.get(base.toUpperCase(Locale.ROOT));
                break;
            default:
                if (base.toUpperCase(Locale.ROOT).startsWith("INTERVAL")) {
                    return Family.INTERVAL;
                }
                named = STANDARD.get(base.toUpperCase(Locale.ROOT));
                break;
        }
        return named != null ? named : byJdbcType(jdbc);
    }

    /**
     * {@code VARCHAR(20)} is {@code VARCHAR}; {@code TIMESTAMP(6) WITH TIME ZONE} is {@code TIMESTAMP WITH TIME ZONE}.
     */
    private static String baseName(String typeName) {
        int open = typeName.indexOf('(');
        if (open < 0) {
            return typeName.trim();
        }
        int close = typeName.indexOf(')', open);
        return (typeName.substring(0, open) + (close < 0 ? "" : typeName.substring(close + 1))).trim();
    }

    private static Family byJdbcType(int jdbc) {
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
    private static int[] size(String kind, Family family, int jdbc, String typeName, int precision, int scale) {
        boolean mysql = kind.equals("mariadb") || kind.equals("mysql");
        switch (family) {
            case DECIMAL:
                if (typeName.toUpperCase(Locale.ROOT).startsWith("BIGINT") || typeName.equalsIgnoreCase("BIT")) {
                    return new int[] {20, 0};
                }
                // Unconstrained: PostgreSQL says 0, Oracle says a scale of -127, a DECFLOAT has no scale.
                if (precision <= 0 || scale < 0 && kind.equals("oracle") || typeName.equalsIgnoreCase("DECFLOAT")
                        || kind.equals("oracle") && typeName.equals("FLOAT") || precision > 100_000) {
                    return new int[] {0, 0};
                }
                return new int[] {precision, scale};
            case TEXT:
                boolean unlimited = precision <= 0 || precision >= 1_000_000_000 || jdbc == Types.CLOB
                    || jdbc == Types.NCLOB
                    || mysql && (jdbc == Types.LONGVARCHAR || precision > 65_535);
                return new int[] {unlimited ? 0 : precision, 0};
            case BINARY:
                return new int[] {precision <= 0 || precision >= 1_000_000_000 || jdbc == Types.BLOB ? 0 : precision,
                    0};
            case TIME:
            case TIMETZ:
            case TIMESTAMP:
            case TIMESTAMPTZ:
                return new int[] {fraction(kind, family, typeName, scale), 0};
            default:
                return new int[] {0, 0};
        }
    }

    private static int fraction(String kind, Family family, String typeName, int scale) {
        switch (kind) {
            case "derby":
                return family == Family.TIME ? 0 : 9;
            case "oracle":
                return typeName.equals("DATE") ? 0 : Math.min(9, Math.max(0, scale));
            case "sqlserver":
                return typeName.equals("datetime") ? 3 : typeName.equals("smalldatetime") ? 0
                    : Math.min(7, Math.max(0, scale));
            default:
                return Math.min(9, Math.max(0, scale));
        }
    }

    /** SQLite's declared type is a promise that nobody keeps: lengths are not enforced, so they are not reported. */
    static ColumnInfo sqlite(String name, String declared, int jdbc, Boolean nullable) {
        String upper = declared.toUpperCase(Locale.ROOT);
        Family family = Family.ANY;
        for (Object[] word : SQLITE_WORDS) {
            if (upper.contains((String) word[0])) {
                family = (Family) word[1];
                break;
            }
        }
        int precision = 0;
        int scale = 0;
        if (family == Family.DECIMAL) {
            int open = upper.indexOf('(');
            int close = upper.indexOf(')', open + 1);
            if (open > 0 && close > open) {
                String[] parts = upper.substring(open + 1, close).split(",");
                try {
                    precision = Integer.parseInt(parts[0].trim());
                    scale = parts.length > 1 ? Integer.parseInt(parts[1].trim()) : 0;
                } catch (NumberFormatException e) {
                    precision = 0;
                    scale = 0;
                }
            }
        } else if (family == Family.TIMESTAMP || family == Family.TIMESTAMPTZ || family == Family.TIME
                || family == Family.TIMETZ) {
            precision = 6;
        }
        return new ColumnInfo(name, family, declared, jdbc, precision, scale, nullable, null);
    }
}
