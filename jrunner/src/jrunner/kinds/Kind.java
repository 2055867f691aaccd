package jrunner.kinds;

import java.io.IOException;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.DirectCopy;
import jrunner.transfer.Limits;
import jrunner.transfer.Load;
import jrunner.transfer.LoadGuard;
import jrunner.transfer.ResultSource;
import jrunner.transfer.RowSink;
import jrunner.transfer.RowSource;
import jrunner.transfer.Target;
import jrunner.transfer.TransferRequest;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/**
 * A kind of database: everything that jrunner does differently for it. The methods here suit a JDBC database of which
 * nothing is known; a kind overrides those in which it differs, and nobody else asks which kind a database is of.
 *
 * <p>A kind has one object ({@link Kinds}), which may be used from any thread: it keeps no state. What is called for each
 * cell (a {@link CellReader}, a {@link Binder}, the checks of a {@link Target}) is made once a column.
 */
public abstract class Kind {
    private final String id = Kinds.id(getClass().getSimpleName());
    private final String driverClass;
    private final List<String> driverJars;

    /** With the answers to {@link #driverClass} and, unless it depends on the URL, {@link #driverJars}. */
    Kind(String driverClass, String... driverJars) {
        this.driverClass = driverClass;
        this.driverJars = List.of(driverJars);
    }

    /** The kind's name in the protocol. */
    public final String id() {
        return id;
    }

    // The driver

    /** The driver class to try when the jars have no service entry; empty: none. */
    public final String driverClass() {
        return driverClass;
    }

    /**
     * How the file names of the driver's jars begin, as they are published; the first one found wins. Empty: not known.
     *
     * @param url a JDBC URL in lower case, for kinds that have several drivers
     */
    public List<String> driverJars(String url) {
        return driverJars;
    }

    /** True if the driver needs all of {@link #driverJars} that are found, not the first alone. */
    public boolean isDriverInSeveralJars() {
        return false;
    }

    /**
     * Does what the first connection would do for the first time, as far as that needs no database.
     *
     * @param driver from the class path
     */
    public void rehearse(Driver driver) throws IOException, SQLException {}

    /** Called before the driver is loaded, for settings of the whole JVM that drivers read then. */
    public void beforeDriver() {}

    /** Sets a property of the JVM that its command line has not set. */
    static void systemDefault(String property, String value) {
        if (System.getProperty(property) == null) {
            System.setProperty(property, value);
        }
    }

    // The connection

    /**
     * Adds the driver properties that a data mover wants; the request's own are laid over them.
     *
     * @param driver the name of the driver's class
     */
    public void properties(Properties p, ConnectSpec spec, String driver) {}

    /**
     * Keeps a server from this machine's files: the protocol of MySQL and MariaDB lets it ask for any of them, at any moment,
     * and their drivers send it unless told not to. Whoever reads sends none; whoever writes, none but {@link LoadDataSink}'s
     * stream. Called for every kind: a request may call such a database generic.
     *
     * @param driver the name of the driver's class
     */
    public static void protectFiles(Properties p, ConnectSpec spec, String driver) {
        if (driver.startsWith("com.mysql")) {
            p.setProperty("allowLoadLocalInfile", "false");
            if (spec.writes) {
                // The driver tells the server that it can, and takes no path: none is below an empty one.
                p.setProperty("allowLoadLocalInfileInPath", "");
            }
        } else if (driver.startsWith("org.mariadb")) {
            // Allowed, it takes only the name that stands in our own statement, for which it is given a stream.
            p.setProperty("allowLocalInfile", Boolean.toString(spec.writes));
        }
    }

    /** Opens the driver's connection. */
    public Connection connect(Driver driver, String url, Properties properties) throws SQLException {
        return driver.connect(url, properties);
    }

    /** True if a process opens a database to read or to write, and whoever writes must be the first. */
    public boolean isOpenedOneWay() {
        return false;
    }

    /** True if {@link #properties} make a connection read-only, and the driver refuses to do it later. */
    public boolean isReadOnlyByProperty() {
        return false;
    }

    /** Statements that make the session fit for moving data, run before the user's own; a failure ends the open. */
    public List<String> initSql() {
        return List.of();
    }

    /** As {@link #initSql}, for what some servers or logins refuse: failures are ignored. */
    public List<String> bestEffortSql(Connection connection) {
        return List.of();
    }

    /** The name under which {@code Connection.setClientInfo} takes the application name, or null. */
    public String clientInfoName() {
        return null;
    }

    /** What opens a quoted identifier: one character, "[" standing for the pair of brackets. */
    public String quoteString(Connection connection) {
        return "\"";
    }

    // Transactions and counts

    /** Begins the transaction of a load. */
    public void beginLoad(Database database) throws SQLException {
        database.connection().setAutoCommit(false);
    }

    /** Called between a rollback that failed and the second attempt. */
    public void beforeSecondRollback(Database database) throws SQLException {}

    /** The rows that {@code sql} changed, where the driver told {@code count}. */
    public long changedRows(String sql, long count) {
        return count;
    }

    // Metadata and types

    /** True if what others call schemas are catalogs to this driver. */
    public boolean hasCatalogsForSchemas() {
        return false;
    }

    /** A table's columns as the metadata operation gives them; null: by {@code DatabaseMetaData}. */
    public List<Map<String, Object>> tableColumns(Database database, String schema, String table) throws SQLException {
        return null;
    }

    /** What to do about a query that cannot be described, where the database's own message does not tell; null else. */
    public String explain(Database database, SQLException error, String sql) {
        return null;
    }

    /** A query in the form in which the driver can prepare it to describe it. */
    public String toDescribe(String sql) {
        return sql;
    }

    /** A query with the columns of another and without rows, for a driver that does not describe what it has not run. */
    public String toRunEmpty(String sql) {
        return "SELECT * FROM (" + sql + "\n) q WHERE 1 = 0";
    }

    /** Called before a query or a table is described. */
    public void beforeDescribe(Database database) throws SQLException {}

    /** Completes what the driver told about a table's columns. {@code table} is SQL text. */
    public List<ColumnInfo> describedTable(Database database, String table, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException, Failure {
        return columns;
    }

    /** Completes what the driver told about a query's columns. */
    public List<ColumnInfo> describedQuery(Database database, String sql, List<ColumnInfo> columns, Cancel cancel)
            throws SQLException, Failure {
        return columns;
    }

    /** The columns of a result. */
    public List<ColumnInfo> columns(ResultSetMetaData meta) throws SQLException {
        List<ColumnInfo> columns = new ArrayList<>(meta.getColumnCount());
        for (int i = 1; i <= meta.getColumnCount(); i++) {
            columns.add(StandardTypes.column(this, meta, i, meta.getColumnTypeName(i)));
        }
        return columns;
    }

    /** One column, from what the driver tells: {@code precision} and {@code scale} are 0 where it tells none. */
    ColumnInfo column(String name, String typeName, int jdbcType, int precision, int scale, Boolean nullable) {
        Family family = family(jdbcType, typeName, precision);
        int[] size = StandardTypes.size(this, family, typeName, jdbcType, precision, scale);
        return new ColumnInfo(name, family, typeName, jdbcType, size[0], size[1], nullable, null);
    }

    /** The family of a type: by its name where the database has names of its own, else by its JDBC type. */
    Family family(int jdbcType, String typeName, int precision) {
        return StandardTypes.family(jdbcType, typeName);
    }

    /** Precision and scale of a decimal; a precision of 0 is no limit. */
    int[] decimalSize(String typeName, int precision, int scale) {
        boolean unconstrained = precision <= 0 || typeName.equalsIgnoreCase("DECFLOAT") || precision > 100_000;
        return unconstrained ? new int[] {0, 0} : new int[] {precision, scale};
    }

    /** True if the length that the driver tells of a text type is none that the database checks. */
    boolean isUnlimitedText(int jdbcType, int precision) {
        return precision <= 0 || precision >= 1_000_000_000 || jdbcType == Types.CLOB || jdbcType == Types.NCLOB;
    }

    /** Digits of a second's fraction that a type of a date or time holds. */
    int fraction(Family family, String typeName, int precision, int scale) {
        return Math.min(9, Math.max(0, scale));
    }

    // Reading

    /**
     * Opens the fastest exact way to read a query.
     *
     * @param fetchRows rows fetched at a time, 0 for the kind's own choice
     * @throws Failure of phase {@code read}
     */
    public RowSource rowSource(Database database, String sql, int fetchRows, Cancel cancel) throws Failure {
        return new ResultSource(database, sql, fetchRows, cancel);
    }

    /** {@link #rowSource} of a query that has the columns of one that was opened before. */
    public RowSource rowSource(Database database, String sql, List<ColumnInfo> columns, int fetchRows, Cancel cancel)
            throws Failure {
        return rowSource(database, sql, fetchRows, cancel);
    }

    /** How a column of a JDBC result is read. Called once a column. */
    public CellReader reader(Database database, ColumnInfo column) {
        return CellReaders.standard(column);
    }

    /** True if the driver reads by cursor only inside of a transaction, and holds the whole result in memory without. */
    public boolean isCursorInTransaction() {
        return false;
    }

    /** Lets the driver fetch {@code rows} at a time. */
    public void setFetchSize(Statement statement, int rows) throws SQLException {
        // MySQL's own driver, of whatever kind the database, streams only at this magic number, and reads everything into
        // memory at any other.
        boolean connectorJ = statement.getClass().getName().startsWith("com.mysql");
        statement.setFetchSize(connectorJ ? Integer.MIN_VALUE : rows);
    }

    /**
     * Begins a transaction whose reads all see one moment; false, and none is begun, where the database has no such thing or
     * nobody knows. The caller rolls it back.
     */
    public boolean beginSnapshot(Database source) throws SQLException {
        return false;
    }

    /** {@link #beginSnapshot} by the statements that make the transaction one. */
    static boolean beginSnapshot(Database source, String... statements) throws SQLException {
        source.connection().setAutoCommit(false);
        try (Statement statement = source.connection().createStatement()) {
            for (String sql : statements) {
                statement.execute(sql);
            }
        }
        return true;
    }

    /**
     * Lets all connections see one moment, where the database can; the caller rolls back their transactions.
     *
     * @return why they do not see one moment; null if they do
     */
    public String shareSnapshot(Database source, List<Database> siblings) throws SQLException {
        return "databases of kind " + id + " share no moment among connections";
    }

    /** Ends what {@link #shareSnapshot} began and a rollback does not. The siblings are closed. */
    public void endSharedSnapshot(Database source) throws SQLException {}

    /** Lets each connection see a moment of its own. */
    final void beginSnapshots(Database source, List<Database> siblings) throws SQLException {
        for (Database sibling : siblings) {
            beginSnapshot(sibling);
        }
        beginSnapshot(source);
    }

    // Writing

    /** What the types cannot hold, beyond a column's own size. */
    public Limits limits() {
        return new Limits().floatSpecials().skippedDays();
    }

    /** The least and the greatest value of an integer column. */
    public long[] integerRange(ColumnInfo column) {
        return column.jdbcType() == Types.TINYINT ? new long[] {-128, 127} : StandardTypes.integerRange(column.family());
    }

    /** True if a shorter value of a sized binary column is padded. */
    public boolean padsBinary(ColumnInfo column) {
        return column.jdbcType() == Types.BINARY;
    }

    /** Digits of a second's fraction that a destination column holds. */
    public int fractionDigits(ColumnInfo column) {
        return column.precision();
    }

    /** What else a timestamp must fulfil to be stored in the column as it is; null: nothing. Called once a column. */
    public Target.TimestampCheck timestampCheck(ColumnInfo column) {
        return null;
    }

    /** How a parameter of a prepared insert is set. Called once a column. */
    public Binder binder(Target target) {
        return target.family.isTemporal() ? Binders.javaSql(target) : Binders.standard(target);
    }

    /** The JDBC type that a NULL is set with. */
    public int nullType(ColumnInfo column) {
        return column.jdbcType();
    }

    /**
     * Opens the way into a table that {@code load.path} names, or the best one; which, and why, is told to {@code load}.
     *
     * @throws Failure of code {@code protocol} if the kind does not have the path
     */
    public RowSink rowSink(Load load) throws Failure {
        if (!load.takes(TransferRequest.BATCH)) {
            throw load.impossible(" for a destination of kind " + id);
        }
        return load.batches(TransferRequest.BATCH, "prepared inserts are the way into a database of kind " + id);
    }

    /** The bulk path by name where the automatic choice could fall back on batches; elsewhere that is the best there is. */
    public String bulkPath() {
        return TransferRequest.AUTO;
    }

    /** A way from {@code source} into {@code dest}, which is of this kind, without decoding rows; null if there is none. */
    public DirectCopy directCopy(Database source, Database dest) {
        return null;
    }

    /** Prepares {@code dest}, which is of this kind, for rows of {@code source}; null if there is nothing to prepare. */
    public LoadGuard guard(Database source, Database dest) {
        return null;
    }
}
