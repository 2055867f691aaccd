package jrunner.kinds;

import jrunner.transfer.Block;
import jrunner.types.BadValue;
import jrunner.types.Utf8;

/** Writes the rows of a block in one of COPY's formats. */
interface PgEncoder {
    /** COPY's options for the format. */
    String options();

    /** What stands before the first row. */
    void header(Utf8 out);

    /** Appends one row. On an error {@link #failedColumn} tells which column it was. */
    void row(Block block, int row, Utf8 out) throws BadValue;

    /** What stands behind the last row. */
    void trailer(Utf8 out);

    int failedColumn();
}
