package jrunner.kinds;

import java.sql.Connection;
import java.util.List;
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
    @Override
    public String driverClass() {
        return "org.apache.derby.jdbc.EmbeddedDriver";
    }

    @Override
    public List<String> driverJars(String url) {
        return List.of("derby", "derbyclient", "derbyshared", "derbytools");
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
    public String quoteString(Connection connection) {
        return "\"";
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

    @Override
    public Limits limits() {
        return new Limits().skippedDays().utf16();
    }

    @Override
    public Binder binder(Target target) {
        return target.family.isTemporal() ? Binders.text(target) : Binders.standard(target);
    }
}
