package jrunner.json;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A strict JSON parser (RFC 8259): objects as {@code LinkedHashMap}, arrays as {@code ArrayList}, whole numbers that fit as
 * {@code Long}, other numbers as {@code BigDecimal}. A key that comes twice in an object is an error.
 */
public final class JsonReader {
    /** Deeper nesting is an attack or a mistake, and would end in a stack overflow. */
    private static final int MAX_DEPTH = 200;

    private final String text;
    private int at;
    private int depth;

    private JsonReader(String text) {
        this.text = text;
    }

    /** @throws JsonException if {@code text} is not exactly one JSON value */
    public static Object parse(String text) throws JsonException {
        JsonReader reader = new JsonReader(text);
        reader.space();
        Object value = reader.value();
        reader.space();
        if (reader.at != text.length()) {
            throw reader.error("text after the value");
        }
        return value;
    }

    private JsonException error(String message) {
        return new JsonException(message, at);
    }

    private void space() {
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
                return;
            }
            at++;
        }
    }

    private char peek() throws JsonException {
        if (at >= text.length()) {
            throw error("unexpected end");
        }
        return text.charAt(at);
    }

    private Object value() throws JsonException {
        char c = peek();
        switch (c) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return literal("true", Boolean.TRUE);
            case 'f':
                return literal("false", Boolean.FALSE);
            case 'n':
                return literal("null", null);
            default:
                return number();
        }
    }

    private Object literal(String word, Object value) throws JsonException {
        if (!text.startsWith(word, at)) {
            throw error("unknown word");
        }
        at += word.length();
        return value;
    }

    private void enter() throws JsonException {
        at++;
        if (++depth > MAX_DEPTH) {
            throw error("nested too deep");
        }
    }

    private Map<String, Object> object() throws JsonException {
        enter();
        Map<String, Object> map = new LinkedHashMap<>();
        space();
        if (peek() == '}') {
            at++;
            depth--;
            return map;
        }
        while (true) {
            space();
            if (peek() != '"') {
                throw error("a key in double quotes was expected");
            }
            String key = string();
            space();
            if (peek() != ':') {
                throw error("':' was expected");
            }
            at++;
            space();
            Object value = value();
            if (map.containsKey(key)) {
                throw error("key \"" + key + "\" twice in one object");
            }
            map.put(key, value);
            if (endOf('}')) {
                return map;
            }
        }
    }

    private List<Object> array() throws JsonException {
        enter();
        List<Object> list = new ArrayList<>();
        space();
        if (peek() == ']') {
            at++;
            depth--;
            return list;
        }
        while (true) {
            space();
            list.add(value());
            if (endOf(']')) {
                return list;
            }
        }
    }

    /** After an item: true at the closing character, false after a comma. */
    private boolean endOf(char close) throws JsonException {
        space();
        char c = peek();
        if (c != ',' && c != close) {
            throw error("',' or '" + close + "' was expected");
        }
        at++;
        if (c == close) {
            depth--;
            return true;
        }
        return false;
    }

    private String string() throws JsonException {
        int start = ++at;
        // Most strings have no escapes: one scan, one substring.
        while (at < text.length()) {
            char c = text.charAt(at);
            if (c == '"') {
                return text.substring(start, at++);
            }
            if (c == '\\') {
                return escaped(start);
            }
            if (c < 0x20) {
                throw error("control character in a string");
            }
            at++;
        }
        throw error("unclosed string");
    }

    private String escaped(int start) throws JsonException {
        StringBuilder out = new StringBuilder(text.substring(start, at));
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return out.toString();
            }
            if (c < 0x20) {
                throw error("control character in a string");
            }
            if (c != '\\') {
                out.append(c);
                continue;
            }
            char e = peek();
            at++;
            switch (e) {
                case '"':
                case '\\':
                case '/':
                    out.append(e);
                    break;
                case 'b':
                    out.append('\b');
                    break;
                case 'f':
                    out.append('\f');
                    break;
                case 'n':
                    out.append('\n');
                    break;
                case 'r':
                    out.append('\r');
                    break;
                case 't':
                    out.append('\t');
                    break;
                case 'u':
                    out.append(hex4());
                    break;
                default:
                    throw error("unknown escape '\\" + e + "'");
            }
        }
        throw error("unclosed string");
    }

    private char hex4() throws JsonException {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            char c = peek();
            int digit = c < 128 ? Character.digit(c, 16) : -1;
            if (digit < 0) {
                throw error("four hexadecimal digits were expected");
            }
            value = value * 16 + digit;
            at++;
        }
        return (char) value;
    }

    private boolean digit() {
        return at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9';
    }

    private void digits() throws JsonException {
        if (!digit()) {
            throw error("a digit was expected");
        }
        while (digit()) {
            at++;
        }
    }

    private Object number() throws JsonException {
        int start = at;
        boolean whole = true;
        if (peek() == '-') {
            at++;
        }
        if (!digit()) {
            throw at == start ? error("a value was expected") : error("a digit was expected");
        }
        if (text.charAt(at) == '0') {
            at++;
            if (digit()) {
                throw error("a number must not begin with 0");
            }
        } else {
            digits();
        }
        if (at < text.length() && text.charAt(at) == '.') {
            whole = false;
            at++;
            digits();
        }
        if (at < text.length() && (text.charAt(at) == 'e' || text.charAt(at) == 'E')) {
            whole = false;
            at++;
            if (at < text.length() && (text.charAt(at) == '+' || text.charAt(at) == '-')) {
                at++;
            }
            digits();
        }
        String digits = text.substring(start, at);
        try {
            // 18 digits and a sign always fit; longer ones may.
            return whole && digits.length() < 20 ? (Object) Long.valueOf(digits) : new BigDecimal(digits);
        } catch (NumberFormatException e) {
            try {
                return new BigDecimal(digits);
            } catch (NumberFormatException tooBig) {
                throw error("number out of range");
            }
        }
    }
}
