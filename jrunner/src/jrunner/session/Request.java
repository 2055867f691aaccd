package jrunner.session;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import jrunner.Failure;

/**
 * One request's fields, read with their types. A field that nobody asked for is an error ({@link #finish}): a misspelt
 * {@code max_row} must not silently mean the default.
 */
final class Request {
    private final Map<String, Object> fields;
    private final Set<String> known = new HashSet<>();
    private final String where;

    private Request(Map<String, Object> fields, String where) {
        this.fields = fields;
        this.where = where;
    }

    static Request of(Map<String, Object> fields) {
        Request request = new Request(fields, "");
        request.known.add("id");
        request.known.add("op");
        return request;
    }

    static Failure failure(String message) {
        return Failure.of("protocol", Failure.PROTOCOL, message);
    }

    boolean has(String name) {
        known.add(name);
        return fields.get(name) != null;
    }

    private Object get(String name) {
        known.add(name);
        return fields.get(name);
    }

    private Failure wrong(String name, String expected) {
        return failure("field '" + where + name + "' must be " + expected);
    }

    /** A text field that must be there. */
    String text(String name) throws Failure {
        String value = text(name, null);
        if (value == null) {
            throw failure("field '" + where + name + "' is missing");
        }
        return value;
    }

    String text(String name, String otherwise) throws Failure {
        Object value = get(name);
        if (value == null) {
            return otherwise;
        }
        if (!(value instanceof String)) {
            throw wrong(name, "a text");
        }
        return (String) value;
    }

    boolean bool(String name, boolean otherwise) throws Failure {
        Object value = get(name);
        if (value == null) {
            return otherwise;
        }
        if (!(value instanceof Boolean)) {
            throw wrong(name, "true or false");
        }
        return (Boolean) value;
    }

    /** A whole number of at least {@code min}. */
    int number(String name, int otherwise, int min) throws Failure {
        Object value = get(name);
        if (value == null) {
            return otherwise;
        }
        if (!(value instanceof Long) || (Long) value < min || (Long) value > Integer.MAX_VALUE) {
            throw wrong(name, "a whole number of at least " + min);
        }
        return ((Long) value).intValue();
    }

    /** A row count, or null where the field is absent. */
    Long count(String name) throws Failure {
        Object value = get(name);
        if (value == null) {
            return null;
        }
        if (!(value instanceof Long) || (Long) value < 0) {
            throw wrong(name, "a whole number of at least 0");
        }
        return (Long) value;
    }

    /** A number or a text, the form of ids. */
    Object id(String name) throws Failure {
        Object value = get(name);
        if (!(value instanceof Long) && !(value instanceof String)) {
            throw wrong(name, "a whole number or a text");
        }
        return value;
    }

    List<String> texts(String name) throws Failure {
        Object value = get(name);
        List<String> result = new ArrayList<>();
        if (value == null) {
            return result;
        }
        if (!(value instanceof List)) {
            throw wrong(name, "a list of texts");
        }
        for (Object item : (List<?>) value) {
            if (!(item instanceof String)) {
                throw wrong(name, "a list of texts");
            }
            result.add((String) item);
        }
        return result;
    }

    /** An object whose values are texts; numbers and booleans are taken as their text. */
    Map<String, String> textMap(String name) throws Failure {
        Object value = get(name);
        Map<String, String> result = new LinkedHashMap<>();
        if (value == null) {
            return result;
        }
        if (!(value instanceof Map)) {
            throw wrong(name, "an object");
        }
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
            Object item = entry.getValue();
            if (!(item instanceof String || item instanceof Number || item instanceof Boolean)) {
                throw wrong(name + "." + entry.getKey(), "a text");
            }
            result.put((String) entry.getKey(), item.toString());
        }
        return result;
    }

    /** A list of objects, each to be read and {@link #finish}ed like a request. */
    List<Request> objects(String name) throws Failure {
        Object value = get(name);
        List<Request> result = new ArrayList<>();
        if (value == null) {
            return result;
        }
        if (!(value instanceof List)) {
            throw wrong(name, "a list of objects");
        }
        int index = 0;
        for (Object item : (List<?>) value) {
            if (!(item instanceof Map)) {
                throw wrong(name, "a list of objects");
            }
            Map<String, Object> object = new LinkedHashMap<>();
            ((Map<?, ?>) item).forEach((k, v) -> object.put((String) k, v));
            result.add(new Request(object, where + name + "[" + index++ + "]."));
        }
        return result;
    }

    /** An object, to be read and {@link #finish}ed like a request; null where the field is absent. */
    Request object(String name) throws Failure {
        Object value = get(name);
        if (value == null) {
            return null;
        }
        if (!(value instanceof Map)) {
            throw wrong(name, "an object");
        }
        Map<String, Object> object = new LinkedHashMap<>();
        ((Map<?, ?>) value).forEach((k, v) -> object.put((String) k, v));
        return new Request(object, where + name + ".");
    }

    /** A list of texts and of numbers below {@code values}. */
    List<?> pieces(String name, int values) throws Failure {
        Object value = get(name);
        if (!(value instanceof List)) {
            throw wrong(name, "a list of texts and numbers");
        }
        for (Object item : (List<?>) value) {
            boolean known = item instanceof Long && (Long) item >= 0 && (Long) item < values;
            if (!(item instanceof String) && !known) {
                throw wrong(name, "a list of texts and of numbers below " + values);
            }
        }
        return (List<?>) value;
    }

    /** @throws Failure of code {@code protocol} if there is a field that was not asked for */
    void finish() throws Failure {
        for (String name : fields.keySet()) {
            if (!known.contains(name)) {
                throw failure("unknown field '" + where + name + "'");
            }
        }
    }
}
