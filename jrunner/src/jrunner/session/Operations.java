package jrunner.session;

import java.sql.DatabaseMetaData;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jrunner.Failure;
import jrunner.db.ConnectSpec;
import jrunner.db.Database;
import jrunner.db.Metadata;
import jrunner.db.Tls;
import jrunner.types.ColumnInfo;

/** The operations of the protocol: reads a request's fields, does the work, gives the result's fields. */
final class Operations {
    private static final String ALL = "open, query, execute, describe, migrate, metadata, cancel, close, quit";

    private final Connections connections;

    Operations(Connections connections) {
        this.connections = connections;
    }

    /** The names of the connections that a request uses. */
    static List<String> connectionsOf(String op, Request request) throws Failure {
        switch (op) {
            case "open":
            case "query":
            case "execute":
            case "describe":
            case "metadata":
                return List.of(request.text("connection"));
            case "migrate":
                String source = request.text("source");
                String dest = request.text("dest");
                if (source.equals(dest)) {
                    throw Request.failure("'source' and 'dest' must be two connections, even to one database");
                }
                return List.of(source, dest);
            default:
                throw Request.failure("unknown op '" + op + "'; there are " + ALL);
        }
    }

    Map<String, ?> run(Task task) throws Failure {
        Request request = task.request;
        switch (task.op) {
            case "open":
                return open(task, request);
            case "query":
                return query(task, request);
            case "execute":
                return execute(task, request);
            case "describe":
                return describe(task, request);
            case "migrate":
                return Migrate.run(task, connections);
            case "metadata":
                return metadata(task, request);
            case "close":
                return close(task, request);
            default:
                throw Request.failure("unknown op '" + task.op + "'; there are " + ALL);
        }
    }

    private Map<String, ?> open(Task task, Request request) throws Failure {
        String name = request.text("connection");
        ConnectSpec spec = new ConnectSpec();
        spec.kind = request.text("kind", "");
        spec.jars = request.texts("jars");
        spec.driverClass = request.text("class", "");
        spec.url = request.text("url");
        spec.user = request.text("user", null);
        spec.password = request.text("password", null);
        spec.properties = request.textMap("properties");
        spec.init = request.texts("init");
        spec.applicationName = request.text("application_name", spec.applicationName);
        spec.connectTimeoutSeconds = request.number("connect_timeout_s", spec.connectTimeoutSeconds, 1);
        spec.readOnly = request.bool("read_only", false);
        spec.writes = request.bool("writes", !spec.readOnly);
        spec.tls = tls(request);
        request.finish();
        Connections.Opened opened = connections.open(name, spec, task.cancel);
        Map<String, Object> result = new LinkedHashMap<>();
        try {
            DatabaseMetaData about = opened.database.connection().getMetaData();
            result.put("product", about.getDatabaseProductName());
            result.put("product_version", about.getDatabaseProductVersion());
            result.put("driver", about.getDriverName());
            result.put("driver_version", about.getDriverVersion());
        } catch (SQLException e) {
            throw Failure.sql("open", e, null);
        }
        result.put("reused", opened.reused);
        return result;
    }

    private static Tls tls(Request request) throws Failure {
        List<Tls.Variant> variants = new ArrayList<>();
        for (Request item : request.objects("tls")) {
            variants.add(new Tls.Variant(item.textMap("properties"), item.textMap("files"), item.bool("untold", false)));
            item.finish();
        }
        Tls tls = new Tls(
                variants, request.text("tls_ca", null), request.text("tls_cert", null), request.text("tls_key", null));
        return variants.isEmpty() ? null : tls;
    }

    private Map<String, ?> query(Task task, Request request) throws Failure {
        Database database = connections.get(request.text("connection"));
        String sql = request.text("sql");
        int maxRows = request.number("max_rows", 1, 0);
        boolean limit = request.bool("limit", true);
        request.finish();
        return Query.run(database, sql, maxRows, limit, task.cancel);
    }

    private Map<String, ?> execute(Task task, Request request) throws Failure {
        Database database = connections.get(request.text("connection"));
        List<Execute.Step> steps = Execute.Step.of(request, "statements");
        boolean transaction = request.bool("transaction", true);
        boolean confirm = request.bool("confirm", false);
        request.finish();
        if (confirm && !transaction) {
            throw Request.failure("'confirm' needs a transaction");
        }
        Execute.BeforeCommit beforeCommit =
                confirm ? counts -> task.awaitConfirm(Map.of("counts", list(counts))) : counts -> {};
        long[] counts = Execute.run(database, steps, transaction, beforeCommit, task, task.cancel);
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("counts", list(counts));
        result.put("elapsed_ms", task.elapsedMs());
        return result;
    }

    static List<Object> list(long[]... groups) {
        List<Object> list = new ArrayList<>();
        for (long[] counts : groups) {
            for (long count : counts) {
                list.add(count);
            }
        }
        return list;
    }

    private Map<String, ?> describe(Task task, Request request) throws Failure {
        Database database = connections.get(request.text("connection"));
        String sql = request.text("sql", null);
        String table = request.text("table", null);
        request.finish();
        if ((sql == null) == (table == null)) {
            throw Request.failure("describe takes either 'sql' or 'table'");
        }
        List<Object> columns = new ArrayList<>();
        for (ColumnInfo column : ColumnInfo.describe(database, sql == null ? table : sql, sql == null, task.cancel)) {
            columns.add(column.toMap());
        }
        return Map.of("columns", columns);
    }

    private Map<String, ?> metadata(Task task, Request request) throws Failure {
        Database database = connections.get(request.text("connection"));
        String what = request.text("what");
        String catalog = request.text("catalog", null);
        String schema = request.text("schema", null);
        String table = request.text("table", null);
        request.finish();
        return Map.of("items", new Metadata(database, task.cancel).items(what, catalog, schema, table));
    }

    private Map<String, ?> close(Task task, Request request) throws Failure {
        request.text("connection", null);
        request.finish();
        List<String> closed = new ArrayList<>();
        for (String name : task.connections) {
            if (connections.close(name)) {
                closed.add(name);
            }
        }
        return Map.of("closed", closed);
    }
}
