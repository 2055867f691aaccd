package jrunner.kinds;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.List;
import java.util.Map;
import jrunner.transfer.Block;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.Convert;
import jrunner.types.Decimals;
import jrunner.types.Temporals;
import jrunner.types.Utf8;

/**
 * COPY's binary format: each type as its receive function wants it (PostgreSQL's documentation of COPY, "Binary
 * Format", and the *recv functions of its sources).
 */
final class PgBinary implements PgEncoder {
    private static final byte[] SIGNATURE = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', (byte) 0xFF, '\r', '\n', 0};
    /** Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01. */
    static final int EPOCH_DAYS = 10_957;
    static final long EPOCH_SECONDS = EPOCH_DAYS * 86_400L;
    private static final BigInteger TEN_THOUSAND = BigInteger.valueOf(10_000);

    private interface Field {
        void write(Target target, Cells cells, int row, Utf8 out) throws BadValue;
    }

    private static final Map<String, Field> FIELDS = Map.ofEntries(
        Map.entry("bool", (t, cells, row, out) -> {
            boolean value = t.bool(cells, row);
            out.int32(1);
            out.put(value ? 1 : 0);
        }),
        Map.entry("int2", (t, cells, row, out) -> {
            int value = (int) t.integer(cells, row);
            out.int32(2);
            out.int16(value);
        }),
        Map.entry("int4", PgBinary::int4),
        Map.entry("oid", PgBinary::int4),
        Map.entry("int8", (t, cells, row, out) -> {
            long value = t.integer(cells, row);
            out.int32(8);
            out.int64(value);
        }),
        Map.entry("float4", (t, cells, row, out) -> {
            float value = t.float32(cells, row);
            out.int32(4);
            out.int32(Float.floatToIntBits(value));
        }),
        Map.entry("float8", (t, cells, row, out) -> {
            double value = t.float64(cells, row);
            out.int32(8);
            out.int64(Double.doubleToLongBits(value));
        }),
        Map.entry("numeric", PgBinary::numeric),
        Map.entry("text", PgBinary::text),
        Map.entry("varchar", PgBinary::text),
        Map.entry("bpchar", PgBinary::text),
        Map.entry("name", PgBinary::text),
        Map.entry("json", PgBinary::text),
        Map.entry("xml", PgBinary::text),
        Map.entry("jsonb", (t, cells, row, out) -> {
            t.text(cells, row);
            out.int32(t.convert.length + 1);
            out.put(1);
            out.put(t.convert.bytes, t.convert.from, t.convert.length);
        }),
        Map.entry("bytea", (t, cells, row, out) -> {
            t.binary(cells, row);
            out.int32(t.convert.length);
            out.put(t.convert.bytes, t.convert.from, t.convert.length);
        }),
        Map.entry("date", (t, cells, row, out) -> {
            long day = t.date(cells, row);
            out.int32(4);
            out.int32(day == Temporals.INFINITY ? Integer.MAX_VALUE
                : day == Temporals.MINUS_INFINITY ? Integer.MIN_VALUE : (int) (day - EPOCH_DAYS));
        }),
        Map.entry("time", (t, cells, row, out) -> {
            long nanos = t.time(cells, row);
            out.int32(8);
            out.int64(nanos / 1000);
        }),
        Map.entry("timetz", (t, cells, row, out) -> {
            long nanos = t.timeTz(cells, row);
            out.int32(12);
            out.int64(nanos / 1000);
            out.int32(-t.convert.offset);
        }),
        Map.entry("timestamp", (t, cells, row, out) -> {
            t.timestamp(cells, row);
            timestamp(t.convert, out);
        }),
        Map.entry("timestamptz", (t, cells, row, out) -> {
            t.timestampTz(cells, row);
            timestamp(t.convert, out);
        }),
        Map.entry("uuid", (t, cells, row, out) -> {
            t.uuid(cells, row);
            out.int32(16);
            out.int64(t.convert.high);
            out.int64(t.convert.low);
        }));

    private final Target[] targets;
    private final Field[] fields;
    private int column;

    PgBinary(List<Target> targets) {
        this.targets = targets.toArray(new Target[0]);
        this.fields = new Field[this.targets.length];
        for (int i = 0; i < fields.length; i++) {
            fields[i] = FIELDS.get(this.targets[i].info.typeName());
        }
    }

    /** True if this class can write a column of that type. */
    static boolean knows(String typeName) {
        return FIELDS.containsKey(typeName);
    }

    private static void int4(Target t, Cells cells, int row, Utf8 out) throws BadValue {
        int value = (int) t.integer(cells, row);
        out.int32(4);
        out.int32(value);
    }

    private static void text(Target t, Cells cells, int row, Utf8 out) throws BadValue {
        t.text(cells, row);
        out.int32(t.convert.length);
        out.put(t.convert.bytes, t.convert.from, t.convert.length);
    }

    private static void timestamp(Convert convert, Utf8 out) {
        out.int32(8);
        if (convert.infinite()) {
            out.int64(convert.seconds);
        } else {
            out.int64((convert.seconds - EPOCH_SECONDS) * 1_000_000L + convert.nanos / 1000);
        }
    }

    /** Base-10000 digits, aligned to the decimal point. */
    private static void numeric(Target t, Cells cells, int row, Utf8 out) throws BadValue {
        t.decimal(cells, row);
        Decimals value = t.convert.decimal;
        if (value.isSpecial) {
            out.int32(8);
            out.int32(0);
            out.int16(Double.isNaN(value.special) ? 0xC000 : value.special > 0 ? 0xD000 : 0xF000);
            out.int16(0);
            return;
        }
        if (value.big != null || value.scale < 0 || value.scale > 18 || value.unscaled == Long.MIN_VALUE) {
            bigNumeric(value.bigDecimal(), out);
            return;
        }
        long magnitude = Math.abs(value.unscaled);
        int scale = value.scale;
        long power = POWERS[scale];
        long whole = magnitude / power;
        long fraction = magnitude % power;
        int start = out.length;
        out.ensure(40);
        out.length += 12;
        byte[] bytes = out.bytes;
        int digits = 0;
        int weight = -1;
        if (whole != 0) {
            int groups = whole < 10_000 ? 1 : whole < 100_000_000 ? 2 : whole < 1_000_000_000_000L ? 3
                : whole < 10_000_000_000_000_000L ? 4 : 5;
            weight = groups - 1;
            long left = whole;
            for (int i = groups - 1; i >= 0; i--) {
                int at = out.length + 2 * i;
                int group = (int) (left % 10_000);
                left /= 10_000;
                bytes[at] = (byte) (group >> 8);
                bytes[at + 1] = (byte) group;
            }
            out.length += 2 * groups;
            digits = groups;
        }
        long unit = power;
        long left = fraction;
        while (left != 0) {
            int group;
            if (unit >= 10_000) {
                unit /= 10_000;
                group = (int) (left / unit);
                left %= unit;
            } else {
                group = (int) (left * (10_000 / unit));
                left = 0;
            }
            if (digits == 0 && group == 0) {
                // Leading zero groups of a small fraction are only counted.
                weight--;
                continue;
            }
            bytes[out.length++] = (byte) (group >> 8);
            bytes[out.length++] = (byte) group;
            digits++;
        }
        while (digits > 0 && bytes[out.length - 1] == 0 && bytes[out.length - 2] == 0) {
            out.length -= 2;
            digits--;
        }
        finishNumeric(out, start, digits, digits == 0 ? 0 : weight, value.unscaled < 0, scale);
    }

    private static final long[] POWERS = new long[19];

    static {
        POWERS[0] = 1;
        for (int i = 1; i < POWERS.length; i++) {
            POWERS[i] = POWERS[i - 1] * 10;
        }
    }

    private static void bigNumeric(BigDecimal value, Utf8 out) throws BadValue {
        int scale = Math.max(0, value.scale());
        if (scale > 16_383 || (long) value.precision() - value.scale() > 131_072) {
            throw new BadValue("a number of " + value.precision() + " digits and scale " + value.scale()
                + " is beyond numeric's limits");
        }
        // A whole number of groups behind the point.
        int groupsBehind = (scale + 3) / 4;
        BigInteger left = value.abs().setScale(groupsBehind * 4).unscaledValue();
        int count = 0;
        short[] groups = new short[(left.bitLength() * 1233 / 4096 + 1) / 4 + 2];
        while (left.signum() != 0) {
            if (left.bitLength() < 63) {
                long rest = left.longValue();
                while (rest != 0) {
                    groups[count++] = (short) (rest % 10_000);
                    rest /= 10_000;
                }
                break;
            }
            BigInteger[] divided = left.divideAndRemainder(TEN_THOUSAND);
            groups[count++] = divided[1].shortValue();
            left = divided[0];
        }
        int start = out.length;
        out.ensure(12 + 2 * count);
        out.length += 12;
        int weight = count - 1 - groupsBehind;
        int first = 0;
        while (first < count && groups[first] == 0) {
            first++;
        }
        for (int i = count - 1; i >= first; i--) {
            out.int16(groups[i]);
        }
        int digits = count - first;
        finishNumeric(out, start, digits, digits == 0 ? 0 : weight, value.signum() < 0, scale);
    }

    private static void finishNumeric(Utf8 out, int start, int digits, int weight, boolean negative, int scale) {
        int end = out.length;
        out.length = start;
        out.int32(8 + 2 * digits);
        out.int16(digits);
        out.int16(weight);
        out.int16(negative && digits > 0 ? 0x4000 : 0);
        out.int16(scale);
        out.length = end;
    }

    @Override
    public String options() {
        return "(FORMAT binary)";
    }

    @Override
    public void header(Utf8 out) {
        out.put(SIGNATURE, 0, SIGNATURE.length);
        out.int32(0);
        out.int32(0);
    }

    @Override
    public void row(Block block, int row, Utf8 out) throws BadValue {
        Cells[] columns = block.columns;
        out.int16(columns.length);
        for (column = 0; column < columns.length; column++) {
            Cells cells = columns[column];
            if (cells.tag[row] == Cells.NULL) {
                out.int32(-1);
            } else {
                fields[column].write(targets[column], cells, row, out);
            }
        }
    }

    @Override
    public void trailer(Utf8 out) {
        out.int16(-1);
    }

    @Override
    public int failedColumn() {
        return column;
    }
}
