package jrunner;

import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/**
 * The cancel token of one request.
 *
 * <p>Work registers what can interrupt it (a running statement, a COPY) for as long as it runs, and checks the token
 * between blocks of rows. {@link #cancel()} runs the registered actions; {@link #finish()} ends the token and waits
 * for actions still under way, so that a late {@code Statement.cancel()} never hits the next request on the connection.
 */
public final class Cancel {
    /** How long {@link #finish()} waits for a cancel action that hangs in the driver. */
    private static final long ACTION_WAIT_MS = 2_000;

    /** Ends a registration; safe to close twice. */
    public interface Registration extends AutoCloseable {
        @Override
        void close();
    }

    private final Object lock = new Object();
    private final List<Runnable> actions = new ArrayList<>();
    private volatile boolean cancelled;
    private boolean finished;
    private int running;

    public boolean isCancelled() {
        return cancelled;
    }

    /** @throws Failure of code {@code cancelled} once the request has been cancelled */
    public void throwIfCancelled() throws Failure {
        if (cancelled) {
            throw Failure.cancelled(null);
        }
    }

    /**
     * Has {@code statement.cancel()} called when the request is cancelled while the registration is open.
     *
     * @throws Failure of code {@code cancelled} if it has been cancelled already: the statement must not start then
     */
    public Registration register(Statement statement) throws Failure {
        return onCancel(() -> {
            try {
                statement.cancel();
            } catch (SQLException | RuntimeException | AbstractMethodError | NoSuchMethodError e) {
                // A driver without cancel, or a statement that has just ended: the token is checked between blocks.
            }
        });
    }

    /**
     * Has {@code action} called, on another thread, when the request is cancelled while the registration is open.
     *
     * @throws Failure of code {@code cancelled} if it has been cancelled already
     */
    public Registration onCancel(Runnable action) throws Failure {
        synchronized (lock) {
            if (cancelled) {
                throw Failure.cancelled(null);
            }
            actions.add(action);
        }
        return () -> {
            synchronized (lock) {
                actions.remove(action);
            }
        };
    }

    /**
     * Cancels the request: runs the open registrations' actions on the calling thread.
     *
     * @return false if the request had finished or was cancelled before
     */
    public boolean cancel() {
        List<Runnable> todo;
        synchronized (lock) {
            if (cancelled || finished) {
                return false;
            }
            cancelled = true;
            todo = new ArrayList<>(actions);
            running++;
        }
        run(todo);
        return true;
    }

    /**
     * Runs the open registrations' actions once more, unless some still run. A cancel that finds a statement registered, but
     * not yet with the database, hits nothing.
     */
    public void repeat() {
        List<Runnable> todo;
        synchronized (lock) {
            if (!cancelled || finished || running > 0) {
                return;
            }
            todo = new ArrayList<>(actions);
            running++;
        }
        run(todo);
    }

    private void run(List<Runnable> todo) {
        try {
            for (Runnable action : todo) {
                try {
                    action.run();
                } catch (RuntimeException e) {
                    // One action's fault must not keep the others from running.
                }
            }
        } finally {
            synchronized (lock) {
                running--;
                lock.notifyAll();
            }
        }
    }

    /** Ends the token: later cancels do nothing; waits (up to two seconds) for actions still running. */
    public void finish() {
        long deadline = System.nanoTime() + ACTION_WAIT_MS * 1_000_000;
        synchronized (lock) {
            finished = true;
            actions.clear();
            while (running > 0) {
                long left = (deadline - System.nanoTime()) / 1_000_000;
                if (left <= 0) {
                    return;
                }
                try {
                    lock.wait(left);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                    return;
                }
            }
        }
    }
}
