package jrunner.transfer;

import java.sql.Types;
import java.util.List;
import jrunner.Failure;
import jrunner.types.ColumnInfo;
import jrunner.types.Family;

/** Takes trailing blanks off the text of another source. */
final class TrimmedSource implements RowSource {
    private final RowSource inner;
    private final TransferRequest.Trim which;
    private boolean[] trimmed;

    TrimmedSource(RowSource inner, TransferRequest.Trim which) {
        this.inner = inner;
        this.which = which;
    }

    @Override
    public List<ColumnInfo> columns() {
        return inner.columns();
    }

    @Override
    public void select(int[] indexes) throws Failure {
        trimmed = new boolean[indexes.length];
        for (int i = 0; i < indexes.length; i++) {
            ColumnInfo column = columns().get(indexes[i]);
            boolean fixed = column.jdbcType() == Types.CHAR || column.jdbcType() == Types.NCHAR;
            trimmed[i] = which == TransferRequest.Trim.ALL
                ? column.family() == Family.TEXT || column.family() == Family.ANY
                : fixed && column.family() == Family.TEXT;
        }
        inner.select(indexes);
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        boolean more = inner.fill(block, firstRow);
        for (int i = 0; i < trimmed.length; i++) {
            for (int row = 0; trimmed[i] && row < block.rows; row++) {
                block.columns[i].trimRight(row);
            }
        }
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
