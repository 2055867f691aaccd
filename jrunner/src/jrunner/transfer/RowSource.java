package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.types.ColumnInfo;

/** Where rows come from. Used by one thread, except {@link #abort}. */
public interface RowSource extends AutoCloseable {
    /** The columns of the source query. */
    List<ColumnInfo> columns();

    /**
     * Says which of {@link #columns} to read, in the order of a block's columns. Called once, before the first fill.
     */
    void select(int[] indexes) throws Failure;

    /**
     * Appends rows to an empty block until it is full.
     *
     * @param firstRow the number of the next row, for errors
     * @return false if there are no more rows
     */
    boolean fill(Block block, long firstRow) throws Failure;

    /** Makes a read that is under way on another thread end soon, with any error. */
    void abort();

    /** Frees the statement and ends the source's transaction. */
    @Override
    void close();
}
