package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.types.ColumnInfo;

/** Takes the fingerprint of the rows of another source while they are read. */
final class FingerprintedSource extends WrappedSource {
    private Fingerprint seen;

    FingerprintedSource(RowSource inner) {
        super(inner);
    }

    /** Called before the first row; {@code targets} are the columns that the selected ones go to. */
    Fingerprint take(List<ColumnInfo> targets) {
        seen = new Fingerprint(targets);
        return seen;
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        boolean more = super.fill(block, firstRow);
        seen.add(block);
        return more;
    }
}
