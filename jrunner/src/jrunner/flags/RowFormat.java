package jrunner.flags;

import java.io.IOException;
import java.io.Writer;

/** Rows as text for other programs: NULL and the empty text stay apart in both formats. */
enum RowFormat {
    /** RFC 4180: comma, CRLF, quotes doubled inside quotes. NULL is nothing between the commas, '' is "". */
    CSV(',', "\r\n") {
        @Override
        void value(Writer out, String value) throws IOException {
            if (value == null) {
                return;
            }
            if (!value.isEmpty() && !needsQuotes(value)) {
                out.write(value);
                return;
            }
            out.write('"');
            int start = 0;
            for (int i = value.indexOf('"'); i >= 0; i = value.indexOf('"', i + 1)) {
                out.write(value, start, i + 1 - start);
                start = i;
            }
            out.write(value, start, value.length() - start);
            out.write('"');
        }

        private boolean needsQuotes(String value) {
            for (int i = 0; i < value.length(); i++) {
                char c = value.charAt(i);
                if (c == '"' || c == ',' || c == '\r' || c == '\n') {
                    return true;
                }
            }
            // Blanks at the edges are part of the value (RFC 4180, 2.4); quotes keep careless readers from taking them off.
            return value.charAt(0) == ' ' || value.charAt(value.length() - 1) == ' ';
        }
    },

    /** Tab-separated, with backslash escapes as PostgreSQL's COPY and MySQL's LOAD DATA read them. NULL is \N. */
    TSV('\t', "\n") {
        @Override
        void value(Writer out, String value) throws IOException {
            if (value == null) {
                out.write("\\N");
                return;
            }
            for (int i = 0; i < value.length(); i++) {
                char c = value.charAt(i);
                switch (c) {
                    case '\t':
                        out.write("\\t");
                        break;
                    case '\n':
                        out.write("\\n");
                        break;
                    case '\r':
                        out.write("\\r");
                        break;
                    case '\\':
                        out.write("\\\\");
                        break;
                    default:
                        out.write(c);
                }
            }
        }
    };

    private final char separator;
    private final String lineEnd;

    RowFormat(char separator, String lineEnd) {
        this.separator = separator;
        this.lineEnd = lineEnd;
    }

    /** Writes one value; null is NULL. */
    abstract void value(Writer out, String value) throws IOException;

    void row(Writer out, String[] values) throws IOException {
        for (int i = 0; i < values.length; i++) {
            if (i > 0) {
                out.write(separator);
            }
            value(out, values[i]);
        }
        out.write(lineEnd);
    }
}
