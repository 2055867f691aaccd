package jrunner.types;

import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.util.List;
import jrunner.Failure;
import jrunner.db.Database;

/**
 * The values of a result as text at full precision: numbers and timestamps as the database prints them, {@code true}
 * and {@code false} for booleans, {@code 0x…} for binary.
 */
public final class TextValues {
    private final List<ColumnInfo> columns;
    private final CellReader[] readers;
    private final Cells cells = new Cells(1);
    private final Convert convert = new Convert();

    /** @throws SQLException if the driver cannot describe the result */
    public TextValues(Database db, ResultSetMetaData meta) throws SQLException {
        columns = db.kind().columns(meta);
        readers = new CellReader[columns.size()];
        for (int i = 0; i < readers.length; i++) {
            readers[i] = db.kind().reader(db, columns.get(i));
        }
    }

    /** The columns of the result. */
    public List<ColumnInfo> columns() {
        return columns;
    }

    /**
     * The value of column {@code index} (from 1) in the current row; null for NULL.
     *
     * @throws Failure of code {@code value} for what is no value of its type, such as MySQL's zero dates
     */
    public String text(ResultSet result, int index) throws SQLException, Failure {
        cells.clear();
        try {
            readers[index - 1].read(result, index, cells, 0);
            if (cells.isNull(0)) {
                return null;
            }
            if (cells.tag[0] == Cells.BINARY) {
                Utf8 hex = new Utf8(2 + 2 * cells.c[0]);
                hex.ascii("0x");
                hex.hex(cells.data, (int) cells.a[0], cells.c[0]);
                return hex.toString();
            }
            return convert.text(cells, 0);
        } catch (BadValue e) {
            throw Failure.value("read", columns.get(index - 1).name(), result.getRow(), e.getMessage());
        }
    }
}
