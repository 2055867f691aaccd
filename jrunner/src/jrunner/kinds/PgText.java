package jrunner.kinds;

import java.util.List;
import jrunner.transfer.Block;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.Family;
import jrunner.types.Utf8;

/** COPY's text format: for destination types whose binary form jrunner does not know. */
final class PgText implements PgEncoder {
    private final Target[] targets;
    private final Cells scratch = new Cells(1);
    private int column;

    PgText(List<Target> targets) {
        this.targets = targets.toArray(new Target[0]);
    }

    @Override
    public String options() {
        return "(FORMAT text, ENCODING 'UTF8')";
    }

    @Override
    public void header(Utf8 out) {
        // There is none.
    }

    @Override
    public void trailer(Utf8 out) {
        // There is none.
    }

    @Override
    public void row(Block block, int row, Utf8 out) throws BadValue {
        for (column = 0; column < targets.length; column++) {
            if (column > 0) {
                out.put('\t');
            }
            Target target = targets[column];
            Cells cells = block.columns[column];
            if (cells.tag[row] == Cells.NULL) {
                out.ascii("\\N");
            } else if (target.family == Family.BINARY) {
                target.binary(cells, row);
                out.ascii("\\\\x");
                out.hex(target.convert.bytes, target.convert.from, target.convert.length);
            } else {
                target.anyText(cells, row, scratch);
                escape(target.convert.bytes, target.convert.from, target.convert.length, out);
            }
        }
        out.put('\n');
    }

    /** Backslash, tab and line ends are written as escapes; every other byte stands for itself. */
    static void escape(byte[] from, int start, int count, Utf8 out) {
        // Room for the worst case, so that the loop need not ask.
        out.ensure(count > (Integer.MAX_VALUE - 64) / 2 ? count : 2 * count);
        byte[] to = out.bytes;
        int at = out.length;
        for (int i = start; i < start + count; i++) {
            byte b = from[i];
            if (b == '\\' || b == '\t' || b == '\n' || b == '\r') {
                to[at++] = '\\';
                to[at++] = (byte) (b == '\\' ? '\\' : b == '\t' ? 't' : b == '\n' ? 'n' : 'r');
            } else {
                to[at++] = b;
            }
        }
        out.length = at;
    }

    @Override
    public int failedColumn() {
        return column;
    }
}
