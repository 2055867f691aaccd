package jrunner.types;

/**
 * A single value that cannot become what the destination column holds. The message says why, without column and row:
 * whoever knows the place turns it into a {@link jrunner.Failure} of code {@code value}.
 */
public final class BadValue extends Exception {
    private static final long serialVersionUID = 1L;

    /** Values are cut to this many characters in messages: enough to find the cell, never a megabyte of text. */
    private static final int SHOWN = 60;

    public BadValue(String message) {
        super(message, null, false, false);
    }

    /** {@code value} as it may stand in a message: quoted, cut, on one line. */
    public static String show(String value) {
        String line = value.length() > SHOWN ? value.substring(0, SHOWN) + "…" : value;
        StringBuilder out = new StringBuilder(line.length() + 2).append('\'');
        for (int i = 0; i < line.length(); i++) {
            char c = line.charAt(i);
            out.append(c < ' ' ? String.format("\\x%02x", (int) c) : c);
        }
        return out.append('\'').toString();
    }
}
