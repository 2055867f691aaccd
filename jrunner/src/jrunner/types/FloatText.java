package jrunner.types;

import java.math.BigDecimal;

/** Floating-point numbers as text, as short as it can be and still be read back as the same number. */
final class FloatText {
    private FloatText() {
    }

    /**
     * The shortest text of a double that reads back as the same: {@code 100}, {@code 0.1}, {@code 1e+20}, {@code NaN}.
     */
    static String of(double value) {
        if (Double.isNaN(value) || Double.isInfinite(value)) {
            return Double.toString(value);
        }
        return shorten(Double.toString(value));
    }

    /** As {@link #of(double)} with the digits of a float. */
    static String of(float value) {
        if (Float.isNaN(value) || Float.isInfinite(value)) {
            return Float.toString(value);
        }
        return shorten(Float.toString(value));
    }

    private static String shorten(String java) {
        int e = java.indexOf('E');
        if (e < 0) {
            return java.endsWith(".0") ? java.substring(0, java.length() - 2) : java;
        }
        int exponent = Integer.parseInt(java.substring(e + 1));
        if (exponent >= -5 && exponent < 15) {
            BigDecimal plain = new BigDecimal(java);
            String text = plain.toPlainString();
            return text.contains(".") ? plain.stripTrailingZeros().toPlainString() : text;
        }
        String digits = java.substring(0, e);
        if (digits.endsWith(".0")) {
            digits = digits.substring(0, digits.length() - 2);
        }
        String power = Integer.toString(Math.abs(exponent));
        return digits + (exponent < 0 ? "e-" : "e+") + (power.length() < 2 ? "0" + power : power);
    }
}
