package jrunner.session;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Runs tasks side by side, except that those which share a connection run one after another in the order they came.
 *
 * <p>Each connection name has a tail: the completion of the last task that asked for it. A task waits for the tails of all
 * its names, and becomes the tail of each. Tails are taken in one step, so no two tasks can wait for each other.
 */
final class Scheduler {
    private final Map<String, CompletableFuture<Void>> tails = new HashMap<>();
    private final AtomicInteger threads = new AtomicInteger();
    private final ExecutorService workers = Executors.newCachedThreadPool(work -> {
        Thread thread = new Thread(work, "worker-" + threads.incrementAndGet());
        thread.setDaemon(true);
        return thread;
    });

    /** Has {@code work} run on a worker thread as soon as the names' earlier work is done. */
    void submit(List<String> names, Runnable work) {
        CompletableFuture<Void> done = new CompletableFuture<>();
        List<CompletableFuture<Void>> before = new ArrayList<>();
        synchronized (tails) {
            for (String name : names) {
                CompletableFuture<Void> tail = tails.put(name, done);
                if (tail != null && tail != done) {
                    before.add(tail);
                }
            }
        }
        Runnable run = () -> {
            try {
                work.run();
            } finally {
                synchronized (tails) {
                    for (String name : names) {
                        tails.remove(name, done);
                    }
                }
                done.complete(null);
            }
        };
        if (before.isEmpty()) {
            workers.execute(run);
        } else {
            CompletableFuture.allOf(before.toArray(new CompletableFuture<?>[0])).thenRun(() -> workers.execute(run));
        }
    }

    /** Runs {@code work} now, on a thread of its own. */
    void now(Runnable work) {
        workers.execute(work);
    }

    /** Names that some unfinished task uses. */
    List<String> busy() {
        synchronized (tails) {
            return new ArrayList<>(tails.keySet());
        }
    }
}
