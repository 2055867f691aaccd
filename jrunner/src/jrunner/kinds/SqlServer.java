package jrunner.kinds;

import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Load;
import jrunner.transfer.RowSink;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.ColumnInfo;
import jrunner.types.Convert;
import jrunner.types.Family;

/**
 * Microsoft SQL Server, with Microsoft's driver or jTDS.
 *
 * <p>Written in batches: the bulk copy of Microsoft's driver, as its batches use it, shifts columns whose names begin with a
 * blank, and turns itself off for dates, times and money without a word.
 */
public final class SqlServer extends Kind {
    private static final Map<String, Family> TYPES = StandardTypes.table(
        "bit", Family.BOOLEAN, "tinyint", Family.INT16, "money", Family.DECIMAL, "smallmoney", Family.DECIMAL, "real",
            Family.FLOAT32,
        "float", Family.FLOAT64, "datetime", Family.TIMESTAMP, "datetime2", Family.TIMESTAMP, "smalldatetime",
            Family.TIMESTAMP,
        "datetimeoffset", Family.TIMESTAMPTZ, "uniqueidentifier", Family.UUID, "xml", Family.XML, "timestamp",
            Family.BINARY,
        "rowversion", Family.BINARY, "sql_variant", Family.OTHER);

    private static final Pattern WITH =
        Pattern.compile("(?:\\s|--[^\\n]*(?:\\n|$)|/\\*.*?\\*/)*+with\\b", Pattern.CASE_INSENSITIVE | Pattern.DOTALL);
    private static final int UTF_8 = 65001;
    /** One part of a qualified name. */
    private static final Pattern NAME = Pattern.compile("\\[(?:[^\\]]|\\]\\])*\\]|\"(?:[^\"]|\"\")*\"|[^.\\[\"]+");

    public SqlServer() {
        super("com.microsoft.sqlserver.jdbc.SQLServerDriver");
    }

    @Override
    public List<String> driverJars(String url) {
        return url.startsWith("jdbc:jtds:") ? List.of("jtds") : List.of("mssql-jdbc", "sqljdbc");
    }

    @Override
    public void properties(Properties p, ConnectSpec spec, String driver) {
        boolean jtds = driver.startsWith("net.sourceforge.jtds");
        p.setProperty(jtds ? "appName" : "applicationName", spec.applicationName);
        p.setProperty("loginTimeout", Integer.toString(spec.connectTimeoutSeconds));
        if (!jtds) {
            // Otherwise a time goes as a datetime: without its fraction, and 23:59:59.999999 as 00:00:00.
            p.setProperty("sendTimeAsDatetime", "false");
        }
    }

    /** Literals, comparisons with NULL and padding mean the same for every login; counts are told whatever the server's default. */
    @Override
    public List<String> initSql() {
        return List.of("SET NOCOUNT OFF", "SET LANGUAGE us_english", "SET ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT,"
            + " CONCAT_NULL_YIELDS_NULL, QUOTED_IDENTIFIER ON", "SET NUMERIC_ROUNDABORT OFF");
    }

    /** Microsoft's driver puts a statement of its own before it, behind which a WITH needs the semicolon (error 319). */
    @Override
    public String toDescribe(String sql) {
        return WITH.matcher(sql).lookingAt() ? ";" + sql : sql;
    }

    /** jTDS describes nothing but what begins with SELECT; and a subquery takes neither WITH nor ORDER BY (156, 1033). */
    @Override
    public String toRunEmpty(String sql) {
        return "SET FMTONLY ON;\n" + sql + "\n;SET FMTONLY OFF";
    }

    @Override
    public String quoteString(Connection connection) {
        return "[";
    }

    @Override
    Family family(int jdbcType, String typeName, int precision) {
        Family named = TYPES.get(StandardTypes.baseName(typeName).toLowerCase(Locale.ROOT));
        return named != null ? named : StandardTypes.byJdbcType(jdbcType);
    }

    @Override
    int fraction(Family family, String typeName, int precision, int scale) {
        return typeName.equals("datetime") ? 3 : typeName.equals("smalldatetime") ? 0 : Math.min(7, Math.max(0, scale));
    }

    @Override
    public Limits limits() {
        return new Limits().utf16();
    }

    @Override
    public long[] integerRange(ColumnInfo column) {
        boolean tiny = column.typeName().toLowerCase(Locale.ROOT).startsWith("tinyint");
        return tiny ? new long[] {0, 255} : StandardTypes.integerRange(column.family());
    }

    @Override
    public Target.TimestampCheck timestampCheck(ColumnInfo column) {
        return column.typeName().equals("datetime") ? SqlServer::checkDatetime
            : column.typeName().equals("smalldatetime") ? SqlServer::checkSmallDatetime : null;
    }

    private static void checkSmallDatetime(Convert value) throws BadValue {
        if (Math.floorMod(value.seconds, 60L) != 0 || value.nanos != 0) {
            throw new BadValue("its seconds would be rounded: a smalldatetime column holds whole minutes (use datetime2)");
        }
    }

    private static void checkDatetime(Convert value) throws BadValue {
        int lastDigit = value.nanos / 1_000_000 % 10;
        if (lastDigit != 0 && lastDigit != 3 && lastDigit != 7) {
            throw new BadValue("a fraction of ." + value.nanos / 1_000_000
                + " would be rounded: a datetime column counts in 1/300 of a second (use datetime2)");
        }
    }

    /** What a varchar's code page lacks would be stored as a question mark or as a letter like it, without a word. */
    @Override
    public RowSink rowSink(Load load) throws Failure {
        Map<String, Target> texts = new HashMap<>();
        for (Target target : load.targets) {
            if (target.family == Family.TEXT) {
                texts.put(target.name(), target);
            }
        }
        if (!texts.isEmpty()) {
            try (Statement statement = load.dest.connection().createStatement();
                    ResultSet pages = statement.executeQuery(codePages(load.table))) {
                while (pages.next()) {
                    Target target = texts.get(pages.getString(1));
                    if (target != null && pages.getInt(2) != UTF_8) {
                        target.encodeAs(CodePages.charset(pages.getInt(2)), "code page " + pages.getInt(2));
                    }
                }
            } catch (SQLException e) {
                throw Failure.sql("write", e, codePages(load.table));
            }
        }
        return super.rowSink(load);
    }

    /** Asks for the code pages of the char, varchar and text columns of a table (SQL text), in the catalogue of its database. */
    static String codePages(String table) {
        Matcher parts = NAME.matcher(table);
        String first = parts.find() ? parts.group() : "";
        boolean inDatabase = parts.find() && parts.find();
        return "SELECT c.name, CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS int) FROM "
            + (inDatabase ? first + "." : "") + "sys.columns c WHERE c.system_type_id IN (35, 167, 175) AND c.object_id = OBJECT_ID(N'"
            + table.replace("'", "''") + "')";
    }

    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        // As an object of the driver's it would be moved by the days between the Julian and the Gregorian calendar before 1582.
        return column.family() == Family.TIMESTAMPTZ ? CellReaders.fromText(column.family()) : CellReaders.standard(column);
    }

    @Override
    public Binder binder(Target target) {
        // The server reads ISO text by its own calendar, whatever the driver's version does.
        return target.family.isTemporal() ? Binders.text(target)
            : target.family == Family.UUID ? Binders.uuidAsText(target) : Binders.standard(target);
    }
}
