package jrunner.kinds;

import java.io.IOException;
import java.sql.Connection;
import java.sql.Driver;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
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
import jrunner.transfer.DirectCopy;
import jrunner.transfer.Limits;
import jrunner.transfer.Load;
import jrunner.transfer.RowSink;
import jrunner.transfer.RowSource;
import jrunner.transfer.Target;
import jrunner.transfer.TransferRequest;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/** PostgreSQL: read and written by COPY in its binary format, by way of {@link PgDriver}. */
public final class PostgreSql extends Kind {
    private static final Map<String, Family> TYPES = StandardTypes.table(
        "bool", Family.BOOLEAN, "int2", Family.INT16, "smallserial", Family.INT16, "int4", Family.INT32, "serial",
            Family.INT32,
        "int8", Family.INT64, "bigserial", Family.INT64, "oid", Family.INT64, "numeric", Family.DECIMAL, "float4",
            Family.FLOAT32,
        "float8", Family.FLOAT64, "text", Family.TEXT, "varchar", Family.TEXT, "bpchar", Family.TEXT, "char",
            Family.TEXT,
        "name", Family.TEXT, "citext", Family.TEXT, "bytea", Family.BINARY, "date", Family.DATE, "time", Family.TIME,
        "timetz", Family.TIMETZ, "timestamp", Family.TIMESTAMP, "timestamptz", Family.TIMESTAMPTZ, "uuid", Family.UUID,
        "json", Family.JSON, "jsonb", Family.JSON, "xml", Family.XML, "interval", Family.INTERVAL);

    private static final String REPEATABLE_READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";

    public PostgreSql() {
        super("org.postgresql.Driver", "postgresql");
    }

    @Override
    public void rehearse(Driver driver) throws IOException {
        PgRehearsal.play(driver, initSql());
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        String seconds = Integer.toString(spec.connectTimeoutSeconds);
        p.setProperty("ApplicationName", spec.applicationName);
        p.setProperty("tcpKeepAlive", "true");
        p.setProperty("connectTimeout", seconds);
        p.setProperty("loginTimeout", seconds);
        // Text parameters take the type of their column (uuid, json, enums) on the batch path.
        p.setProperty("stringtype", "unspecified");
        // A query that was described before its table changed would be an error, in a session that is kept warm: 42.7 keeps
        // each prepared statement on the server from its first use on.
        p.setProperty("preparedStatementCacheQueries", "0");
    }

    /**
     * Sets what changes how a value is read or written, whatever the server, the database or the role sets; the driver itself
     * sees to DateStyle, TimeZone and client_encoding, and up to 42.5 to extra_float_digits. What the connection's own
     * properties set ({@code options}, {@code -c name=value}) stays, but for the isolation level: a merge that waited for its
     * table's lock would go by a snapshot from before it, and leave rows that another transaction committed meanwhile.
     */
    @Override
    public List<String> initSql() {
        // Without row_security, the rows that a policy hides are an error, not missing in silence.
        return List.of("SELECT set_config(s.name, v.value, false) FROM (VALUES ('array_nulls', 'on'), ('bytea_output', 'hex'),"
            + " ('default_transaction_isolation', 'read committed'),"
            + " ('extra_float_digits', '3'), ('IntervalStyle', 'postgres'), ('row_security', 'off'),"
            + " ('standard_conforming_strings', 'on'), ('transform_null_equals', 'off'), ('xmlbinary', 'base64'), ('xmloption', 'content'))"
            + " AS v (name, value) JOIN pg_catalog.pg_settings s ON s.name = v.name"
            + " WHERE s.source <> 'client' OR s.name = 'default_transaction_isolation'");
    }

    @Override
    public List<String> bestEffortSql(Connection connection) {
        // A client whose machine vanished leaves an open transaction with its locks behind, for two hours by most systems'
        // settings: within a minute the server finds out.
        String keepAlive = "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3";
        // A server that can (14 and later) ends a query within seconds when the client has vanished, even if it was killed
        // without a chance to cancel.
        String check = "SET client_connection_check_interval = '2s'";
        try {
            return connection.getMetaData().getDatabaseMajorVersion() >= 14 ? List.of(keepAlive, check) : List.of(keepAlive);
        } catch (SQLException e) {
            return List.of(keepAlive);
        }
    }

    @Override
    public String clientInfoName() {
        return "ApplicationName";
    }

    @Override
    Family family(int jdbcType, String typeName, int precision) {
        Family named = TYPES.get(StandardTypes.baseName(typeName).toLowerCase(Locale.ROOT));
        return named != null ? named : typeName.startsWith("_") ? Family.ARRAY : Family.OTHER;
    }

    @Override
    int[] decimalSize(String typeName, int precision, int scale) {
        // Eleven bits with a sign; drivers read them without.
        return super.decimalSize(typeName, precision, scale > 1000 ? (scale & 0x7FF ^ 0x400) - 0x400 : scale);
    }

    @Override
    public RowSource rowSource(Database database, String sql, int fetchRows, Cancel cancel) throws Failure {
        RowSource copy = PgCopySource.open(database, sql, cancel);
        return copy != null ? copy : super.rowSource(database, sql, fetchRows, cancel);
    }

    @Override
    public RowSource rowSource(Database database, String sql, List<ColumnInfo> columns, int fetchRows, Cancel cancel)
            throws Failure {
        RowSource copy = PgCopySource.open(database, sql, columns, cancel);
        return copy != null ? copy : super.rowSource(database, sql, fetchRows, cancel);
    }

    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        switch (column.family()) {
            case BOOLEAN: case INT16: case INT32: case INT64: case FLOAT32: case FLOAT64:
            case TEXT: case BINARY: case UUID:
                return CellReaders.standard(column);
            case DECIMAL: case DATE: case TIME: case TIMETZ: case TIMESTAMP: case TIMESTAMPTZ:
                // NaN, infinity, BC and 24:00 exist only in PostgreSQL's own text.
                return CellReaders.fromText(column.family());
            default:
                return CellReaders.string();
        }
    }

    @Override
    public boolean isCursorInTransaction() {
        return true;
    }

    @Override
    public boolean beginSnapshot(Database source) throws SQLException {
        return beginSnapshot(source, REPEATABLE_READ);
    }

    /** Not through a pooler, or to another server of several in the URL: each connection has a moment of its own there. */
    @Override
    public String shareSnapshot(Database source, List<Database> siblings) throws SQLException {
        String id;
        beginSnapshot(source);
        try (Statement statement = source.connection().createStatement();
                ResultSet result = statement.executeQuery("SELECT pg_export_snapshot()")) {
            result.next();
            id = result.getString(1);
        } catch (SQLException e) {
            source.connection().rollback();
            beginSnapshots(source, siblings);
            return "the server exports no snapshot: " + e.getMessage();
        }
        String why = null;
        for (Database sibling : siblings) {
            try {
                beginSnapshot(sibling, REPEATABLE_READ, "SET TRANSACTION SNAPSHOT '" + id + "'");
            } catch (SQLException e) {
                sibling.connection().rollback();
                beginSnapshot(sibling);
                why = "a connection cannot take the snapshot of another: " + e.getMessage();
            }
        }
        return why;
    }

    @Override
    public Limits limits() {
        return new Limits().floatSpecials().decimalNan().infiniteDates().years(-4712, 294_276).midnightAtEnd()
            .floatText();
    }

    @Override
    public long[] integerRange(ColumnInfo column) {
        return column.typeName().equalsIgnoreCase("oid") ? new long[] {0, 4_294_967_295L}
            : StandardTypes.integerRange(column.family());
    }

    @Override
    public boolean padsBinary(ColumnInfo column) {
        return false;
    }

    @Override
    public Binder binder(Target target) {
        return target.family == Family.BINARY ? Binders.bytes(target) : Binders.text(target);
    }

    @Override
    public int nullType(ColumnInfo column) {
        return Types.NULL;
    }

    @Override
    public RowSink rowSink(Load load) throws Failure {
        boolean binary = load.takes(TransferRequest.COPY_BINARY);
        PgDriver driver = binary || load.takes(TransferRequest.COPY_TEXT) ? PgDriver.of(load.dest) : null;
        if (driver == null) {
            return super.rowSink(load);
        }
        String unknown = load.targets.stream().filter(t -> !PgBinary.knows(t.info.typeName()))
            .map(t -> "column " + t.name() + " is of type " + t.info.typeName()).findFirst().orElse(null);
        if (binary && unknown == null) {
            load.chosen(TransferRequest.COPY_BINARY, "PostgreSQL destination, every type has a known binary form");
            return new PgCopySink(driver, new PgBinary(load.targets), load);
        }
        if (!load.takes(TransferRequest.COPY_TEXT)) {
            throw load.impossible(": " + unknown);
        }
        load.chosen(TransferRequest.COPY_TEXT, unknown);
        return new PgCopySink(driver, new PgText(load.targets), load);
    }

    @Override
    public DirectCopy directCopy(Database source, Database dest) {
        PgDriver from = source.kind() == this ? PgDriver.of(source) : null;
        PgDriver to = from == null ? null : PgDriver.of(dest);
        return to == null ? null : new PgRawCopy(from, to);
    }
}
