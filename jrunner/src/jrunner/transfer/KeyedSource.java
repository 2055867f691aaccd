package jrunner.transfer;

import java.util.List;
import jrunner.Failure;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Convert;
import jrunner.types.Family;

/**
 * Refuses cells of another source's key columns that the destination may take for equal to others that the source tells
 * apart: a text that is not the usual one of the value which it becomes, and a number that becomes a text, or a text that
 * becomes a number, where the column may hold both.
 */
final class KeyedSource extends WrappedSource {
    private Convert convert;
    private final Cells scratch = new Cells(1);
    private TransferRequest.Key[] keys;
    private List<Target> targets;
    /** Columns of fixed length, whose blanks at the end are no part of the text. */
    private boolean[] padded;

    KeyedSource(RowSource inner) {
        super(inner);
    }

    /**
     * Called before the first row.
     *
     * @param pairs what is asked of each selected column
     * @param columns where the selected columns go; with {@code convert} they are this source's alone, which has a thread
     *     of its own
     */
    void check(List<TransferRequest.Pair> pairs, List<Target> columns, Convert itsConvert) {
        keys = pairs.stream().map(pair -> pair.key).toArray(TransferRequest.Key[]::new);
        targets = columns;
        convert = itsConvert;
    }

    @Override
    public void select(int[] indexes) throws Failure {
        padded = new boolean[indexes.length];
        for (int i = 0; i < indexes.length; i++) {
            ColumnInfo column = columns().get(indexes[i]);
            padded[i] = column.precision() > 0 && column.isFixedText();
        }
        super.select(indexes);
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        boolean more = super.fill(block, firstRow);
        for (int column = 0; column < keys.length; column++) {
            for (int row = 0; keys[column] != null && row < block.rows; row++) {
                Target target = targets.get(column);
                try {
                    check(keys[column], target, block.columns[column], row, padded[column]);
                } catch (BadValue e) {
                    throw Failure.value("convert", target.name(), firstRow + row, e.getMessage());
                }
            }
        }
        return more;
    }

    private void check(TransferRequest.Key key, Target target, Cells cells, int row, boolean isPadded)
            throws BadValue {
        byte tag = cells.tag[row];
        if (tag == Cells.NULL || target.family == Family.BINARY) {
            return;
        }
        boolean number = tag == Cells.INT || tag == Cells.DOUBLE;
        if (key == TransferRequest.Key.SINGLE && (isNumber(target.family) ? !number : tag != Cells.TEXT)) {
            String shown = convert.text(cells, row);
            throw new BadValue((number ? "the number " + shown : "the text " + BadValue.show(shown))
                + " stands in a key column without a type, and the " + target.info.typeName()
                + " would not tell it from the " + (number ? "text" : "number")
                + " of that look: CAST the column in the query to the type that is meant");
        }
        if (tag == Cells.TEXT) {
            usual(target, cells, row, isPadded);
        }
    }

    private static boolean isNumber(Family family) {
        return family.isInteger() || family == Family.DECIMAL || family == Family.FLOAT32 || family == Family.FLOAT64
            || family == Family.BOOLEAN;
    }

    /** Refuses a text that is not the one which its value is printed as. */
    private void usual(Target target, Cells cells, int row, boolean isPadded) throws BadValue {
        switch (target.family) {
            case INT16:
            case INT32:
            case INT64:
            case DECIMAL:
            case FLOAT32:
            case FLOAT64:
                convert.decimal(cells, row);
                if (convert.decimal.isSpecial) {
                    scratch.setDouble(0, convert.decimal.special);
                } else {
                    scratch.setDecimal(0, convert.decimal.bigDecimal().stripTrailingZeros());
                }
                break;
            case BOOLEAN:
                scratch.setBool(0, target.bool(cells, row));
                break;
            case DATE:
                scratch.setDate(0, target.date(cells, row));
                break;
            case TIME:
                scratch.setTime(0, target.time(cells, row));
                break;
            case TIMETZ:
                scratch.setTimeTz(0, target.timeTz(cells, row), 0);
                break;
            case TIMESTAMP:
                target.timestamp(cells, row);
                scratch.setTimestamp(0, target.convert.seconds, target.convert.nanos);
                break;
            case TIMESTAMPTZ:
                target.timestampTz(cells, row);
                scratch.setTimestampTz(0, target.convert.seconds, target.convert.nanos, 0);
                break;
            case UUID:
                target.uuid(cells, row);
                scratch.setUuid(0, target.convert.high, target.convert.low);
                break;
            default:
                return;
        }
        String usual = convert.text(scratch, 0);
        String text = isPadded ? cells.textAt(row).stripTrailing() : cells.textAt(row);
        if (!text.equals(usual)) {
            throw new BadValue("the text " + BadValue.show(text) + " of the key would become the "
                + target.info.typeName() + " that is usually written " + BadValue.show(usual)
                + ", and the query tells these apart: convert it in the query, or keep it in a column of text");
        }
    }
}
