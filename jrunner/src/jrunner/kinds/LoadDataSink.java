package jrunner.kinds;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.transfer.Block;
import jrunner.transfer.RowSink;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.Family;
import jrunner.types.Utf8;

/**
 * Writes into MariaDB and MySQL through LOAD DATA LOCAL INFILE, fed from memory.
 *
 * <p>With LOCAL the server cannot refuse a row: it changes or skips it and counts a warning. So every value is checked
 * here first, and any warning at the end fails the load.
 */
final class LoadDataSink implements RowSink {
    private static final int CHUNK = 1 << 16;
    private static final int CHUNKS = 8;
    /** Chunks on their way hold at most this much together, but for one that a huge value has made larger by itself. */
    private static final long IN_FLIGHT = 8L << 20;
    private static final int POLL_MS = 50;
    private static final int JOIN_MS = 10_000;
    /** Refusals of LOCAL by server or driver: the batch path still works then. */
    private static final List<Integer> REFUSED = List.of(1148, 3948, 3950, 4166);
    private static final Pattern PLACE = Pattern.compile("column (?:`[^`]*`\\.)*['`]([^'`]+)['`] at row (\\d+)");
    /** Warnings about a value: out of range, truncated, not convertible, too long. */
    private static final List<Integer> VALUE_WARNINGS = List.of(1264, 1265, 1292, 1366, 1406, 1411, 1263, 1048);

    /** Behind the last chunk. */
    private static final Utf8 END = new Utf8(0);

    private final Database db;
    private final List<Target> targets;
    private final String sql;
    private final Statement statement;
    private final Cells scratch = new Cells(1);
    private final ArrayBlockingQueue<Utf8> empty = new ArrayBlockingQueue<>(CHUNKS);
    private final ArrayBlockingQueue<Utf8> full = new ArrayBlockingQueue<>(CHUNKS + 1);
    private final Thread loader;
    private final AtomicLong inFlight = new AtomicLong();
    private volatile boolean aborted;
    private volatile boolean ended;
    private volatile Throwable failed;
    private long updated;
    private Utf8 out;
    private long bytes;

    /** @throws Failure for errors other than that LOCAL is refused; then the caller gets null from {@link #open} */
    private LoadDataSink(Database db, List<Target> targets, String sql, Statement statement) {
        this.db = db;
        this.targets = targets;
        this.sql = sql;
        this.statement = statement;
        for (int i = 0; i < CHUNKS; i++) {
            empty.add(new Utf8(CHUNK + CHUNK / 4));
        }
        loader = new Thread(this::load, "load");
        loader.setDaemon(true);
    }

    /** A sink, or null if driver or server forbid LOAD DATA LOCAL. */
    static LoadDataSink open(Database db, List<Target> targets, String table) throws Failure {
        String sql = sql(db, targets, table);
        Statement statement = null;
        try {
            statement = db.connection().createStatement();
            // An empty load tells whether a full one is allowed, before any row has been read.
            feed(statement, new ByteArrayInputStream(new byte[0]));
            allowStream(db, true);
            statement.execute(sql);
            LoadDataSink sink = new LoadDataSink(db, targets, sql, statement);
            feed(statement, sink.new Feed());
            sink.loader.start();
            return sink;
        } catch (ReflectiveOperationException e) {
            Database.closeQuietly(statement);
            return null;
        } catch (SQLException e) {
            Database.closeQuietly(statement);
            forbid(db);
            String message = String.valueOf(e.getMessage()).toLowerCase(Locale.ROOT);
            if (REFUSED.contains(e.getErrorCode()) || message.contains("local infile")
                || message.contains("localinfile")
                    || message.contains("local data")) {
                return null;
            }
            throw Failure.sql("write", e, sql);
        }
    }

    /** MySQL's driver sends a stream only while it may send any file; it never may but while a stream is set. */
    private static void allowStream(Database db, boolean allowed) throws ReflectiveOperationException {
        if (db.connection().getClass().getName().startsWith("com.mysql")) {
            Object properties = db.connection().getClass().getMethod("getPropertySet").invoke(db.connection());
            Object property = properties.getClass().getMethod("getBooleanProperty", String.class)
                .invoke(properties, "allowLoadLocalInfile");
            Class<?> type = Class.forName("com.mysql.cj.conf.RuntimeProperty", true, db.driverLoader());
            type.getMethod("setValue", Object.class).invoke(property, allowed);
        }
    }

    private static void forbid(Database db) {
        try {
            allowStream(db, false);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("the driver's property allowLoadLocalInfile, which was set, cannot be reset", e);
        }
    }

    /** Both drivers have this method, in classes without a common type. */
    private static void feed(Statement statement, InputStream data) throws ReflectiveOperationException, SQLException {
        Method method = statement.getClass().getMethod("setLocalInfileInputStream", InputStream.class);
        try {
            method.invoke(statement, data);
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof SQLException) {
                throw (SQLException) e.getCause();
            }
            throw e;
        }
    }

    private static String sql(Database db, List<Target> targets, String table) {
        List<String> columns = new ArrayList<>();
        List<String> set = new ArrayList<>();
        for (int i = 0; i < targets.size(); i++) {
            String quoted = db.quote(targets.get(i).name());
            if (targets.get(i).family == Family.BINARY) {
                // The file is UTF-8 throughout, so bytes travel as hexadecimal.
                set.add(quoted + " = UNHEX(@c" + i + ")");
                columns.add("@c" + i);
            } else if (isBit(targets.get(i))) {
                set.add(quoted + " = CAST(@c" + i + " AS UNSIGNED)");
                columns.add("@c" + i);
            } else {
                columns.add(quoted);
            }
        }
        // Hexadecimal literals mean the same in every sql_mode.
        return "LOAD DATA LOCAL INFILE 'jrunner' INTO TABLE " + table + " CHARACTER SET utf8mb4"
            + " FIELDS TERMINATED BY X'09' ESCAPED BY X'5C' LINES TERMINATED BY X'0A' (" + String.join(", ", columns)
                + ")"
            + (set.isEmpty() ? "" : " SET " + String.join(", ", set));
    }

    private static boolean isBit(Target target) {
        return target.info.typeName().toLowerCase(Locale.ROOT).startsWith("bit");
    }

    private void load() {
        try {
            statement.execute(sql);
            updated = Math.max(0, statement.getUpdateCount());
        } catch (SQLException | RuntimeException | Error e) {
            failed = e;
        } finally {
            forbid(db);
            ended = true;
        }
    }

    /** What the driver reads: the chunks in their order. */
    private final class Feed extends InputStream {
        private Utf8 chunk;
        private int at;

        @Override
        public int read() {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
        }

        @Override
        public int read(byte[] to, int from, int most) {
            while (chunk == null || at == chunk.length) {
                if (chunk != null) {
                    inFlight.addAndGet(-chunk.bytes.length);
                    empty.add(chunk.bytes.length > 16 * CHUNK ? new Utf8(CHUNK + CHUNK / 4) : chunk);
                    chunk = null;
                }
                if (aborted) {
                    return -1;
                }
                try {
                    chunk = full.poll(POLL_MS, TimeUnit.MILLISECONDS);
                } catch (InterruptedException e) {
                    return -1;
                }
                at = 0;
                if (chunk == END) {
                    full.add(END);
                    chunk = null;
                    return -1;
                }
            }
            int count = Math.min(most, chunk.length - at);
            System.arraycopy(chunk.bytes, at, to, from, count);
            at += count;
            return count;
        }
    }

    @Override
    public void write(Block block) throws Failure {
        for (int row = 0; row < block.rows; row++) {
            if (out == null) {
                out = emptyChunk();
            }
            int column = 0;
            try {
                for (; column < targets.size(); column++) {
                    if (column > 0) {
                        out.put('\t');
                    }
                    field(targets.get(column), block.columns[column], row);
                }
            } catch (BadValue e) {
                throw Failure.value("convert", targets.get(column).name(), block.firstRow + row, e.getMessage());
            }
            out.put('\n');
            if (out.length >= CHUNK) {
                hand();
            }
        }
    }

    private void field(Target target, Cells cells, int row) throws BadValue {
        if (cells.tag[row] == Cells.NULL) {
            out.ascii("\\N");
        } else if (target.family == Family.BINARY) {
            target.binary(cells, row);
            out.hex(target.convert.bytes, target.convert.from, target.convert.length);
        } else if (target.family == Family.BOOLEAN) {
            out.put(target.bool(cells, row) ? '1' : '0');
        } else if (MySqlBase.isYear(target.info)) {
            // The text 0 would be the year 2000.
            long year = MySqlBase.year(target, cells, row);
            if (year == 0) {
                out.ascii("0000");
            } else {
                out.integer(year);
            }
        } else if (target.family.isInteger()) {
            out.integer(target.integer(cells, row));
        } else {
            target.anyText(cells, row, scratch);
            escape(target.convert.bytes, target.convert.from, target.convert.length, out);
        }
    }

    private static void escape(byte[] from, int start, int count, Utf8 out) {
        out.ensure(2 * count);
        byte[] to = out.bytes;
        int at = out.length;
        for (int i = start; i < start + count; i++) {
            byte b = from[i];
            if (b == '\\' || b == '\t' || b == '\n' || b == 0) {
                to[at++] = '\\';
                to[at++] = (byte) (b == '\\' ? '\\' : b == '\t' ? 't' : b == '\n' ? 'n' : '0');
            } else {
                to[at++] = b;
            }
        }
        out.length = at;
    }

    private Utf8 emptyChunk() throws Failure {
        try {
            while (!ended) {
                if (inFlight.get() > IN_FLIGHT) {
                    Thread.sleep(1);
                    continue;
                }
                Utf8 chunk = empty.poll(POLL_MS, TimeUnit.MILLISECONDS);
                if (chunk != null) {
                    chunk.clear();
                    return chunk;
                }
            }
        } catch (InterruptedException e) {
            throw Failure.cancelled("write");
        }
        throw failure();
    }

    private Failure failure() {
        Throwable why = failed != null ? failed
            : new SQLException("the server ended LOAD DATA before all rows were sent");
        return Failure.from("write", why, sql);
    }

    private void hand() {
        bytes += out.length;
        inFlight.addAndGet(out.bytes.length);
        full.add(out);
        out = null;
    }

    @Override
    public long finish() throws Failure {
        if (out != null) {
            hand();
        }
        full.add(END);
        try {
            loader.join();
        } catch (InterruptedException e) {
            throw Failure.cancelled("write");
        }
        if (failed != null) {
            throw failure();
        }
        Database.closeQuietly(statement);
        refuseWarnings();
        return updated;
    }

    private void refuseWarnings() throws Failure {
        try (Statement ask = db.connection().createStatement();
                ResultSet warnings = ask.executeQuery("SHOW WARNINGS LIMIT 1")) {
            if (!warnings.next()) {
                return;
            }
            int code = warnings.getInt(2);
            String message = warnings.getString(3);
            Matcher place = PLACE.matcher(message);
            boolean found = place.find();
            boolean violation = code == 1062 || code == 1452 || code == 4025;
            Failure failure = VALUE_WARNINGS.contains(code)
                ? Failure.of("write", Failure.VALUE, message + " (warning " + code + ")"
                    + (found ? advice(place.group(1)) : "")).statement(sql)
                : Failure.sql("write", new SQLException(message, violation ? "23000" : "HY000", code), sql);
            if (found) {
                failure.column(place.group(1)).row(Long.parseLong(place.group(2)));
            }
            throw failure;
        } catch (SQLException e) {
            throw Failure.sql("write", e, "SHOW WARNINGS");
        }
    }

    private String advice(String column) {
        boolean isTimestamp = targets.stream().anyMatch(target -> target.name().equalsIgnoreCase(column)
            && target.info.typeName().toLowerCase(Locale.ROOT).startsWith("timestamp"));
        return isTimestamp ? "; a TIMESTAMP begins in 1970 and ends in 2038 (later in newer servers): dest_type datetime(6) holds"
            + " every instant, in UTC" : "";
    }

    @Override
    public void interrupt() {
        aborted = true;
        try {
            statement.cancel();
        } catch (SQLException | RuntimeException e) {
            // The loader ends at the end of its input.
        }
    }

    @Override
    public void abort() {
        aborted = true;
        try {
            loader.join(JOIN_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Database.closeQuietly(statement);
    }

    @Override
    public long bytes() {
        return bytes;
    }
}
