package jrunner.types;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A growing byte buffer that numbers and text are printed into: the writers' output and their scratch space. */
public final class Utf8 {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.US_ASCII);

    public byte[] bytes;
    public int length;

    public Utf8(int capacity) {
        bytes = new byte[capacity];
    }

    public void clear() {
        length = 0;
    }

    /** Makes room for {@code more} bytes behind the present ones. */
    public void ensure(int more) {
        long size = (long) length + more;
        if (size <= bytes.length) {
            return;
        }
        if (size > Integer.MAX_VALUE - 16) {
            throw new IllegalStateException("one row passes 2 GiB");
        }
        bytes = Arrays.copyOf(bytes, (int) Math.min(Integer.MAX_VALUE - 16,
            Math.max(size, bytes.length + (bytes.length >> 1) + 64L)));
    }

    public void put(int b) {
        ensure(1);
        bytes[length++] = (byte) b;
    }

    public void put(byte[] from, int start, int count) {
        ensure(count);
        System.arraycopy(from, start, bytes, length, count);
        length += count;
    }

    public void int16(int value) {
        ensure(2);
        bytes[length++] = (byte) (value >> 8);
        bytes[length++] = (byte) value;
    }

    public void int32(int value) {
        ensure(4);
        int32At(length, value);
        length += 4;
    }

    /** Overwrites four bytes written before, for a length that is known only afterwards. */
    public void int32At(int at, int value) {
        bytes[at] = (byte) (value >> 24);
        bytes[at + 1] = (byte) (value >> 16);
        bytes[at + 2] = (byte) (value >> 8);
        bytes[at + 3] = (byte) value;
    }

    public void int64(long value) {
        int32((int) (value >> 32));
        int32((int) value);
    }

    /** Appends a string of ASCII characters. */
    public void ascii(String s) {
        int n = s.length();
        ensure(n);
        for (int i = 0; i < n; i++) {
            bytes[length++] = (byte) s.charAt(i);
        }
    }

    /** Appends {@code value} in decimal, with leading zeros up to {@code width} digits. Not for negative numbers. */
    public void digits(long value, int width) {
        ensure(width);
        long left = value;
        for (int i = length + width - 1; i >= length; i--) {
            bytes[i] = (byte) ('0' + left % 10);
            left /= 10;
        }
        length += width;
    }

    public void integer(long value) {
        if (value == Long.MIN_VALUE) {
            ascii("-9223372036854775808");
            return;
        }
        long left = value;
        if (left < 0) {
            put('-');
            left = -left;
        }
        int width = 1;
        for (long bound = 10; width < 19 && left >= bound; bound *= 10) {
            width++;
        }
        digits(left, width);
    }

    /** Appends two hexadecimal digits a byte. */
    public void hex(byte[] from, int start, int count) {
        if (count > (Integer.MAX_VALUE - 64) / 2) {
            throw new IllegalStateException("a binary value of " + count
                + " bytes is too long to be written as hexadecimal");
        }
        ensure(2 * count);
        for (int i = start; i < start + count; i++) {
            bytes[length++] = HEX[from[i] >> 4 & 15];
            bytes[length++] = HEX[from[i] & 15];
        }
    }

    /** Appends {@code high} and {@code low} as a UUID in its usual form. */
    public void uuid(long high, long low) {
        ensure(36);
        for (int i = 0; i < 32; i++) {
            if (i == 8 || i == 12 || i == 16 || i == 20) {
                bytes[length++] = '-';
            }
            long half = i < 16 ? high : low;
            bytes[length++] = HEX[(int) (half >> 60 - 4 * (i & 15)) & 15];
        }
    }

    @Override
    public String toString() {
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }
}
