package jrunner.transfer;

import java.sql.PreparedStatement;
import java.sql.SQLException;
import jrunner.types.BadValue;
import jrunner.types.Cells;

/** Sets one parameter of a prepared insert from a cell that is not NULL. */
public interface Binder {
    /** @throws BadValue if the column cannot hold the cell exactly */
    void bind(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue;
}
