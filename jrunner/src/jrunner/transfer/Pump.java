package jrunner.transfer;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;

/**
 * Moves blocks from readers to a writer so that reading, converting and writing overlap.
 *
 * <p>Each source has a thread; the writer is the calling thread. A fixed set of blocks goes round: readers take empty
 * ones and hand on full ones, the writer gives them back, so the blocks bound the memory. The first error on either
 * side is kept; it stops the other side, and errors that follow from the stop are dropped.
 */
final class Pump {
    private static final int BLOCKS = 4;
    /** Behind a reader's last block. */
    private static final Block END = new Block(0);
    private static final int POLL_MS = 50;
    /** A reader that ignores its abort for longer is left behind: the connection is broken then anyway. */
    private static final int JOIN_MS = 10_000;

    private final List<RowSource> sources;
    private final RowSink sink;
    private final Progress progress;
    private final Cancel cancel;
    private final ArrayBlockingQueue<Block> empty;
    private final ArrayBlockingQueue<Block> full;
    private final AtomicReference<Throwable> first = new AtomicReference<>();
    private final AtomicLong rowsTaken = new AtomicLong();
    private final AtomicLong readNanos = new AtomicLong();
    private volatile boolean writing;
    private long writeNanos;
    private long rowsRead;

    Pump(List<RowSource> sources, RowSink sink, int columns, Progress progress, Cancel cancel) {
        this.sources = sources;
        this.sink = sink;
        this.progress = progress;
        this.cancel = cancel;
        int count = BLOCKS + 2 * (sources.size() - 1);
        empty = new ArrayBlockingQueue<>(count);
        full = new ArrayBlockingQueue<>(count + sources.size());
        for (int i = 0; i < count; i++) {
            empty.add(new Block(columns));
        }
    }

    /** Runs to the end of all sources. @return rows written */
    long run() throws Failure {
        List<Thread> readers = new ArrayList<>();
        for (RowSource source : sources) {
            Thread reader = new Thread(() -> read(source), "read");
            reader.setDaemon(true);
            reader.start();
            readers.add(reader);
        }
        long written = 0;
        try (Cancel.Registration registered = cancel.onCancel(() -> stop(Failure.cancelled("migrate")))) {
            written = write();
        } catch (Failure | RuntimeException | Error e) {
            writing = false;
            stop(e);
        } finally {
            for (Thread reader : readers) {
                join(reader);
            }
        }
        Throwable failed = first.get();
        if (failed != null) {
            sink.abort();
            cancel.throwIfCancelled();
            throw Failure.from("migrate", failed, null);
        }
        return written;
    }

    private void stop(Throwable cause) {
        if (first.compareAndSet(null, cause)) {
            for (RowSource source : sources) {
                source.abort();
            }
            // A write may be waiting for a lock, with nobody left to care for its rows.
            if (writing) {
                sink.interrupt();
            }
        }
    }

    private void read(RowSource source) {
        try {
            boolean more = true;
            while (more && first.get() == null) {
                Block block = empty.poll(POLL_MS, TimeUnit.MILLISECONDS);
                if (block == null) {
                    continue;
                }
                long began = System.nanoTime();
                block.clear();
                more = source.fill(block, rowsTaken.get() + 1);
                block.firstRow = rowsTaken.getAndAdd(block.rows) + 1;
                readNanos.addAndGet(System.nanoTime() - began);
                full.add(block);
            }
        } catch (InterruptedException | Failure | RuntimeException | Error e) {
            stop(e);
        } finally {
            full.add(END);
        }
    }

    private long write() throws Failure {
        int reading = sources.size();
        while (reading > 0 && first.get() == null) {
            Block block;
            try {
                block = full.poll(POLL_MS, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                throw Failure.cancelled("migrate");
            }
            if (block == END) {
                reading--;
            }
            if (block == null) {
                // Nothing yet: a sign of life while the source is slow to begin.
                progress.report("migrate", rowsRead, sink.bytes());
            }
            if (block == null || block == END) {
                continue;
            }
            if (block.rows > 0) {
                long began = System.nanoTime();
                writing = true;
                sink.write(block);
                writing = false;
                writeNanos += System.nanoTime() - began;
                rowsRead += block.rows;
                progress.report("migrate", rowsRead, sink.bytes());
            }
            empty.add(block);
        }
        if (first.get() != null) {
            return 0;
        }
        long began = System.nanoTime();
        writing = true;
        long written = sink.finish();
        writing = false;
        writeNanos += System.nanoTime() - began;
        return written;
    }

    private static void join(Thread reader) {
        try {
            reader.join(JOIN_MS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    long rowsRead() {
        return rowsRead;
    }

    long readMs() {
        return readNanos.get() / 1_000_000;
    }

    long writeMs() {
        return writeNanos / 1_000_000;
    }
}
