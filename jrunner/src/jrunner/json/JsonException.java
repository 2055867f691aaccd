package jrunner.json;

/** The text is not JSON; the message says where (offset from 0) and what was wrong. */
public final class JsonException extends Exception {
    private static final long serialVersionUID = 1L;

    JsonException(String message, int offset) {
        super(message + " at offset " + offset);
    }
}
