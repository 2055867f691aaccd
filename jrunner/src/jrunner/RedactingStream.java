package jrunner;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/**
 * Text output for people, a line at a time, without secrets: whatever a driver or a stack trace prints goes through it.
 */
final class RedactingStream extends OutputStream {
    /** A line that grows beyond this is passed on in pieces. */
    private static final int MAX_LINE = 1 << 16;

    private final OutputStream out;
    private final ByteArrayOutputStream line = new ByteArrayOutputStream();

    private RedactingStream(OutputStream out) {
        this.out = out;
    }

    /** A print stream in UTF-8 over {@code out}. */
    static PrintStream over(OutputStream out) {
        return new PrintStream(new RedactingStream(out), true, StandardCharsets.UTF_8);
    }

    @Override
    public synchronized void write(int b) throws IOException {
        line.write(b);
        if (b == '\n' || line.size() >= MAX_LINE) {
            pass();
        }
    }

    @Override
    public synchronized void write(byte[] bytes, int offset, int length) throws IOException {
        for (int i = 0; i < length; i++) {
            write(bytes[offset + i]);
        }
    }

    private void pass() throws IOException {
        String text = new String(line.toByteArray(), StandardCharsets.UTF_8);
        line.reset();
        out.write(Redaction.text(text).getBytes(StandardCharsets.UTF_8));
        out.flush();
    }

    @Override
    public synchronized void close() throws IOException {
        if (line.size() > 0) {
            pass();
        }
        out.close();
    }
}
