package jrunner.transfer;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Convert;
import jrunner.types.Family;
import jrunner.types.Intervals;

/**
 * What tells two sets of rows apart, whatever their order: of each column the number of NULLs and the sum of its values'
 * hashes, and the sum of the rows' hashes. Takes no more memory than one row.
 *
 * <p>A value is hashed as the destination's column means it, so that 1.50 and 1.5, or an instant in two zones, are one. Of JSON,
 * XML, arrays and types of the database's own, which it may write anew in another form, only NULL or not NULL counts.
 */
final class Fingerprint {
    private static final long NULL = 0x9E3779B97F4A7C15L;
    private static final long SOMETHING = 0xC2B2AE3D27D4EB4FL;
    private static final long PRIME = 0x100000001B3L;

    private final ColumnInfo[] columns;
    private final long[] sums;
    private final long[] nulls;
    private long rows;
    private long rowSums;
    private final Convert convert = new Convert();
    private final Intervals interval = new Intervals();

    Fingerprint(List<ColumnInfo> columns) {
        this.columns = columns.toArray(new ColumnInfo[0]);
        sums = new long[this.columns.length];
        nulls = new long[this.columns.length];
    }

    /** Adds the rows of a block, whose columns are this fingerprint's in their order. */
    void add(Block block) {
        for (int row = 0; row < block.rows; row++) {
            long whole = 0;
            for (int i = 0; i < columns.length; i++) {
                Cells cells = block.columns[i];
                boolean isNull = cells.tag[row] == Cells.NULL;
                long hash = isNull ? NULL : mixed(hash(columns[i], cells, row));
                nulls[i] += isNull ? 1 : 0;
                sums[i] += hash;
                whole = mixed(whole * 31 + hash);
            }
            rowSums += whole;
        }
        rows += block.rows;
    }

    /** Adds what another one of the same columns has seen. */
    void add(Fingerprint other) {
        for (int i = 0; i < columns.length; i++) {
            sums[i] += other.sums[i];
            nulls[i] += other.nulls[i];
        }
        rows += other.rows;
        rowSums += other.rowSums;
    }

    /** What differs in {@code other}, in words; null if nothing does. */
    String difference(Fingerprint other) {
        if (rows != other.rows) {
            return rows + " rows were read, " + other.rows + " are there";
        }
        List<String> found = new ArrayList<>();
        for (int i = 0; i < columns.length; i++) {
            if (sums[i] != other.sums[i]) {
                String counts = nulls[i] == other.nulls[i] ? ""
                    : " (" + nulls[i] + " NULL were read, " + other.nulls[i] + " are there)";
                found.add(columns[i].name() + counts);
            }
        }
        if (!found.isEmpty()) {
            return "other values in column " + String.join(", ", found);
        }
        return rowSums == other.rowSums ? null : "values of a row stand in another one";
    }

    private long hash(ColumnInfo column, Cells cells, int row) {
        Family family = column.family();
        try {
            switch (family) {
                case BOOLEAN:
                    return convert.bool(cells, row) ? 1 : 0;
                case INT16: case INT32: case INT64:
                    return convert.integer(cells, row, Long.MIN_VALUE, Long.MAX_VALUE);
                case DECIMAL:
                    return number(cells, row);
                case FLOAT32:
                    return Float.floatToIntBits(convert.float32(cells, row));
                case FLOAT64:
                    return Double.doubleToLongBits(convert.float64(cells, row));
                case DATE:
                    return convert.date(cells, row);
                case TIME:
                    return convert.time(cells, row);
                case TIMETZ:
                    return convert.timeTz(cells, row) * 31 + convert.offset;
                case TIMESTAMP: case TIMESTAMPTZ:
                    convert.timestamp(cells, row);
                    return convert.seconds * PRIME + convert.nanos;
                case UUID:
                    convert.uuid(cells, row);
                    return convert.high * PRIME + convert.low;
                case BINARY:
                    convert.binary(cells, row);
                    return bytes(convert.length);
                case TEXT:
                    convert.utf8(cells, row);
                    boolean padded = column.isFixedText();
                    return bytes(padded ? without(convert.length, (byte) ' ') : convert.length);
                case INTERVAL:
                    return cells.tag[row] == Cells.TEXT && interval.parse(cells.textAt(row)) ? interval.size() : SOMETHING;
                case ANY:
                    return raw(cells, row, false);
                default:
                    return SOMETHING;
            }
        } catch (BadValue e) {
            // Not of the column's type, which SQLite allows, and MariaDB for days that are none: by what it is.
            return raw(cells, row, family.isTemporal());
        }
    }

    private long raw(Cells cells, int row, boolean isTime) {
        try {
            switch (cells.tag[row]) {
                case Cells.BOOL: case Cells.INT: case Cells.DECIMAL: case Cells.BIG: case Cells.DOUBLE: case Cells.FLOAT:
                    return number(cells, row);
                case Cells.BINARY:
                    convert.binary(cells, row);
                    return bytes(convert.length);
                default:
                    convert.utf8(cells, row);
                    return bytes(isTime ? withoutFraction() : convert.length);
            }
        } catch (BadValue e) {
            return SOMETHING;
        }
    }

    /** The number of bytes without zeros that end a fraction. */
    private int withoutFraction() {
        boolean hasPoint = false;
        for (int i = 0; i < convert.length; i++) {
            hasPoint |= convert.bytes[convert.from + i] == '.';
        }
        int length = hasPoint ? without(convert.length, (byte) '0') : convert.length;
        return hasPoint ? without(length, (byte) '.') : length;
    }

    private int without(int length, byte ending) {
        int left = length;
        while (left > 0 && convert.bytes[convert.from + left - 1] == ending) {
            left--;
        }
        return left;
    }

    private long number(Cells cells, int row) throws BadValue {
        convert.decimal(cells, row);
        if (convert.decimal.isSpecial) {
            return Double.doubleToLongBits(convert.decimal.special);
        }
        if (convert.decimal.big != null) {
            BigDecimal bare = convert.decimal.big.stripTrailingZeros();
            return bare.unscaledValue().bitLength() < 64 ? bare.unscaledValue().longValue() * PRIME + bare.scale()
                : bare.hashCode();
        }
        long digits = convert.decimal.unscaled;
        int scale = digits == 0 ? 0 : convert.decimal.scale;
        while (digits != 0 && digits % 10 == 0) {
            digits /= 10;
            scale--;
        }
        return digits * PRIME + scale;
    }

    private long bytes(int length) {
        long hash = 0xCBF29CE484222325L;
        for (int i = convert.from; i < convert.from + length; i++) {
            hash = (hash ^ convert.bytes[i] & 0xFF) * PRIME;
        }
        return hash;
    }

    /** Spreads every bit of a hash over all of them (the last step of splitmix64), so that sums tell sets apart. */
    private static long mixed(long hash) {
        long h = hash + 0x9E3779B97F4A7C15L;
        h = (h ^ h >>> 30) * 0xBF58476D1CE4E5B9L;
        h = (h ^ h >>> 27) * 0x94D049BB133111EBL;
        return h ^ h >>> 31;
    }
}
