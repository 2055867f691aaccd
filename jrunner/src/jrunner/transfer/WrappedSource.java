package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.types.ColumnInfo;

/** Another source, as it is: what looks at its rows, or changes them, overrides the method that they come by. */
abstract class WrappedSource implements RowSource {
    private final RowSource inner;

    WrappedSource(RowSource inner) {
        this.inner = inner;
    }

    @Override
    public List<ColumnInfo> columns() {
        return inner.columns();
    }

    @Override
    public void select(int[] indexes) throws Failure {
        inner.select(indexes);
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        return inner.fill(block, firstRow);
    }

    @Override
    public void abort() {
        inner.abort();
    }

    @Override
    public void close() {
        inner.close();
    }
}
