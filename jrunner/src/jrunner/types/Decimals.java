package jrunner.types;

import java.math.BigDecimal;
import java.math.BigInteger;

/**
 * An exact decimal number in a form that spares objects: an unscaled {@code long} where it fits, else a BigDecimal,
 * else one of the specials NaN and plus or minus infinity. An instance holds the value set last.
 */
public final class Decimals {
    /** 10^0 .. 10^18. */
    static final long[] POWERS = new long[19];

    static {
        POWERS[0] = 1;
        for (int i = 1; i < POWERS.length; i++) {
            POWERS[i] = POWERS[i - 1] * 10;
        }
    }

    /** Longer literals than this are not numbers that anyone meant, and would cost quadratic time to parse. */
    private static final int MAX_LITERAL = 200_000;

    public long unscaled;
    public int scale;
    /** The value if it needs more than a long, else null. */
    public BigDecimal big;
    /** NaN or an infinity; meaningful only if {@link #isSpecial}. */
    public double special;
    public boolean isSpecial;

    public void set(long value, int itsScale) {
        unscaled = value;
        scale = itsScale;
        big = null;
        isSpecial = false;
    }

    public void set(BigDecimal value) {
        BigInteger digits = value.unscaledValue();
        if (digits.bitLength() < 64) {
            set(digits.longValue(), value.scale());
        } else {
            big = value;
            scale = value.scale();
            isSpecial = false;
        }
    }

    public void setSpecial(double value) {
        special = value;
        isSpecial = true;
        big = null;
    }

    /** The shortest decimal that is this double again when read back. */
    public void set(double value) {
        if (value == (long) value && Math.abs(value) < 1e15) {
            set((long) value, 0);
        } else if (fewPlaces(value)) {
            return;
        } else if (Double.isNaN(value) || Double.isInfinite(value)) {
            setSpecial(value);
        } else {
            set(new BigDecimal(Double.toString(value)));
        }
    }

    /**
     * Most doubles in tables are amounts with a few decimal places. A decimal of up to 15 digits is the only such decimal
     * of its double, so if one of a few places divides out to {@code value}, it is the shortest, without making text.
     */
    private boolean fewPlaces(double value) {
        for (int places = 2; places <= 6; places += 2) {
            double scaled = Math.rint(value * POWERS[places]);
            if (Math.abs(scaled) >= 1e15) {
                return false;
            }
            if (scaled / POWERS[places] == value) {
                long digits = (long) scaled;
                int left = places;
                while (left > 0 && digits % 10 == 0) {
                    digits /= 10;
                    left--;
                }
                set(digits, left);
                return true;
            }
        }
        return false;
    }

    /** As {@link #set(double)} for a value that was a float. */
    public void setFloat(float value) {
        if (value == (int) value) {
            set((int) value, 0);
        } else if (Float.isNaN(value) || Float.isInfinite(value)) {
            setSpecial(value);
        } else {
            set(new BigDecimal(Float.toString(value)));
        }
    }

    public BigDecimal bigDecimal() {
        return big != null ? big : BigDecimal.valueOf(unscaled, scale);
    }

    /** Reads {@code -12.340}, {@code 1e-7}, {@code NaN}, {@code Infinity}; false if it is no number. */
    public boolean parse(byte[] text, int from, int length) {
        int at = from;
        int end = from + length;
        while (at < end && text[at] == ' ') {
            at++;
        }
        while (end > at && text[end - 1] == ' ') {
            end--;
        }
        int first = at;
        boolean negative = false;
        if (at < end && (text[at] == '-' || text[at] == '+')) {
            negative = text[at++] == '-';
        }
        long value = 0;
        int digits = 0;
        int point = -1;
        for (; at < end; at++) {
            byte b = text[at];
            if (b >= '0' && b <= '9') {
                if (++digits > 18) {
                    return parseSlowly(text, first, end);
                }
                value = value * 10 + (b - '0');
            } else if (b == '.' && point < 0) {
                point = digits;
            } else {
                return parseSlowly(text, first, end);
            }
        }
        if (digits == 0) {
            return false;
        }
        set(negative ? -value : value, point < 0 ? 0 : digits - point);
        return true;
    }

    private boolean parseSlowly(byte[] text, int from, int end) {
        if (end - from > MAX_LITERAL) {
            return false;
        }
        char[] chars = new char[end - from];
        for (int i = 0; i < chars.length; i++) {
            chars[i] = (char) (text[from + i] & 0xFF);
        }
        String word = new String(chars).toLowerCase(java.util.Locale.ROOT);
        switch (word) {
            case "nan":
                setSpecial(Double.NaN);
                return true;
            case "infinity":
            case "+infinity":
            case "inf":
                setSpecial(Double.POSITIVE_INFINITY);
                return true;
            case "-infinity":
            case "-inf":
                setSpecial(Double.NEGATIVE_INFINITY);
                return true;
            default:
                break;
        }
        for (char c : chars) {
            // BigDecimal would take the digits of every script.
            if (!(c >= '0' && c <= '9' || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-')) {
                return false;
            }
        }
        try {
            set(new BigDecimal(chars));
            return true;
        } catch (NumberFormatException e) {
            return false;
        }
    }

    /**
     * Brings the value to a column of {@code precision} digits of which {@code places} stand behind the point;
     * precision 0 takes anything. Zeros behind the point may go, digits never do.
     *
     * @throws BadValue if the column cannot hold it exactly
     */
    public void fit(int precision, int places) throws BadValue {
        if (isSpecial || precision <= 0) {
            return;
        }
        if (big == null) {
            while (scale > places && scale > 0) {
                if (unscaled % 10 != 0) {
                    throw new BadValue(this + " has more than " + places + " decimal places");
                }
                unscaled /= 10;
                scale--;
            }
            int whole = precision - places;
            int digits = unscaled == 0 ? 0 : digits(unscaled) - scale;
            if (digits > whole) {
                throw tooLarge(precision, places);
            }
            return;
        }
        BigDecimal fitted = big;
        if (fitted.scale() > places) {
            fitted = big.stripTrailingZeros();
            if (fitted.scale() > places) {
                throw new BadValue(this + " has more than " + places + " decimal places");
            }
            fitted = fitted.setScale(places);
        }
        if (fitted.precision() - fitted.scale() > precision - places) {
            throw tooLarge(precision, places);
        }
        set(fitted);
    }

    private BadValue tooLarge(int precision, int places) {
        return new BadValue(this + " has more than " + (precision - places)
            + " digits before the point (the column is decimal("
            + precision + "," + places + "))");
    }

    static int digits(long value) {
        if (value == Long.MIN_VALUE) {
            return 19;
        }
        long left = Math.abs(value);
        int n = 1;
        while (n < 19 && left >= POWERS[n]) {
            n++;
        }
        return n;
    }

    /** Appends the value without an exponent, with its scale: {@code 1.50}. */
    public void print(Utf8 out) {
        if (isSpecial) {
            out.ascii(Double.isNaN(special) ? "NaN" : special > 0 ? "Infinity" : "-Infinity");
        } else if (big != null || scale < 0 || scale > 18 || unscaled == Long.MIN_VALUE) {
            out.ascii(bigDecimal().toPlainString());
        } else {
            long left = unscaled;
            if (left < 0) {
                out.put('-');
                left = -left;
            }
            if (scale == 0) {
                out.integer(left);
            } else {
                out.integer(left / POWERS[scale]);
                out.put('.');
                out.digits(left % POWERS[scale], scale);
            }
        }
    }

    @Override
    public String toString() {
        Utf8 out = new Utf8(40);
        print(out);
        String s = out.toString();
        return s.length() > 80 ? s.substring(0, 80) + "…" : s;
    }
}
