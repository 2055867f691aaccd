package jrunner.session;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import jrunner.Failure;
import jrunner.Version;
import jrunner.db.Connector;
import jrunner.json.JsonException;
import jrunner.json.JsonReader;

/**
 * The session mode: requests in, events out, as jrunner/README.md describes.
 *
 * <p>The calling thread reads lines and never touches a database; workers run the requests; one watch thread sends
 * progress, cuts connections whose cancel is not obeyed, and notices a dead parent.
 */
public final class Session {
    private static final int PROTOCOL = 1;

    /** The watch thread's step. */
    private static final long WATCH_MS = 200;

    private static final long PROGRESS_MS = 1_000;

    /** How often a statement that goes on is cancelled again. */
    private static final long CANCEL_AGAIN_MS = 1_000;

    /** A statement that ignores its cancel for this long loses its connection. */
    private static final long CANCEL_PATIENCE_MS = 5_000;

    /** The end: how long requests may take to roll back, connections to close, and all of it together. */
    private static final long ROLLBACK_MS = 900;

    private static final long CLOSE_MS = 500;
    private static final long END_MS = 1_700;

    private static final int EXIT_SIGTERM = 143;
    private static final int EXIT_ORPHAN = 1;

    private final LineReader lines;
    private final Output output;
    private final Scheduler scheduler = new Scheduler();
    private final Connections connections = new Connections();
    private final Operations operations = new Operations(connections);
    private final Map<Object, Task> inFlight = new ConcurrentHashMap<>();
    private final AtomicInteger unfinished = new AtomicInteger();
    private final AtomicBoolean ending = new AtomicBoolean();
    private Task quit;

    private Session(InputStream in, OutputStream out) {
        this.lines = new LineReader(in);
        this.output = new Output(out);
    }

    /**
     * Serves requests until the input ends or the process is told to stop; does not return.
     *
     * @param rehearsed kinds whose first connection is prepared while no request is there yet
     */
    public static void run(InputStream in, OutputStream out, List<String> rehearsed) {
        Session session = new Session(in, out);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> session.end(EXIT_SIGTERM, true), "shutdown"));
        session.ready();
        if (!rehearsed.isEmpty()) {
            Thread rehearsal = new Thread(() -> Connector.rehearse(rehearsed), "rehearsal");
            rehearsal.setDaemon(true);
            rehearsal.start();
        }
        session.startWatch();
        session.read();
        if (session.quit != null) {
            session.finish();
        }
        session.end(0, false);
    }

    private void ready() {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("protocol", PROTOCOL);
        fields.put("version", Version.TEXT);
        fields.put("pid", ProcessHandle.current().pid());
        fields.put("java", System.getProperty("java.version"));
        output.event(null, "ready", fields);
    }

    private void read() {
        // After "quit" nothing more is read: a thread that waits for input would delay the JVM's exit by 0.3 seconds.
        while (quit == null && !output.isBroken()) {
            try {
                String line = lines.next();
                if (line == null) {
                    return;
                }
                if (!line.isBlank()) {
                    accept(line);
                }
            } catch (LineReader.BadLine e) {
                output.error(null, Request.failure(e.getMessage()));
            } catch (IOException e) {
                return;
            }
        }
    }

    @SuppressWarnings("unchecked")
    private void accept(String line) {
        Object parsed;
        try {
            parsed = JsonReader.parse(line);
        } catch (JsonException e) {
            output.error(null, Request.failure("line is not JSON: " + e.getMessage()));
            return;
        }
        if (!(parsed instanceof Map)) {
            output.error(null, Request.failure("line is not a JSON object"));
            return;
        }
        Map<String, Object> fields = (Map<String, Object>) parsed;
        Object id = fields.get("id");
        if (!(id instanceof Long) && !(id instanceof String)) {
            output.error(null, Request.failure("field 'id' must be a whole number or a text"));
            return;
        }
        try {
            dispatch(id, Request.of(fields));
        } catch (Failure failure) {
            output.error(id, failure);
        }
    }

    private void dispatch(Object id, Request request) throws Failure {
        String op = request.text("op");
        if (inFlight.containsKey(id)) {
            throw Request.failure("id " + id + " is in flight already");
        }
        switch (op) {
            case "cancel":
                cancel(id, request);
                return;
            case "confirm":
                confirm(id, request);
                return;
            case "quit":
                request.finish();
                quit = new Task(id, op, request, List.of(), output);
                return;
            case "close":
                submit(new Task(id, op, request, closing(request), output));
                return;
            default:
                submit(new Task(id, op, request, Operations.connectionsOf(op, request), output));
        }
    }

    private List<String> closing(Request request) throws Failure {
        if (request.has("connection")) {
            return List.of(request.text("connection"));
        }
        Set<String> all = new LinkedHashSet<>(connections.names());
        all.addAll(scheduler.busy());
        return new ArrayList<>(all);
    }

    private void submit(Task task) {
        inFlight.put(task.id, task);
        unfinished.incrementAndGet();
        scheduler.submit(task.connections, () -> {
            try {
                work(task);
            } finally {
                unfinished.decrementAndGet();
            }
        });
    }

    private void work(Task task) {
        Failure failure = null;
        Map<String, ?> result = null;
        try {
            task.start();
            if (!task.isAnswered()) {
                task.cancel.throwIfCancelled();
                result = operations.run(task);
            }
        } catch (Failure e) {
            failure = actualFailure(task, e);
        } catch (OutOfMemoryError e) {
            throw e;
        } catch (Throwable e) {
            failure = actualFailure(task, Failure.from(task.op, e, null));
            e.printStackTrace();
        }
        task.cancel.finish();
        if (!task.isAnswered()) {
            for (String name : task.connections) {
                connections.settle(name, failure);
            }
        }
        // Free the id before the answer: the client may use it again as soon as it reads the line.
        inFlight.remove(task.id, task);
        if (failure != null) {
            task.error(failure);
        } else if (result != null) {
            task.result(result);
        }
    }

    /** A cancelled request ends as cancelled whatever its statements said, except where a commit is in doubt. */
    private static Failure actualFailure(Task task, Failure failure) {
        boolean inDoubt = "commit".equals(failure.phase());
        return task.cancel.isCancelled() && !inDoubt ? Failure.cancelled(task.op) : failure;
    }

    private void cancel(Object id, Request request) throws Failure {
        Object target = request.id("target");
        request.finish();
        Task task = inFlight.get(target);
        boolean cancelled = task != null && !task.isAnswered();
        output.event(id, "result", Map.of("cancelled", cancelled));
        if (cancelled) {
            cancel(task);
        }
    }

    private void confirm(Object id, Request request) throws Failure {
        Object target = request.id("target");
        request.finish();
        Task task = inFlight.get(target);
        output.event(id, "result", Map.of("confirmed", task != null && task.confirm()));
    }

    private void cancel(Task task) {
        task.markCancelled();
        // On a thread of its own: a driver's cancel may take its time, or hang.
        scheduler.now(() -> {
            task.cancel.cancel();
            if (!task.isStarted()) {
                // It waits for its turn on a connection: answered now, skipped then.
                inFlight.remove(task.id, task);
                task.error(Failure.cancelled(task.op));
            }
        });
    }

    /** Ends what "quit" found in flight as it would have ended, then closes. */
    private void finish() {
        while (unfinished.get() > 0) {
            sleep(5);
        }
        connections.closeAll(CLOSE_MS);
        quit.result(Map.of());
    }

    private void startWatch() {
        ProcessHandle parent = ProcessHandle.current().parent().orElse(null);
        Thread watch = new Thread(() -> {
            while (true) {
                sleep(WATCH_MS);
                for (Task task : inFlight.values()) {
                    task.tick(PROGRESS_MS);
                    if (task.cancelledForMs() > CANCEL_PATIENCE_MS && !task.isAnswered()) {
                        task.connections.forEach(connections::abort);
                    } else if (task.isCancelDue(CANCEL_AGAIN_MS)) {
                        scheduler.now(task.cancel::repeat);
                    }
                }
                // A dead parent that nobody has reaped still "lives", but its children have a new parent by then.
                if (output.isBroken()
                        || (parent != null && !ProcessHandle.current().parent().filter(parent::equals).isPresent())) {
                    end(EXIT_ORPHAN, false);
                }
            }
        }, "watch");
        watch.setDaemon(true);
        watch.start();
    }

    /** Cancels, rolls back, closes and exits, in less than two seconds. Called from the shutdown hook too. */
    private void end(int status, boolean inHook) {
        if (!ending.compareAndSet(false, true)) {
            if (!inHook) {
                // Another thread is ending the process.
                while (true) {
                    sleep(END_MS);
                }
            }
            return;
        }
        Thread halt = new Thread(() -> {
            sleep(END_MS);
            removeTemporary();
            Runtime.getRuntime().halt(status);
        }, "halt");
        halt.setDaemon(true);
        halt.start();
        for (Task task : inFlight.values()) {
            cancel(task);
        }
        long deadline = System.nanoTime() + ROLLBACK_MS * 1_000_000;
        while (unfinished.get() > 0 && System.nanoTime() < deadline) {
            sleep(5);
        }
        connections.closeAll(CLOSE_MS);
        removeTemporary();
        if (!inHook) {
            System.exit(status);
        }
    }

    /** Removes the folder of temporary files, where the parent made one for this process: it may be gone. */
    private static void removeTemporary() {
        if (!Boolean.getBoolean("jrunner.temporary")) {
            return;
        }
        File folder = new File(System.getProperty("java.io.tmpdir"));
        File[] files = folder.listFiles();
        for (File each : files == null ? new File[0] : files) {
            each.delete();
        }
        folder.delete();
    }

    private static void sleep(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            // Nobody interrupts these threads on purpose; going on is right.
        }
    }
}
