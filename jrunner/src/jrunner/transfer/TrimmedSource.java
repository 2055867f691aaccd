package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/** Takes trailing blanks off the text of another source. */
final class TrimmedSource extends WrappedSource {
    private final TransferRequest.Trim which;
    private boolean[] trimmed;

    TrimmedSource(RowSource inner, TransferRequest.Trim which) {
        super(inner);
        this.which = which;
    }

    @Override
    public void select(int[] indexes) throws Failure {
        trimmed = new boolean[indexes.length];
        for (int i = 0; i < indexes.length; i++) {
            ColumnInfo column = columns().get(indexes[i]);
            trimmed[i] = which == TransferRequest.Trim.ALL
                ? column.family() == Family.TEXT || column.family() == Family.ANY
                : column.isFixedText() && column.family() == Family.TEXT;
        }
        super.select(indexes);
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        boolean more = super.fill(block, firstRow);
        for (int i = 0; i < trimmed.length; i++) {
            for (int row = 0; trimmed[i] && row < block.rows; row++) {
                block.columns[i].trimRight(row);
            }
        }
        return more;
    }
}
