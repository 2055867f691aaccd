package jrunner.types;

import java.math.BigDecimal;
import java.math.BigInteger;

/** The conversions of {@link Convert} that end in a number or a boolean. */
public class Numbers {
    private static final double TWO_63 = 0x1p63;

    /** The number converted last by {@link #decimal(Cells, int)}. */
    public final Decimals decimal = new Decimals();

    Numbers() {
    }

    static BadValue cannot(Cells cells, int row, String what) {
        return new BadValue("a " + Cells.nameOf(cells.tag[row]) + " value cannot become " + what);
    }

    /** An integer between {@code least} and {@code most}. */
    public long integer(Cells cells, int row, long least, long most) throws BadValue {
        long value;
        switch (cells.tag[row]) {
            case Cells.BOOL:
            case Cells.INT:
                value = cells.a[row];
                break;
            case Cells.DOUBLE:
            case Cells.FLOAT:
                double d = cells.doubleAt(row);
                if (d != Math.rint(d) || d < -TWO_63 || d >= TWO_63) {
                    throw new BadValue(FloatText.of(d) + " is not an integer that fits");
                }
                value = (long) d;
                break;
            case Cells.DECIMAL:
            case Cells.BIG:
            case Cells.TEXT:
                value = wholeDecimal(cells, row);
                break;
            default:
                throw cannot(cells, row, "an integer");
        }
        if (value < least || value > most) {
            throw new BadValue(value + " is out of the range " + least + " to " + most);
        }
        return value;
    }

    private long wholeDecimal(Cells cells, int row) throws BadValue {
        decimal(cells, row);
        if (!decimal.isSpecial) {
            if (decimal.big == null && decimal.scale == 0) {
                return decimal.unscaled;
            }
            BigDecimal exact = decimal.bigDecimal();
            if (exact.signum() == 0) {
                return 0;
            }
            if (exact.precision() - exact.scale() <= 19) {
                try {
                    return exact.longValueExact();
                } catch (ArithmeticException e) {
                    // Reported below.
                }
            }
        }
        throw new BadValue(decimal + " is not an integer that fits");
    }

    public boolean bool(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.BOOL:
                return cells.a[row] != 0;
            case Cells.INT:
                if (cells.a[row] == 0 || cells.a[row] == 1) {
                    return cells.a[row] == 1;
                }
                throw new BadValue(cells.a[row] + " is neither 0 nor 1, so it is not a boolean");
            case Cells.TEXT:
                String word = cells.textAt(row).trim().toLowerCase(java.util.Locale.ROOT);
                switch (word) {
                    case "t": case "true": case "y": case "yes": case "on": case "1":
                        return true;
                    case "f": case "false": case "n": case "no": case "off": case "0":
                        return false;
                    default:
                        throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a boolean");
                }
            case Cells.DOUBLE:
            case Cells.FLOAT:
            case Cells.DECIMAL:
            case Cells.BIG:
                return integer(cells, row, 0, 1) == 1;
            default:
                throw cannot(cells, row, "a boolean");
        }
    }

    public double float64(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.DOUBLE:
            case Cells.FLOAT:
                return cells.doubleAt(row);
            case Cells.BOOL:
            case Cells.INT:
                double d = cells.a[row];
                if (d >= TWO_63 || (long) d != cells.a[row]) {
                    throw new BadValue(cells.a[row] + " has more digits than a double-precision number holds");
                }
                return d;
            case Cells.DECIMAL:
            case Cells.BIG:
            case Cells.TEXT:
                decimal(cells, row);
                return nearest();
            default:
                throw cannot(cells, row, "a number");
        }
    }

    /** The double whose shortest decimal form is the present decimal. */
    private double nearest() throws BadValue {
        if (decimal.isSpecial) {
            return decimal.special;
        }
        if (decimal.big == null && Math.abs(decimal.unscaled) < 1_000_000_000_000_000L && decimal.scale >= 0
                && decimal.scale <= 18) {
            // Fifteen digits survive any double, and one division of exact doubles is rounded correctly.
            return decimal.unscaled / (double) Decimals.POWERS[decimal.scale];
        }
        BigDecimal exact = decimal.bigDecimal();
        double d = exact.doubleValue();
        if (Double.isInfinite(d) || new BigDecimal(Double.toString(d)).compareTo(exact) != 0
                && new BigDecimal(d).compareTo(exact) != 0) {
            throw new BadValue(decimal + " has more digits than a double-precision number holds");
        }
        return d;
    }

    public float float32(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.FLOAT:
                return (float) cells.doubleAt(row);
            case Cells.DOUBLE: {
                double d = cells.doubleAt(row);
                float f = (float) d;
                if (f == d || Double.isNaN(d)) {
                    return f;
                }
                // 0.1 as a double is not 0.1 as a float, but both are what people write as 0.1.
                if (!Float.isInfinite(f) && Double.toString(d).equals(Float.toString(f))) {
                    return f;
                }
                throw new BadValue(FloatText.of(d) + " has more digits than a single-precision number holds");
            }
            case Cells.BOOL:
            case Cells.INT: {
                float f = cells.a[row];
                if (f >= TWO_63 || (long) f != cells.a[row]) {
                    throw new BadValue(cells.a[row] + " has more digits than a single-precision number holds");
                }
                return f;
            }
            case Cells.DECIMAL:
            case Cells.BIG:
            case Cells.TEXT: {
                decimal(cells, row);
                if (decimal.isSpecial) {
                    return (float) decimal.special;
                }
                BigDecimal exact = decimal.bigDecimal();
                float f = exact.floatValue();
                if (Float.isInfinite(f) || new BigDecimal(Float.toString(f)).compareTo(exact) != 0
                        && new BigDecimal(f).compareTo(exact) != 0) {
                    throw new BadValue(decimal + " has more digits than a single-precision number holds");
                }
                return f;
            }
            default:
                throw cannot(cells, row, "a number");
        }
    }

    /** Leaves the cell's number in {@link #decimal}, unlimited. */
    public void decimal(Cells cells, int row) throws BadValue {
        switch (cells.tag[row]) {
            case Cells.BOOL:
            case Cells.INT:
                decimal.set(cells.a[row], 0);
                return;
            case Cells.DECIMAL:
                decimal.set(cells.a[row], cells.c[row]);
                return;
            case Cells.BIG:
                decimal.set(cells.bigAt(row));
                return;
            case Cells.DOUBLE:
                decimal.set(cells.doubleAt(row));
                return;
            case Cells.FLOAT:
                decimal.setFloat((float) cells.doubleAt(row));
                return;
            case Cells.TEXT:
                if (!decimal.parse(cells.data, (int) cells.a[row], cells.c[row])) {
                    throw new BadValue(BadValue.show(cells.textAt(row)) + " is not a number: CAST it in the query, or give the"
                        + " column a dest_type for text");
                }
                refuseLeadingZeros(cells, row);
                return;
            default:
                throw cannot(cells, row, "a number");
        }
    }

    /** {@code 007} is a code, not the number 7. */
    private static void refuseLeadingZeros(Cells cells, int row) throws BadValue {
        int at = (int) cells.a[row];
        int end = at + cells.c[row] - 1;
        while (at < end && (cells.data[at] == ' ' || cells.data[at] == '-' || cells.data[at] == '+')) {
            at++;
        }
        if (at < end && cells.data[at] == '0' && Character.isDigit(cells.data[at + 1])) {
            throw new BadValue(BadValue.show(cells.textAt(row)) + " begins with zeros, which a number does not keep: CAST it in"
                + " the query, or give the column a dest_type for text");
        }
    }

    /** {@code value} as an unsigned 64-bit number. */
    public static BigDecimal unsigned(long value) {
        return new BigDecimal(new BigInteger(Long.toUnsignedString(value)));
    }
}
