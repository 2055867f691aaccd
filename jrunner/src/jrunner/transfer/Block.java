package jrunner.transfer;

import jrunner.types.Cells;

/** Some rows on their way from reader to writer, column by column. Blocks are reused. */
public final class Block {
    /** A block is handed on when its values pass this size, however few its rows: huge values must not add up. */
    static final int BYTES = 1 << 20;

    /** Rows a block at most; fewer for very wide tables, so that four blocks stay small. */
    static int rowsFor(int columns) {
        return Math.max(64, Math.min(1024, 100_000 / Math.max(1, columns)));
    }

    public final Cells[] columns;
    final int capacity;
    public int rows;
    /** The number of the first row, from 1. */
    public long firstRow;

    Block(int columnCount) {
        capacity = rowsFor(columnCount);
        columns = new Cells[columnCount];
        for (int i = 0; i < columnCount; i++) {
            columns[i] = new Cells(capacity);
        }
    }

    void clear() {
        rows = 0;
        for (Cells column : columns) {
            column.clear();
        }
    }

    /** Bytes of text and binary in the block. */
    long dataBytes() {
        long total = 0;
        for (Cells column : columns) {
            total += column.dataLength;
        }
        return total;
    }

    /** An estimate for paths that leave the encoding to the driver. */
    public long estimatedBytes() {
        return dataBytes() + 8L * rows * columns.length;
    }

    /** True when the block is to be handed on. */
    public boolean isFull() {
        return rows == capacity || dataBytes() >= BYTES;
    }
}
