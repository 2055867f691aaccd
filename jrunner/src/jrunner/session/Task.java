package jrunner.session;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.Progress;

/** A request in flight: its token, its latest progress, and the guarantee that it is answered exactly once. */
final class Task implements Progress {
    final Object id;
    final String op;
    final Request request;

    /** The connections it uses; requests that share one run in the order they came. */
    final List<String> connections;

    final Cancel cancel = new Cancel();

    private final Output output;
    private final AtomicBoolean answered = new AtomicBoolean();
    private final CountDownLatch confirmed = new CountDownLatch(1);
    private volatile boolean awaitsConfirm;
    private volatile long startedNanos;
    private volatile long cancelledNanos;
    private volatile long lastCancelNanos;
    private volatile long progressNanos;
    private volatile String phase;
    private volatile long rows;
    private volatile long bytes;

    Task(Object id, String op, Request request, List<String> connections, Output output) {
        this.id = id;
        this.op = op;
        this.request = request;
        this.connections = connections;
        this.output = output;
        this.phase = op;
    }

    void start() {
        progressNanos = System.nanoTime();
        startedNanos = progressNanos;
    }

    boolean isStarted() {
        return startedNanos != 0;
    }

    boolean isAnswered() {
        return answered.get();
    }

    long elapsedMs() {
        return startedNanos == 0 ? 0 : (System.nanoTime() - startedNanos) / 1_000_000;
    }

    /** Milliseconds since it was cancelled; -1 if it was not. */
    long cancelledForMs() {
        return cancelledNanos == 0 ? -1 : (System.nanoTime() - cancelledNanos) / 1_000_000;
    }

    void markCancelled() {
        lastCancelNanos = System.nanoTime();
        cancelledNanos = lastCancelNanos;
    }

    /** Whether it was cancelled, goes on, and the last cancel is at least {@code everyMs} old; the next one counts from now. */
    boolean isCancelDue(long everyMs) {
        long now = System.nanoTime();
        if (cancelledNanos == 0 || answered.get() || now - lastCancelNanos < everyMs * 1_000_000) {
            return false;
        }
        lastCancelNanos = now;
        return true;
    }

    /** Keeps the figures; {@link #tick} sends them. */
    @Override
    public void report(String newPhase, long newRows, long newBytes) {
        phase = newPhase;
        rows = newRows;
        bytes = newBytes;
    }

    /** Sends a progress event if the last one is at least {@code everyMs} old. */
    void tick(long everyMs) {
        long now = System.nanoTime();
        if (startedNanos == 0 || answered.get() || now - progressNanos < everyMs * 1_000_000) {
            return;
        }
        progressNanos = now;
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("phase", phase);
        fields.put("rows", rows);
        fields.put("bytes", bytes);
        fields.put("elapsed_ms", elapsedMs());
        // After a last look, so that no progress follows the answer by more than a race's width; readers ignore events of
        // ids they do not wait for.
        if (!answered.get()) {
            output.event(id, "progress", fields);
        }
    }

    /**
     * Tells the client that all is done but the commit, and waits until it confirms. The transaction stays open, and with it
     * every lock that its statements took.
     *
     * @throws Failure of code {@code cancelled} when a cancel comes instead
     */
    void awaitConfirm(Map<String, ?> fields) throws Failure {
        try (Cancel.Registration registered = cancel.onCancel(confirmed::countDown)) {
            awaitsConfirm = true;
            output.event(id, "confirm", fields);
            confirmed.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw Failure.cancelled(op);
        }
        cancel.throwIfCancelled();
    }

    /** @return whether it waited for this */
    boolean confirm() {
        boolean waited = awaitsConfirm && confirmed.getCount() > 0;
        confirmed.countDown();
        return waited;
    }

    void result(Map<String, ?> fields) {
        if (answered.compareAndSet(false, true)) {
            output.event(id, "result", fields);
        }
    }

    void error(Failure failure) {
        if (answered.compareAndSet(false, true)) {
            output.error(id, failure.phaseIfAbsent(op));
        }
    }
}
