package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.types.ColumnInfo;

/** Takes the fingerprint of the rows of another source while they are read. */
final class FingerprintedSource implements RowSource {
    private final RowSource inner;
    private Fingerprint seen;

    FingerprintedSource(RowSource inner) {
        this.inner = inner;
    }

    /** Called before the first row; {@code targets} are the columns that the selected ones go to. */
    Fingerprint take(List<ColumnInfo> targets) {
        seen = new Fingerprint(targets);
        return seen;
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
        boolean more = inner.fill(block, firstRow);
        seen.add(block);
        return more;
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
