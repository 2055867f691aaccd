package jrunner.types;

import java.sql.ResultSet;
import java.sql.SQLException;

/** Reads one column of a result's current row into a block, without letting the driver coerce anything. */
public interface CellReader {
    /**
     * @throws BadValue if the source holds something that is no value of its type, such as MySQL's zero dates
     */
    void read(ResultSet result, int index, Cells cells, int row) throws SQLException, BadValue;
}
