package jrunner.kinds;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Load;
import jrunner.transfer.ResultSource;
import jrunner.transfer.RowSink;
import jrunner.transfer.RowSource;
import jrunner.transfer.Target;
import jrunner.transfer.TransferRequest;
import jrunner.types.BadValue;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;
import jrunner.types.Numbers;

/** What MariaDB and MySQL have in common, which is all but their drivers: written by LOAD DATA ({@link LoadDataSink}). */
abstract class MySqlBase extends Kind {
    private static final Map<String, Family> TYPES = StandardTypes.table(
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

    /** Values of columns longer than this may be huge. */
    private static final int LONG_VALUE = 10_000;
    /** Seconds that writers may have to wait for a lock that is not granted, and that one is held by a client that has vanished. */
    private static final int LOCK_WAIT_S = 2;
    private static final int LOCK_HELD_S = 10;
    private static final int LOCK_WAIT_TIMEOUT = 1205;

    MySqlBase(String driverClass, String... driverJars) {
        super(driverClass, driverJars);
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        p.setProperty("connectTimeout", Long.toString(spec.connectTimeoutSeconds * 1000L));
        p.setProperty("tcpKeepAlive", "true");
        // TINYINT(1) is a number with values up to 127, not a boolean; YEAR is a number.
        p.setProperty("tinyInt1isBit", "false");
        p.setProperty("yearIsDateType", "false");
        p.setProperty("rewriteBatchedStatements", "true");
        // Text protocol: values arrive as the server prints them, nothing is converted on the way.
        p.setProperty("useServerPrepStmts", "false");
        p.setProperty("connectionAttributes", "program_name:" + spec.applicationName.replace(',', ' ').replace(':', ' '));
        // Either driver may be used for either kind.
        if (driver.startsWith("com.mysql")) {
            p.setProperty("connectionTimeZone", "UTC");
            // Otherwise each text column comes in its own character set, and its bytes are read as they are.
            p.setProperty("characterSetResults", "UTF-8");
        }
    }

    @Override
    public List<String> initSql() {
        // Modes in which a literal, or a value that is read or written, means something else.
        String mode = "CONCAT(',', @@sql_mode, ',')";
        for (String other : List.of("NO_BACKSLASH_ESCAPES", "PAD_CHAR_TO_FULL_LENGTH", "EMPTY_STRING_IS_NULL",
                "TIME_ROUND_FRACTIONAL", "NO_UNSIGNED_SUBTRACTION", "HIGH_NOT_PRECEDENCE", "NO_ZERO_DATE", "NO_ZERO_IN_DATE")) {
            mode = "REPLACE(" + mode + ", '," + other + ",', ',')";
        }
        return List.of(
            // Under READ COMMITTED two merges into one table could both delete the old rows and both insert: neither sees
            // the other's. REPEATABLE READ, the default, locks the gaps as well.
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            // Nothing is cut or rounded to fit without an error, and a 0 in an AUTO_INCREMENT column stays a 0: numbered
            // anew it would come again with each run. TIMESTAMP columns are read and written in UTC; the server waits for
            // us while the other side of a migration is slow (its defaults are 30 and 60 seconds).
            "SET SESSION sql_mode = CONCAT_WS(',', NULLIF(TRIM(BOTH ',' FROM " + mode + "), ''), 'STRICT_ALL_TABLES',"
                + " 'NO_AUTO_VALUE_ON_ZERO'), time_zone = '+00:00', net_write_timeout = 3600, net_read_timeout = 3600");
    }

    @Override
    public String quoteString(Connection connection) {
        return "`";
    }

    @Override
    public boolean hasCatalogsForSchemas() {
        return true;
    }

    /** MySQL's result metadata hides a type's full text; SHOW COLUMNS has it. */
    @Override
    public List<ColumnInfo> describedTable(Database database, String table, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException, Failure {
        List<ColumnInfo> full = new ArrayList<>();
        try (Statement statement = database.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery("SHOW COLUMNS FROM " + table)) {
            for (int i = 0; result.next() && i < columns.size(); i++) {
                full.add(fullColumn(columns.get(i), result.getString("Type").toLowerCase(Locale.ROOT)));
            }
        }
        return full.size() == columns.size() ? full : columns;
    }

    private static ColumnInfo fullColumn(ColumnInfo column, String type) {
        Family family = type.equals("uuid") ? Family.UUID : column.family();
        int precision = column.precision();
        int scale = column.scale();
        if (type.startsWith("datetime") || type.startsWith("timestamp") || type.equals("time")
                || type.startsWith("time(")) {
            int open = type.indexOf('(');
            precision = open < 0 ? 0 : Integer.parseInt(type.substring(open + 1, type.indexOf(')', open)));
            scale = 0;
        }
        return new ColumnInfo(column.name(), family, type, column.jdbcType(), precision, scale, column.nullable(),
            column.remarks());
    }

    @Override
    Family family(int jdbcType, String typeName, int precision) {
        String base = StandardTypes.baseName(typeName);
        if (base.equals("BIT")) {
            return precision <= 1 ? Family.BOOLEAN : precision < 64 ? Family.INT64 : Family.DECIMAL;
        }
        Family named = TYPES.get(base.toUpperCase(Locale.ROOT));
        return named != null ? named : StandardTypes.byJdbcType(jdbcType);
    }

    @Override
    int[] decimalSize(String typeName, int precision, int scale) {
        // BIGINT UNSIGNED and BIT(64).
        boolean integer = typeName.toUpperCase(Locale.ROOT).startsWith("BIGINT") || typeName.equalsIgnoreCase("BIT");
        return integer ? new int[] {20, 0} : super.decimalSize(typeName, precision, scale);
    }

    /** MySQL's driver tells no scale, but the length of the text: {@code 2024-02-29 12:34:56} or {@code -838:59:59} at least. */
    @Override
    int fraction(Family family, String typeName, int precision, int scale) {
        int whole = family == Family.TIME ? 10 : 19;
        return scale > 0 || precision <= whole ? super.fraction(family, typeName, precision, scale) : precision - whole - 1;
    }

    @Override
    boolean isUnlimitedText(int jdbcType, int precision) {
        return super.isUnlimitedText(jdbcType, precision) || jdbcType == Types.LONGVARCHAR || precision > 65_535;
    }

    @Override
    public RowSource rowSource(Database database, String sql, int fetchRows, Cancel cancel) throws Failure {
        List<ColumnInfo> columns;
        try {
            columns = ColumnInfo.describe(database, sql, false, cancel);
        } catch (Failure e) {
            cancel.throwIfCancelled();
            throw e;
        }
        int rows = fetchRows == 0 && holdsLongValues(columns) ? 1 : fetchRows;
        return new ResultSource(database, sql, exactFloats(database, sql, columns), columns, rows, cancel);
    }

    /** MariaDB's driver holds as many rows as are fetched at a time; where each may be huge, one must be enough. */
    private static boolean holdsLongValues(List<ColumnInfo> columns) {
        for (ColumnInfo column : columns) {
            Family family = column.family();
            boolean bytes = family == Family.TEXT || family == Family.JSON || family == Family.BINARY;
            if (bytes && (column.precision() == 0 || column.precision() > LONG_VALUE)) {
                return true;
            }
        }
        return false;
    }

    /** MySQL prints a FLOAT with six digits, which loses some; as a DOUBLE it comes whole. */
    private static String exactFloats(Database database, String sql, List<ColumnInfo> columns) {
        StringBuilder list = new StringBuilder();
        boolean any = false;
        for (ColumnInfo column : columns) {
            String name = database.quote(column.name());
            boolean isFloat = column.family() == Family.FLOAT32;
            any |= isFloat;
            list.append(list.length() == 0 ? "" : ", ").append(isFloat ? name + " + 0e0 AS " + name : name);
        }
        return any ? "SELECT " + list + " FROM (" + sql + "\n) AS q" : sql;
    }

    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        boolean raw = hasRawBytes(database);
        switch (column.family()) {
            case BOOLEAN:
            case INT64:
            case DECIMAL:
                if (column.typeName().equalsIgnoreCase("BIT")) {
                    return MySqlBase::readBit;
                }
                return column.family() == Family.DECIMAL ? text(Family.DECIMAL, raw) : CellReaders.standard(column);
            case DATE: case TIME: case TIMETZ: case TIMESTAMP: case TIMESTAMPTZ:
                return text(column.family(), raw);
            case INT16:
                // YEAR would come as a date.
                return column.typeName().equalsIgnoreCase("YEAR") ? text(Family.DECIMAL, raw) : CellReaders.standard(column);
            case TEXT:
            case JSON:
                return raw ? CellReaders.utf8() : CellReaders.string();
            default:
                return CellReaders.standard(column);
        }
    }

    private static CellReader text(Family family, boolean raw) {
        return CellReaders.fromText(family, raw, family.isTemporal());
    }

    /** True for drivers whose getBytes gives the text protocol's own bytes; MariaDB's from version 3 on does not. */
    private static boolean hasRawBytes(Database database) {
        try {
            String driver = database.connection().getMetaData().getDriverName();
            int version = database.connection().getMetaData().getDriverMajorVersion();
            return driver != null && (driver.contains("MariaDB") ? version < 3 : driver.contains("MySQL"));
        } catch (SQLException | RuntimeException e) {
            return false;
        }
    }

    private static void readBit(ResultSet result, int index, Cells cells, int row) throws SQLException {
        byte[] bits = result.getBytes(index);
        if (bits == null) {
            cells.setNull(row);
            return;
        }
        long value = 0;
        for (byte b : bits) {
            value = value << 8 | b & 0xFF;
        }
        if (value < 0) {
            cells.setDecimal(row, Numbers.unsigned(value));
        } else {
            cells.setInt(row, value);
        }
    }

    @Override
    public boolean beginSnapshot(Database source) throws SQLException {
        return beginSnapshot(
            source, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT");
    }

    /**
     * All begin while nobody writes. The lock is the whole server's, so it must come at once and is held for no longer than that
     * takes; should this process vanish meanwhile, the server ends its connection, and the lock with it, after some seconds.
     */
    @Override
    public String shareSnapshot(Database source, List<Database> siblings) throws SQLException {
        try (Statement statement = source.connection().createStatement()) {
            String timeouts = timeouts(statement);
            statement.execute("SET SESSION lock_wait_timeout = " + LOCK_WAIT_S + ", wait_timeout = " + LOCK_HELD_S);
            String why = null;
            try {
                why = lockWrites(statement);
                beginSnapshots(source, siblings);
            } finally {
                if (why == null) {
                    statement.execute("UNLOCK TABLES");
                }
                statement.execute(timeouts);
            }
            return why;
        }
    }

    private static String timeouts(Statement statement) throws SQLException {
        try (ResultSet row = statement.executeQuery("SELECT @@lock_wait_timeout, @@wait_timeout")) {
            row.next();
            return "SET SESSION lock_wait_timeout = " + row.getLong(1) + ", wait_timeout = " + row.getLong(2);
        }
    }

    /** Keeps all from writing; or why it cannot. */
    private static String lockWrites(Statement statement) throws SQLException {
        try {
            statement.execute("FLUSH TABLES WITH READ LOCK");
            return null;
        } catch (SQLException e) {
            if (e.getSQLState() != null && e.getSQLState().startsWith("08")) {
                throw e;
            }
            return e.getErrorCode() == LOCK_WAIT_TIMEOUT ? "a statement that writes was in the way of a lock for " + LOCK_WAIT_S + " s"
                : "nobody could be kept from writing while they begin, which needs the right RELOAD: " + e.getMessage();
        }
    }

    @Override
    public Limits limits() {
        // A TIME may last beyond a day; the session runs in UTC and takes no offset.
        return new Limits().midnightAtEnd().durations().noOffsets().noMinusZero().oddDates();
    }

    @Override
    public long[] integerRange(ColumnInfo column) {
        String type = column.typeName().toLowerCase(Locale.ROOT);
        boolean unsigned = type.contains("unsigned");
        if (type.startsWith("bit")) {
            boolean sized = column.precision() > 0 && column.precision() < 63;
            return new long[] {0, sized ? (1L << column.precision()) - 1 : Long.MAX_VALUE};
        }
        if (type.startsWith("tinyint")) {
            return unsigned ? new long[] {0, 255} : new long[] {-128, 127};
        }
        if (type.startsWith("smallint") && unsigned) {
            return new long[] {0, 65_535};
        }
        if (type.startsWith("mediumint")) {
            return unsigned ? new long[] {0, 16_777_215} : new long[] {-8_388_608, 8_388_607};
        }
        if (type.startsWith("int") && unsigned) {
            return new long[] {0, 4_294_967_295L};
        }
        if (type.startsWith("year")) {
            return new long[] {0, 2155};
        }
        return StandardTypes.integerRange(column.family());
    }

    static boolean isYear(ColumnInfo column) {
        return column.typeName().toLowerCase(Locale.ROOT).startsWith("year");
    }

    /** The value of a YEAR, which takes the numbers from 1 to 99 for years from 1970 to 2069. */
    static long year(Target target, Cells cells, int row) throws BadValue {
        long year = target.integer(cells, row);
        if (year > 0 && year < 100) {
            throw new BadValue("a YEAR makes " + (year < 70 ? 2000 + year : 1900 + year) + " of " + year
                + ": write the whole year in the query, or take another type for the column");
        }
        return year;
    }

    @Override
    public boolean padsBinary(ColumnInfo column) {
        return column.typeName().toLowerCase(Locale.ROOT).startsWith("binary");
    }

    @Override
    public Binder binder(Target target) {
        switch (target.family) {
            case BOOLEAN:
                return Binders.booleanAsInt(target);
            case INT16:
            case INT32:
                return isYear(target.info)
                    ? (statement, index, cells, row) -> statement.setLong(index, year(target, cells, row))
                    : Binders.int64(target);
            case FLOAT32:
                return Binders.float32AsDouble(target);
            case INT64: case DECIMAL: case FLOAT64: case BINARY:
                return Binders.standard(target);
            default:
                return Binders.text(target);
        }
    }

    @Override
    public int nullType(ColumnInfo column) {
        return Types.NULL;
    }

    @Override
    public RowSink rowSink(Load load) throws Failure {
        if (!load.takes(TransferRequest.LOAD_DATA)) {
            return super.rowSink(load);
        }
        RowSink loader = LoadDataSink.open(load.dest, load.targets, load.table);
        if (loader != null) {
            load.chosen(TransferRequest.LOAD_DATA, "the way into MariaDB and MySQL that is fastest");
            return loader;
        }
        if (!load.takes(TransferRequest.BATCH)) {
            throw load.impossible(": driver or server forbid LOAD DATA LOCAL"
                + " (the server's variable local_infile, the driver's property allowLocalInfile)");
        }
        return load.batches(TransferRequest.BATCH, "driver or server forbid LOAD DATA LOCAL");
    }

    @Override
    public String bulkPath() {
        return TransferRequest.LOAD_DATA;
    }
}
