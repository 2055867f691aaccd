package jrunner.session;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jrunner.Failure;
import jrunner.Redaction;
import jrunner.json.JsonWriter;

/** Writes events, whole lines at a time, from any thread. */
final class Output {
    private final OutputStream out;
    private volatile boolean broken;

    Output(OutputStream out) {
        this.out = out;
    }

    /** True once the reader of our output is gone. */
    boolean isBroken() {
        return broken;
    }

    void event(Object id, String event, Map<String, ?> fields) {
        Map<String, Object> line = new LinkedHashMap<>();
        // A line that answers no readable request has the id null; only "ready" has none at all.
        if (id != null || event.equals("error")) {
            line.put("id", id);
        }
        line.put("event", event);
        line.putAll(fields);
        byte[] bytes = (JsonWriter.write(line) + '\n').getBytes(StandardCharsets.UTF_8);
        synchronized (out) {
            try {
                out.write(bytes);
                out.flush();
            } catch (IOException e) {
                broken = true;
            }
        }
    }

    void error(Object id, Failure failure) {
        event(id, "error", Map.of("error", fields(failure)));
    }

    /** The protocol's form of a failure, secrets redacted. */
    static Map<String, Object> fields(Failure failure) {
        Map<String, Object> error = new LinkedHashMap<>();
        error.put("phase", failure.phase());
        error.put("code", failure.code());
        error.put("message", Redaction.text(failure.getMessage()));
        put(error, "statement", Redaction.text(failure.statement()));
        put(error, "statement_index", failure.statementIndex());
        put(error, "sqlstate", failure.sqlState());
        put(error, "vendor_code", failure.vendorCode());
        put(error, "column", failure.column());
        put(error, "row", failure.row());
        List<String> causes = new ArrayList<>();
        for (String cause : failure.causes()) {
            causes.add(Redaction.text(cause));
        }
        if (!causes.isEmpty()) {
            error.put("cause", causes);
        }
        return error;
    }

    private static void put(Map<String, Object> map, String name, Object value) {
        if (value != null) {
            map.put(name, value);
        }
    }
}
