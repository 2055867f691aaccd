package jrunner.kinds;

import java.sql.Connection;
import java.sql.Driver;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Load;
import jrunner.transfer.RowSink;
import jrunner.transfer.Target;
import jrunner.transfer.TransferRequest;
import jrunner.types.BadValue;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;
import jrunner.types.Temporals;

/** DuckDB, in this process: one process writes a file, or several read it. Written by {@link DuckdbSink}. */
public final class Duckdb extends Kind {
    /** Days and microseconds by which DuckDB stores infinity; minus infinity is their negative. */
    static final int INFINITE_DAY = Integer.MAX_VALUE;
    static final long INFINITE_MICROS = Long.MAX_VALUE;
    private static final long MICROS = 1_000_000L;

    private static final Map<String, Family> TYPES = StandardTypes.table(
        "TINYINT", Family.INT16, "UTINYINT", Family.INT16, "SMALLINT", Family.INT16, "USMALLINT", Family.INT32,
        "UINTEGER", Family.INT64, "UBIGINT", Family.DECIMAL, "HUGEINT", Family.DECIMAL, "UHUGEINT", Family.DECIMAL,
        "BIGNUM", Family.DECIMAL, "FLOAT", Family.FLOAT32, "BIT", Family.TEXT, "STRUCT", Family.OTHER, "MAP", Family.OTHER,
        "UNION", Family.OTHER, "TIME_NS", Family.TIME);

    public Duckdb() {
        super("org.duckdb.DuckDBDriver", "duckdb_jdbc");
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        // A query would otherwise read and write any file of this machine, and fetch and load code.
        p.setProperty("enable_external_access", "false");
        // Else a result is held whole.
        p.setProperty("jdbc_stream_results", "true");
        if (!spec.writes) {
            p.setProperty("duckdb.read_only", "true");
        }
    }

    @Override
    public boolean isReadOnlyByProperty() {
        return true;
    }

    /** What this process has open to write is not opened otherwise: a reader shares it. */
    @Override
    public Connection connect(Driver driver, String url, Properties properties) throws SQLException {
        try {
            return driver.connect(url, properties);
        } catch (SQLException e) {
            if (properties.remove("duckdb.read_only") == null || !isOpenOtherwise(e)) {
                throw e;
            }
            return driver.connect(url, properties);
        }
    }

    private static boolean isOpenOtherwise(SQLException e) {
        return String.valueOf(e.getMessage()).contains("different configuration than existing connections");
    }

    @Override
    public boolean isOpenedOneWay() {
        return true;
    }

    @Override
    public List<String> initSql() {
        // Its zone is that of the environment, not the JVM's.
        return List.of("SET TimeZone = 'UTC'");
    }

    /** A commit that failed has ended the transaction, which the driver does not know. */
    @Override
    public void beforeSecondRollback(Database database) throws SQLException {
        try (Statement statement = database.statement()) {
            statement.execute("BEGIN");
        }
    }

    /** The driver says of each column that it may be NULL: that is known of a table alone. */
    @Override
    ColumnInfo column(String name, String typeName, int jdbcType, int precision, int scale, Boolean nullable) {
        return super.column(name, typeName, jdbcType, precision, scale, null);
    }

    @Override
    public List<ColumnInfo> describedTable(Database database, String table, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException {
        Set<String> never = new HashSet<>();
        try (Statement statement = database.statement();
                ResultSet names = statement.executeQuery("SELECT column_name FROM (DESCRIBE " + table + ") WHERE \"null\" = 'NO'")) {
            while (names.next()) {
                never.add(names.getString(1));
            }
        }
        List<ColumnInfo> known = new ArrayList<>(columns.size());
        for (ColumnInfo column : columns) {
            known.add(new ColumnInfo(column.name(), column.family(), column.typeName(), column.jdbcType(), column.precision(),
                column.scale(), !never.contains(column.name()), column.remarks()));
        }
        return known;
    }

    @Override
    Family family(int jdbcType, String typeName, int precision) {
        if (typeName.endsWith("]")) {
            return Family.ARRAY;
        }
        Family named = TYPES.get(StandardTypes.baseName(typeName).toUpperCase(Locale.ROOT));
        // STRUCT(a INTEGER)[2] apart, a nested type's name holds those of its fields, with parentheses of their own.
        boolean nested = typeName.startsWith("STRUCT(") || typeName.startsWith("MAP(") || typeName.startsWith("UNION(");
        return nested ? Family.OTHER : named != null ? named : StandardTypes.family(jdbcType, typeName);
    }

    @Override
    int[] decimalSize(String typeName, int precision, int scale) {
        switch (typeName) {
            case "UBIGINT":
                return new int[] {20, 0};
            case "HUGEINT":
            case "UHUGEINT":
                return new int[] {39, 0};
            case "BIGNUM":
                return new int[] {0, 0};
            default:
                return super.decimalSize(typeName, precision, scale);
        }
    }

    @Override
    int fraction(Family family, String typeName, int precision, int scale) {
        return typeName.endsWith("_NS") ? 9 : typeName.endsWith("_MS") ? 3 : typeName.endsWith("_S") ? 0 : 6;
    }

    @Override
    public long[] integerRange(ColumnInfo column) {
        switch (column.typeName()) {
            case "TINYINT":
                return new long[] {-128, 127};
            case "UTINYINT":
                return new long[] {0, 255};
            case "USMALLINT":
                return new long[] {0, 65_535};
            case "UINTEGER":
                return new long[] {0, 4_294_967_295L};
            default:
                return StandardTypes.integerRange(column.family());
        }
    }

    /** By the objects that the driver makes of what is stored; its conversions go through calendars and time zones. */
    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        switch (column.family()) {
            case DATE:
                return Duckdb::date;
            case TIME:
                return Duckdb::time;
            case TIMETZ:
                return Duckdb::timeTz;
            case TIMESTAMP:
                // The other three have no infinity: what looks like it in nanoseconds is a time of theirs.
                return column.typeName().equals("TIMESTAMP") ? (result, index, cells, row) -> timestamp(result, index, cells,
                    row, true) : (result, index, cells, row) -> timestamp(result, index, cells, row, false);
            case TIMESTAMPTZ:
                return Duckdb::timestampTz;
            case FLOAT32:
                return Duckdb::single;
            case FLOAT64:
                return Duckdb::twice;
            case INTERVAL:
            case JSON:
                return CellReaders.string();
            case DECIMAL:
                return column.typeName().equals("BIGNUM") ? CellReaders.fromText(Family.DECIMAL)
                    : CellReaders.standard(column);
            default:
                return CellReaders.standard(column);
        }
    }

    /** The driver gives NaN for NULL. */
    private static void single(ResultSet result, int index, Cells cells, int row) throws SQLException {
        float value = result.getFloat(index);
        if (result.wasNull()) {
            cells.setNull(row);
        } else {
            cells.setFloat(row, value);
        }
    }

    private static void twice(ResultSet result, int index, Cells cells, int row) throws SQLException {
        double value = result.getDouble(index);
        if (result.wasNull()) {
            cells.setNull(row);
        } else {
            cells.setDouble(row, value);
        }
    }

    private static void date(ResultSet result, int index, Cells cells, int row) throws SQLException {
        LocalDate value = (LocalDate) result.getObject(index);
        if (value == null) {
            cells.setNull(row);
        } else {
            long day = value.toEpochDay();
            cells.setDate(row, day == INFINITE_DAY ? Temporals.INFINITY
                : day == -INFINITE_DAY ? Temporals.MINUS_INFINITY : day);
        }
    }

    private static void time(ResultSet result, int index, Cells cells, int row) throws SQLException {
        try {
            LocalTime value = (LocalTime) result.getObject(index);
            if (value == null) {
                cells.setNull(row);
            } else {
                cells.setTime(row, value.toNanoOfDay());
            }
        } catch (DateTimeException e) {
            // The one value that java.time lacks: 24:00:00.
            cells.setTime(row, Temporals.NANOS_PER_DAY);
        }
    }

    private static void timeTz(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue {
        try {
            OffsetTime value = (OffsetTime) result.getObject(index);
            if (value == null) {
                cells.setNull(row);
            } else {
                cells.setTimeTz(row, value.toLocalTime().toNanoOfDay(), value.getOffset().getTotalSeconds());
            }
        } catch (DateTimeException e) {
            throw new BadValue("24:00:00 with a time zone cannot be read: select it as text in the query");
        }
    }

    private static void timestamp(ResultSet result, int index, Cells cells, int row, boolean infinite) throws SQLException {
        LocalDateTime value = result.getObject(index, LocalDateTime.class);
        if (value == null) {
            cells.setNull(row);
            return;
        }
        long seconds = value.toEpochSecond(ZoneOffset.UTC);
        long kept = infinite ? finite(seconds, value.getNano()) : seconds;
        cells.setTimestamp(row, kept, kept == seconds ? value.getNano() : 0);
    }

    private static void timestampTz(ResultSet result, int index, Cells cells, int row) throws SQLException {
        OffsetDateTime value = result.getObject(index, OffsetDateTime.class);
        if (value == null) {
            cells.setNull(row);
            return;
        }
        long kept = finite(value.toEpochSecond(), value.getNano());
        cells.setTimestampTz(row, kept, kept == value.toEpochSecond() ? value.getNano() : 0, 0);
    }

    /** The seconds, or jrunner's infinity where these are DuckDB's. */
    private static long finite(long seconds, int nanos) {
        if (seconds == INFINITE_MICROS / MICROS && nanos == INFINITE_MICROS % MICROS * 1000) {
            return Temporals.INFINITY;
        }
        boolean minus = seconds == Math.floorDiv(-INFINITE_MICROS, MICROS)
            && nanos == Math.floorMod(-INFINITE_MICROS, MICROS) * 1000;
        return minus ? Temporals.MINUS_INFINITY : seconds;
    }

    @Override
    public boolean beginSnapshot(Database source) throws SQLException {
        source.connection().setAutoCommit(false);
        return true;
    }

    @Override
    public Limits limits() {
        return new Limits().floatSpecials().infiniteDates().anyYear().midnightAtEnd();
    }

    @Override
    public boolean padsBinary(ColumnInfo column) {
        return false;
    }

    @Override
    public Binder binder(Target target) {
        return target.family.isTemporal() ? Binders.text(target) : Binders.standard(target);
    }

    @Override
    public RowSink rowSink(Load load) throws Failure {
        if (!load.takes(TransferRequest.APPENDER)) {
            throw load.impossible(": rows get into DuckDB by its appender; its prepared inserts take a hundred times as long");
        }
        load.chosen(TransferRequest.APPENDER, "the driver's appender writes columns");
        return new DuckdbSink(load);
    }

    @Override
    public String bulkPath() {
        return TransferRequest.APPENDER;
    }
}
