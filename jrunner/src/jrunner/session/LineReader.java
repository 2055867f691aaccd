package jrunner.session;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** Reads lines of strict UTF-8, whatever the locale says, and survives lines that are neither. */
final class LineReader {
    /** Longer lines are skipped with an error: no request needs them, and they would fill the heap. */
    static final int MAX_LINE_BYTES = 32 << 20;

    /** A line that cannot be used; reading goes on after it. */
    static final class BadLine extends Exception {
        private static final long serialVersionUID = 1L;

        BadLine(String message) {
            super(message);
        }
    }

    private final InputStream in;
    private final byte[] buffer = new byte[1 << 16];
    private int position;
    private int limit;

    LineReader(InputStream in) {
        this.in = in;
    }

    /** The next line without its end, or null at the end of the input. */
    String next() throws IOException, BadLine {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        boolean tooLong = false;
        while (true) {
            if (position == limit) {
                limit = in.read(buffer);
                position = 0;
                if (limit <= 0) {
                    limit = 0;
                    return line.size() == 0 ? null : decode(line, tooLong);
                }
            }
            int start = position;
            while (position < limit && buffer[position] != '\n') {
                position++;
            }
            if (line.size() + (position - start) > MAX_LINE_BYTES) {
                tooLong = true;
                line.reset();
            }
            if (!tooLong) {
                line.write(buffer, start, position - start);
            }
            if (position < limit) {
                position++;
                return decode(line, tooLong);
            }
        }
    }

    private static String decode(ByteArrayOutputStream line, boolean tooLong) throws BadLine {
        if (tooLong) {
            throw new BadLine("line longer than " + MAX_LINE_BYTES + " bytes");
        }
        try {
            return StandardCharsets.UTF_8
                    .newDecoder()
                    .onMalformedInput(CodingErrorAction.REPORT)
                    .onUnmappableCharacter(CodingErrorAction.REPORT)
                    .decode(ByteBuffer.wrap(line.toByteArray()))
                    .toString();
        } catch (CharacterCodingException e) {
            throw new BadLine("line is not UTF-8");
        }
    }
}
