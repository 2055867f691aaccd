package jrunner.kinds;

import java.sql.SQLException;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;
import jrunner.transfer.DirectCopy;
import jrunner.transfer.TransferResult;
import jrunner.types.ColumnInfo;

/**
 * PostgreSQL to PostgreSQL without decoding: the source's binary COPY stream is fed to the destination as it is.
 * Possible where both sides' columns have the same type, or the destination's holds all that the source's does.
 */
final class PgRawCopy implements DirectCopy {
    private static final int CHUNK = 1 << 16;
    private static final int BUFFERS = 8;
    /** Chunks on their way hold at most this much together, but for one that a huge row has made larger by itself. */
    private static final long IN_FLIGHT = 8L << 20;
    private static final int POLL_MS = 50;
    private static final int JOIN_MS = 10_000;

    /** Types whose binary form is the same on every server. Others may hold object ids of their own database. */
    private static final Set<String> PORTABLE = Set.of("bool", "int2", "int4", "int8", "float4", "float8", "numeric",
        "text", "varchar", "bpchar", "bytea", "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid",
        "json", "jsonb", "xml", "inet", "cidr", "macaddr", "macaddr8", "bit", "varbit", "point", "box", "circle",
        "line", "lseg", "path", "polygon", "money", "oid", "name", "_bool", "_int2", "_int4", "_int8", "_float4",
        "_float8", "_text", "_bytea", "_date", "_uuid", "_json", "_jsonb");
    /** All carry plain text. */
    private static final Set<String> TEXT = Set.of("text", "varchar");
    private static final Set<String> FRACTIONS = Set.of("time", "timetz", "timestamp", "timestamptz");
    private static final Set<String> SIZED = Set.of("bit", "varbit", "interval");

    private final PgDriver source;
    private final PgDriver dest;

    PgRawCopy(PgDriver source, PgDriver dest) {
        this.source = source;
        this.dest = dest;
    }

    @Override
    public String reason() {
        return "PostgreSQL on both sides, with matching column types";
    }

    @Override
    public String obstacle(String sql) {
        return PgCopySource.isSelect(sql) ? null : "copy-raw takes queries that begin with SELECT, WITH, VALUES or TABLE";
    }

    @Override
    public void run(String sql, List<String> names, String table, String columns, TransferResult result,
            Progress progress, Cancel cancel) throws Failure {
        String write = "COPY " + table + " (" + columns + ") FROM STDIN (FORMAT binary)";
        Stream stream = new Stream(source, dest, PgCopySource.copySql(sql, names), write);
        stream.run(progress, cancel);
        result.rowsRead = stream.rowsRead;
        result.rowsWritten = stream.rowsWritten;
        result.bytes = stream.bytes;
        result.readMs = stream.readNanos / 1_000_000;
        result.writeMs = stream.writeNanos / 1_000_000;
    }

    @Override
    public String obstacle(List<ColumnInfo> source, int[] indexes, List<ColumnInfo> dest) {
        for (int i = 0; i < indexes.length; i++) {
            ColumnInfo from = source.get(indexes[i]);
            ColumnInfo to = dest.get(i);
            if (!fits(from, to)) {
                return "column " + to.name() + " is " + shown(from) + " in the source and " + shown(to)
                    + " in the destination";
            }
        }
        return null;
    }

    private static String shown(ColumnInfo column) {
        String size = column.precision() == 0 ? "" : "(" + column.precision()
            + (column.scale() == 0 ? "" : "," + column.scale()) + ")";
        return column.typeName() + size;
    }

    private static boolean fits(ColumnInfo from, ColumnInfo to) {
        String type = from.typeName();
        if (!PORTABLE.contains(type)) {
            return false;
        }
        if (!type.equals(to.typeName())) {
            // 0 is no limit; a limit must be the source's at least.
            return TEXT.contains(type) && TEXT.contains(to.typeName()) && holds(to.precision(), from.precision());
        }
        if (type.equals("numeric")) {
            return to.precision() == 0 || from.precision() > 0 && to.scale() >= from.scale()
                && to.precision() - to.scale() >= from.precision() - from.scale();
        }
        if (type.equals("varchar")) {
            return holds(to.precision(), from.precision());
        }
        if (type.equals("bpchar")) {
            // A shorter value would arrive padded to another length.
            return to.precision() == from.precision();
        }
        if (FRACTIONS.contains(type)) {
            return to.precision() >= from.precision();
        }
        // Sizes of these are not described well enough to compare them.
        return !SIZED.contains(type);
    }

    private static boolean holds(int to, int from) {
        return to == 0 || from > 0 && to >= from;
    }

    private static final class Chunk {
        byte[] bytes = new byte[CHUNK + CHUNK / 4];
        int length;

        void append(byte[] more) {
            if (length + more.length > bytes.length) {
                bytes = java.util.Arrays.copyOf(bytes, Math.max(length + more.length, bytes.length));
            }
            System.arraycopy(more, 0, bytes, length, more.length);
            length += more.length;
        }

        void clear() {
            length = 0;
            if (bytes.length > 16 * CHUNK) {
                bytes = new byte[CHUNK + CHUNK / 4];
            }
        }
    }

    /** Behind the last chunk. */
    private static final Chunk END = new Chunk();

    /** The stream between the two servers, with its counts. */
    private static final class Stream {
        private final PgDriver source;
        private final PgDriver dest;
        private final String readSql;
        private final String writeSql;
        private final ArrayBlockingQueue<Chunk> empty = new ArrayBlockingQueue<>(BUFFERS);
        private final ArrayBlockingQueue<Chunk> full = new ArrayBlockingQueue<>(BUFFERS + 1);
        private final AtomicReference<Throwable> first = new AtomicReference<>();
        private volatile boolean readDone;
        private final AtomicLong inFlight = new AtomicLong();
        private volatile PgDriver.Out out;
        private volatile boolean writing;
        private volatile long rowsSeen;
        private long readNanos;
        private volatile long rowsRead;
        private long rowsWritten;
        private long bytes;
        private long writeNanos;

        Stream(PgDriver source, PgDriver dest, String readSql, String writeSql) {
            this.source = source;
            this.dest = dest;
            this.readSql = readSql;
            this.writeSql = writeSql;
            for (int i = 0; i < BUFFERS; i++) {
                empty.add(new Chunk());
            }
        }

        void run(Progress progress, Cancel cancel) throws Failure {
            PgDriver.In in;
            try {
                in = dest.copyIn(writeSql);
            } catch (SQLException e) {
                throw Failure.sql("write", e, writeSql);
            }
            Thread reader = new Thread(this::read, "read");
            reader.setDaemon(true);
            reader.start();
            try (Cancel.Registration registered = cancel.onCancel(() -> stop(Failure.cancelled("migrate")))) {
                write(in, progress);
            } catch (Failure | RuntimeException | Error e) {
                writing = false;
                stop(e);
            } finally {
                join(reader);
            }
            if (first.get() != null) {
                in.abort();
                cancel.throwIfCancelled();
                throw Failure.from("migrate", first.get(), null);
            }
        }

        private void stop(Throwable cause) {
            if (first.compareAndSet(null, cause)) {
                PgDriver.Out running = out;
                if (running != null) {
                    running.cancel();
                } else if (!readDone) {
                    source.cancelQuery();
                }
                if (writing) {
                    dest.cancelQuery();
                }
            }
        }

        private void read() {
            try {
                out = source.copyOut(readSql);
                Chunk chunk = null;
                long began = System.nanoTime();
                long rows = -1;
                while (first.get() == null) {
                    if (chunk == null) {
                        readNanos += System.nanoTime() - began;
                        while (inFlight.get() > IN_FLIGHT && first.get() == null) {
                            Thread.sleep(1);
                        }
                        chunk = empty.poll(POLL_MS, TimeUnit.MILLISECONDS);
                        began = System.nanoTime();
                        if (chunk == null) {
                            continue;
                        }
                    }
                    byte[] message = out.read();
                    if (message != null) {
                        chunk.append(message);
                        rows++;
                    }
                    if (message == null || chunk.length >= CHUNK) {
                        // The header comes with the first row or before it: near enough for progress.
                        rowsSeen = Math.max(0, rows);
                        inFlight.addAndGet(chunk.bytes.length);
                        full.add(chunk);
                        chunk = null;
                    }
                    if (message == null) {
                        rowsRead = out.rows();
                        break;
                    }
                }
            } catch (SQLException e) {
                stop(Failure.sql("read", e, readSql));
            } catch (InterruptedException | RuntimeException | Error e) {
                stop(e);
            } finally {
                if (out != null && first.get() != null) {
                    out.drain();
                }
                readDone = true;
                full.add(END);
            }
        }

        private void write(PgDriver.In in, Progress progress) throws Failure {
            try {
                while (first.get() == null) {
                    Chunk chunk = full.poll(POLL_MS, TimeUnit.MILLISECONDS);
                    if (chunk == END) {
                        break;
                    }
                    if (chunk == null) {
                        progress.report("migrate", rowsSeen, bytes);
                        continue;
                    }
                    long began = System.nanoTime();
                    writing = true;
                    in.write(chunk.bytes, 0, chunk.length);
                    writing = false;
                    writeNanos += System.nanoTime() - began;
                    bytes += chunk.length;
                    inFlight.addAndGet(-chunk.bytes.length);
                    chunk.clear();
                    empty.add(chunk);
                    progress.report("migrate", rowsSeen, bytes);
                }
                if (first.get() == null) {
                    long began = System.nanoTime();
                    writing = true;
                    rowsWritten = in.end();
                    writing = false;
                    writeNanos += System.nanoTime() - began;
                }
            } catch (SQLException e) {
                throw PgDriver.copyFailure(e, writeSql);
            } catch (InterruptedException e) {
                throw Failure.cancelled("migrate");
            }
        }

        private static void join(Thread reader) {
            try {
                reader.join(JOIN_MS);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }
}
