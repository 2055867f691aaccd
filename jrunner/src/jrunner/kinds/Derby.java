package jrunner.kinds;

import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.StringJoiner;
import java.util.regex.Pattern;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Target;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/** Apache Derby, whose drivers are older than java.time: its own text of dates and times is exact. */
public final class Derby extends Kind {
    public Derby() {
        super("org.apache.derby.jdbc.EmbeddedDriver", "derby", "derbyclient", "derbyshared", "derbytools");
    }

    @Override
    public boolean isDriverInSeveralJars() {
        return true;
    }

    @Override
    public void beforeDriver() {
        // It writes derby.log into the working directory, unless told not to.
        systemDefault("derby.stream.error.file", "/dev/null");
    }

    @Override
    int fraction(Family family, String typeName, int precision, int scale) {
        return family == Family.TIME ? 0 : 9;
    }

    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        Family family = column.family();
        return family.isTemporal() ? CellReaders.fromText(family) : CellReaders.standard(column);
    }

    /** Derby gives no XML as it is, and its message names no column. */
    @Override
    public String explain(Database database, SQLException error, String sql) {
        if (!"42Z71".equals(error.getSQLState())) {
            return null;
        }
        StringJoiner found = new StringJoiner(", ");
        try (ResultSet columns = database.connection().getMetaData().getColumns(null, null, "%", "%")) {
            while (columns.next()) {
                String name = columns.getString("COLUMN_NAME");
                if (columns.getInt("DATA_TYPE") == Types.SQLXML
                        && Pattern.compile("(?i)\\b" + Pattern.quote(name) + "\\b").matcher(sql).find()) {
                    found.add(name);
                }
            }
        } catch (SQLException e) {
            return null;
        }
        return "Derby gives XML as text only: write XMLSERIALIZE(x AS CLOB) AS x in the query for " + (found.length() == 0
            ? "its columns of XML" : found.toString());
    }

    @Override
    public Limits limits() {
        return new Limits().skippedDays().utf16().noMinusZero();
    }

    @Override
    public Binder binder(Target target) {
        return target.family.isTemporal() ? Binders.text(target) : Binders.standard(target);
    }
}
