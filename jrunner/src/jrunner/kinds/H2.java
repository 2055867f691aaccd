package jrunner.kinds;

import java.sql.Connection;
import java.util.List;
import java.util.Locale;
import jrunner.db.Database;
import jrunner.transfer.Binder;
import jrunner.transfer.Binders;
import jrunner.transfer.Limits;
import jrunner.transfer.Target;
import jrunner.types.CellReader;
import jrunner.types.CellReaders;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/** H2, embedded or as a server. */
public final class H2 extends Kind {
    public H2() {
        super("org.h2.Driver", "h2");
    }

    @Override
    public List<String> bestEffortSql(Connection connection) {
        // A commit is on disk when it returns, not half a second later.
        return List.of("SET WRITE_DELAY 0");
    }

    @Override
    public CellReader reader(Database database, ColumnInfo column) {
        // As a BigDecimal it could be neither NaN nor infinite.
        boolean special = column.typeName().toUpperCase(Locale.ROOT).startsWith("DECFLOAT");
        return special ? CellReaders.fromText(Family.DECIMAL) : CellReaders.standard(column);
    }

    @Override
    public Limits limits() {
        return new Limits().floatSpecials().anyYear().utf16().noMinusZero();
    }

    @Override
    public Binder binder(Target target) {
        return target.family.isTemporal() ? Binders.javaTime(target)
            // As a string it would become a JSON string.
            : target.family == Family.JSON ? Binders.textAsBytes(target) : Binders.standard(target);
    }
}
