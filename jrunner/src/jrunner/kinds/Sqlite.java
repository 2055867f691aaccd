package jrunner.kinds;

import java.sql.Connection;
import java.sql.Driver;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Limits;
import jrunner.transfer.LoadGuard;
import jrunner.transfer.RowSource;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.CellReader;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/**
 * SQLite, which does not enforce a column's type: each cell has a type of its own. Read by {@link SqliteSource}, written
 * by {@link SqliteBinder}.
 */
public final class Sqlite extends Kind {
    /** How long a statement waits for another process's lock. */
    private static final int BUSY_MS = 30_000;
    /** How long a lock is waited for, which keeps nobody from anything. */
    private static final int LOCK_WAIT_MS = 3_000;
    /** A number that another connection's commits change. A transaction that asks for it reads from then on. */
    private static final String COMMITS_SEEN = "PRAGMA data_version";
    /** Flags of sqlite3_open_v2. */
    private static final int OPEN_READONLY = 0x1;
    private static final int OPEN_READWRITE = 0x2;
    private static final int OPEN_CREATE = 0x4;
    private static final int OPEN_NOMUTEX = 0x8000;

    /** Rows that are looked at for the type of a column without one. */
    private static final int SAMPLE_ROWS = 1000;

    private static final Set<String> DML = Set.of("INSERT", "UPDATE", "DELETE", "REPLACE", "WITH");

    /** Blanks and comments, then a word. */
    private static final Pattern FIRST_WORD = Pattern.compile("(?s)(?:\\s|--[^\\n]*+(?:\\n|$)|/\\*.*?\\*/)*+(\\w+)");

    /** Types whose name holds one of these words, in this order: any name at all is taken for a type. */
    private static final Object[][] WORDS = {
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

    public Sqlite() {
        super("org.sqlite.JDBC", "sqlite-jdbc", "xerial-sqlite-jdbc");
    }

    /** Unpacks and loads the native library, most of all. */
    @Override
    public void rehearse(Driver driver) throws SQLException {
        try (Connection memory = driver.connect("jdbc:sqlite::memory:", new Properties());
                Statement statement = memory.createStatement()) {
            statement.execute("SELECT 1");
        }
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        p.setProperty("busy_timeout", Integer.toString(BUSY_MS));
        // A deferred transaction that reads first and writes later fails at once when another writer came between; an
        // immediate one waits for its turn. Reading happens in autocommit.
        p.setProperty("transaction_mode", spec.readOnly ? "DEFERRED" : "IMMEDIATE");
        // NOMUTEX: SQLite's own lock around each call costs a fifth of the time of reading a row. The driver locks the
        // connection itself, and what another thread may do meanwhile (interrupt) needs no lock.
        int access = spec.readOnly ? OPEN_READONLY : OPEN_READWRITE | OPEN_CREATE;
        p.setProperty("open_mode", Integer.toString(access | OPEN_NOMUTEX));
    }

    @Override
    public boolean isReadOnlyByProperty() {
        return true;
    }

    /**
     * Transactions are immediate by {@link #properties}, which locks every attached file: a load writes to one of them from
     * its first statement on and leaves the others to their writers.
     */
    @Override
    public void beginLoad(Database database) throws SQLException {
        transactionMode(database, "DEFERRED");
        try {
            database.connection().setAutoCommit(false);
        } finally {
            transactionMode(database, "IMMEDIATE");
        }
    }

    /** A reader's transaction sees one moment from its first read on. */
    @Override
    public boolean beginSnapshot(Database source) throws SQLException {
        beginLoad(source);
        return true;
    }

    /**
     * All begin while a lock keeps others from writing. Where the file cannot be locked, it still counts its commits: the moment is
     * one if none came meanwhile.
     */
    @Override
    public String shareSnapshot(Database source, List<Database> siblings) throws SQLException {
        try (Database writer = source.openWriter(); Statement lock = writer.statement()) {
            String why = lock(lock);
            try {
                boolean alone = begin(source, siblings);
                return why == null || alone ? null : "the file was written to while they began, and could not be locked: " + why;
            } finally {
                if (why == null) {
                    lock.execute("ROLLBACK");
                }
            }
        } catch (Failure e) {
            return begin(source, siblings) ? null : "the file was written to while they began: " + e.getMessage();
        }
    }

    /** Keeps others from writing until a rollback; or why it cannot. */
    private static String lock(Statement writer) {
        try {
            writer.execute("PRAGMA busy_timeout = " + LOCK_WAIT_MS);
            writer.execute("BEGIN IMMEDIATE");
            return null;
        } catch (SQLException e) {
            return e.getMessage();
        }
    }

    /** Begins to read; false if a commit came meanwhile. */
    private boolean begin(Database source, List<Database> siblings) throws SQLException {
        long before = number(source, COMMITS_SEEN);
        beginSnapshots(source, siblings);
        for (Database sibling : siblings) {
            number(sibling, COMMITS_SEEN);
        }
        return number(source, COMMITS_SEEN) == before;
    }

    private static long number(Database database, String pragma) throws SQLException {
        try (Statement statement = database.statement(); ResultSet row = statement.executeQuery(pragma)) {
            row.next();
            return row.getLong(1);
        }
    }

    private static void transactionMode(Database database, String mode) {
        try {
            Connection connection = database.connection();
            Object config = connection.getClass().getMethod("getConnectionConfig").invoke(connection);
            Class<?> modes = Class.forName("org.sqlite.SQLiteConfig$TransactionMode", true, database.driverLoader());
            Object chosen = modes.getMethod("valueOf", String.class).invoke(null, mode);
            config.getClass().getMethod("setTransactionMode", modes).invoke(config, chosen);
        } catch (ReflectiveOperationException e) {
            // Another driver for SQLite: its loads keep other writers waiting, nothing worse.
        }
    }

    /**
     * SQLite itself has rolled back after an interrupt or a full disk, and its driver begins the next transaction only
     * after a successful rollback: gives it one to roll back.
     */
    @Override
    public void beforeSecondRollback(Database database) throws SQLException {
        try (Statement statement = database.statement()) {
            statement.execute("BEGIN");
        }
    }

    /** SQLite's count is that of the last statement that had one; CREATE TABLE repeats it. */
    @Override
    public long changedRows(String sql, long count) {
        if (count <= 0) {
            return count;
        }
        Matcher word = FIRST_WORD.matcher(sql);
        return !word.lookingAt() || DML.contains(word.group(1).toUpperCase(Locale.ROOT)) ? count : 0;
    }

    @Override
    public List<Map<String, Object>> tableColumns(Database database, String schema, String table) throws SQLException {
        return SqliteColumns.of(database, schema, table);
    }

    /**
     * SQLite prepares against the schema that it read last, and notices another process's ALTER TABLE only when a statement
     * runs: without this, a warm connection would describe a query as it was.
     */
    @Override
    public void beforeDescribe(Database database) throws SQLException {
        try (Statement statement = database.connection().createStatement()) {
            statement.execute("SELECT count(*) FROM sqlite_master");
        }
    }

    /** An expression, or a column without a declared type, has none: the first rows' values tell one that holds them all. */
    @Override
    public List<ColumnInfo> describedQuery(Database database, String sql, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException, Failure {
        boolean open = false;
        for (ColumnInfo column : columns) {
            open |= column.family() == Family.ANY;
        }
        if (!open) {
            return columns;
        }
        List<ColumnInfo> seen = new ArrayList<>(columns.size());
        try (Statement statement = database.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery(sql)) {
            Family[] families = new Family[columns.size()];
            for (int row = 0; row < SAMPLE_ROWS && result.next(); row++) {
                for (int i = 0; i < families.length; i++) {
                    Object value = columns.get(i).family() == Family.ANY ? result.getObject(i + 1) : null;
                    families[i] = value == null ? families[i] : common(families[i], value);
                }
            }
            for (int i = 0; i < families.length; i++) {
                ColumnInfo column = columns.get(i);
                seen.add(families[i] == null ? column : new ColumnInfo(column.name(), families[i], column.typeName(),
                    column.jdbcType(), 0, 0, column.nullable(), column.remarks()));
            }
        }
        return seen;
    }

    /** The family of this value and of those of {@code before}, which is null for none; {@code ANY} where they differ. */
    private static Family common(Family before, Object value) {
        Family family = value instanceof Integer || value instanceof Long ? Family.INT64
            : value instanceof Double ? Family.FLOAT64
            : value instanceof byte[] ? Family.BINARY : Family.TEXT;
        return before == null || before == family ? family : Family.ANY;
    }

    @Override
    public List<ColumnInfo> columns(ResultSetMetaData meta) throws SQLException {
        String[] declared = SqliteDeclared.types(meta);
        if (declared == null) {
            return super.columns(meta);
        }
        List<ColumnInfo> columns = new ArrayList<>(declared.length);
        for (int i = 0; i < declared.length; i++) {
            columns.add(StandardTypes.column(this, meta, i + 1, declared[i]));
        }
        return columns;
    }

    /** The declared type is a promise that nobody keeps: lengths are not enforced, so they are not reported. */
    @Override
    ColumnInfo column(String name, String typeName, int jdbcType, int precision, int scale, Boolean nullable) {
        Family family = family(jdbcType, typeName, precision);
        int[] size = family == Family.DECIMAL ? declaredSize(typeName)
            : new int[] {family.isTemporal() && family != Family.DATE ? 6 : 0, 0};
        return new ColumnInfo(name, family, typeName, jdbcType, size[0], size[1], nullable, null);
    }

    @Override
    Family family(int jdbcType, String typeName, int precision) {
        String upper = typeName.toUpperCase(Locale.ROOT);
        for (Object[] word : WORDS) {
            if (upper.contains((String) word[0])) {
                return (Family) word[1];
            }
        }
        return Family.ANY;
    }

    private static int[] declaredSize(String typeName) {
        int open = typeName.indexOf('(');
        int close = typeName.indexOf(')', open + 1);
        if (open > 0 && close > open) {
            String[] parts = typeName.substring(open + 1, close).split(",");
            try {
                int precision = Integer.parseInt(parts[0].trim());
                return new int[] {precision, parts.length > 1 ? Integer.parseInt(parts[1].trim()) : 0};
            } catch (NumberFormatException e) {
                // No numbers, no size.
            }
        }
        return new int[] {0, 0};
    }

    @Override
    public RowSource rowSource(Database database, String sql, int fetchRows, Cancel cancel) throws Failure {
        RowSource direct = SqliteSource.open(database, sql, cancel);
        return direct != null ? direct : super.rowSource(database, sql, fetchRows, cancel);
    }

    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        return Sqlite::read;
    }

    /** By the storage class of the cell itself, whatever the column was declared as. */
    private static void read(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
        Object value = result.getObject(index);
        if (value == null) {
            cells.setNull(row);
        } else if (value instanceof Integer || value instanceof Long) {
            cells.setInt(row, ((Number) value).longValue());
        } else if (value instanceof String) {
            cells.setText(row, (String) value);
        } else if (value instanceof Double) {
            cells.setDouble(row, (Double) value);
        } else {
            cells.setBinary(row, (byte[]) value);
        }
    }

    @Override
    public Limits limits() {
        // Dates are text there, and text holds every one of them.
        return new Limits().floatSpecials().decimalNan().infiniteDates().anyYear().midnightAtEnd().noMinusZero();
    }

    @Override
    public long[] integerRange(ColumnInfo column) {
        return StandardTypes.integerRange(column.family());
    }

    @Override
    public boolean padsBinary(ColumnInfo column) {
        return false;
    }

    @Override
    public int fractionDigits(ColumnInfo column) {
        return 9;
    }

    @Override
    public Binder binder(Target target) {
        return new SqliteBinder(target);
    }

    @Override
    public int nullType(ColumnInfo column) {
        return Types.NULL;
    }

    @Override
    public LoadGuard guard(Database source, Database dest) {
        return source.kind() == this ? SqliteSharedFile.guard(source, dest) : null;
    }
}
