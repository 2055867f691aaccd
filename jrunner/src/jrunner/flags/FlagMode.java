package jrunner.flags;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;
import jrunner.Redaction;
import jrunner.Version;
import jrunner.db.ConnectSpec;
import jrunner.db.Connector;
import jrunner.db.Database;
import jrunner.transfer.Transfer;
import jrunner.transfer.TransferRequest;
import jrunner.transfer.TransferResult;
import jrunner.types.TextValues;

/** One query or one migration, told by flags. {@link Flags#HELP} is its manual. */
public final class FlagMode {
    static final int DONE = 0;
    static final int FAILED = 1;
    static final int USAGE = 2;

    private static final int FETCH_ROWS = 1_000;
    private static final long PROGRESS_NANOS = 1_000_000_000L;

    /** How long an interrupted migration may take to roll back. */
    private static final long ROLLBACK_MS = 1_700;

    private final Flags flags;
    private final OutputStream out;
    private final PrintStream err;
    private final Cancel cancel = new Cancel();

    private FlagMode(Flags flags, OutputStream out, PrintStream err) {
        this.flags = flags;
        this.out = out;
        this.err = err;
    }

    /** Does what the arguments say and returns the exit status. */
    public static int run(String[] args, OutputStream out, PrintStream err) {
        Flags flags;
        try {
            flags = Flags.parse(args, System.getenv());
        } catch (UsageException e) {
            err.println("jrunner: " + e.getMessage());
            err.println("jrunner --help tells the flags.");
            return USAGE;
        }
        if (flags.help || flags.version) {
            PrintStream text = new PrintStream(out, true, StandardCharsets.UTF_8);
            text.println(flags.help ? Flags.HELP : "jrunner " + Version.TEXT);
            return DONE;
        }
        return new FlagMode(flags, out, err).run();
    }

    private int run() {
        Redaction.addSecret(flags.sourcePassword);
        Redaction.addSecret(flags.destPassword);
        CountDownLatch ended = new CountDownLatch(1);
        // Ctrl-C and SIGTERM: the statement is cancelled and rolled back before the JVM goes.
        Thread hook = new Thread(() -> {
            Thread canceller = new Thread(cancel::cancel, "cancel");
            canceller.setDaemon(true);
            canceller.start();
            try {
                ended.await(ROLLBACK_MS, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                // The JVM is going anyway.
            }
        }, "interrupted");
        Runtime.getRuntime().addShutdownHook(hook);
        try {
            if (flags.isMigration()) {
                migrate();
            } else {
                query();
            }
            return DONE;
        } catch (Failure e) {
            print(e);
            return FAILED;
        } catch (IOException e) {
            err.println("jrunner: the output cannot be written: " + e.getMessage());
            return FAILED;
        } finally {
            ended.countDown();
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException e) {
                // It is running.
            }
        }
    }

    private Database open(String name, String url, String user, String password) throws Failure {
        ConnectSpec spec = new ConnectSpec();
        spec.url = url;
        spec.user = user;
        spec.password = password;
        spec.connectTimeoutSeconds = flags.timeoutSeconds;
        spec.writes = !name.equals("source");
        spec.jars = DriverSearch.jars(url, flags.jars);
        return Connector.open(name, spec, cancel);
    }

    private void query() throws Failure, IOException {
        try (Database source = open("source", flags.sourceUrl, flags.sourceUser, flags.sourcePassword)) {
            Writer writer = new BufferedWriter(new OutputStreamWriter(out, StandardCharsets.UTF_8), 1 << 16);
            long rows;
            try {
                rows = write(source, writer);
            } catch (SQLException e) {
                cancel.throwIfCancelled();
                throw Failure.sql("query", e, flags.query);
            }
            writer.flush();
            err.println(rows + " rows");
        }
    }

    private long write(Database source, Writer writer) throws SQLException, Failure, IOException {
        RowFormat format = RowFormat.valueOf(flags.format.toUpperCase(Locale.ROOT));
        if (source.kind().isCursorInTransaction()) {
            source.connection().setAutoCommit(false);
        }
        long count = 0;
        try (Statement statement = source.statement();
                Cancel.Registration registered = cancel.register(statement)) {
            source.kind().setFetchSize(statement, FETCH_ROWS);
            if (!statement.execute(flags.query)) {
                // Nothing is committed: -sq is for reading.
                throw Failure.of("query", Failure.SQL, "the statement returns no rows").statement(flags.query);
            }
            try (ResultSet rows = statement.getResultSet()) {
                ResultSetMetaData about = rows.getMetaData();
                String[] row = new String[about.getColumnCount()];
                if (flags.header) {
                    for (int i = 0; i < row.length; i++) {
                        row[i] = about.getColumnLabel(i + 1);
                    }
                    format.row(writer, row);
                }
                TextValues values = new TextValues(source, about);
                while (rows.next()) {
                    cancel.throwIfCancelled();
                    for (int i = 0; i < row.length; i++) {
                        String value = values.text(rows, i + 1);
                        row[i] = flags.trim && value != null ? value.stripTrailing() : value;
                    }
                    format.row(writer, row);
                    count++;
                }
            }
        }
        return count;
    }

    private void migrate() throws Failure {
        TransferRequest request = new TransferRequest();
        request.sql = flags.query;
        request.table = flags.destTable;
        request.trim = flags.trim ? TransferRequest.Trim.ALL : TransferRequest.Trim.NONE;
        request.clear = flags.clear;
        try (Database source = open("source", flags.sourceUrl, flags.sourceUser, flags.sourcePassword);
                Database dest = open("destination", flags.destUrl, flags.destUser, flags.destPassword)) {
            request.path = flags.path != null ? flags.path : flags.bulk ? dest.kind().bulkPath() : TransferRequest.AUTO;
            TransferResult done = Transfer.run(request, source, dest, progress(), cancel);
            err.println(String.format(Locale.ROOT, "%s: %s, %.1f s", done.path, done.pathReason, done.elapsedMs / 1000.0));
            err.println(done.rowsWritten + " rows");
        }
    }

    private Progress progress() {
        long[] last = {System.nanoTime()};
        return (phase, rows, bytes) -> {
            long now = System.nanoTime();
            if (now - last[0] >= PROGRESS_NANOS) {
                last[0] = now;
                err.println(phase + ": " + rows + " rows");
            }
        };
    }

    private void print(Failure failure) {
        StringBuilder text = new StringBuilder("jrunner: ").append(failure.getMessage());
        if (failure.column() != null) {
            text.append(", column ").append(failure.column());
        }
        if (failure.row() != null) {
            text.append(", row ").append(failure.row());
        }
        if (failure.sqlState() != null) {
            text.append(" [SQLState ").append(failure.sqlState()).append(']');
        }
        for (String cause : failure.causes()) {
            if (text.indexOf(cause) < 0) {
                text.append("\n  ").append(cause);
            }
        }
        if (failure.statement() != null) {
            text.append("\n  in: ").append(failure.statement().strip());
        }
        err.println(Redaction.text(text.toString()));
        if ("commit".equals(failure.phase())) {
            err.println("jrunner: the commit failed: look at the destination, whether the rows arrived is unknown");
        }
    }
}
