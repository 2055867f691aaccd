package jrunner;

import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/** Runs a call that may hang in a driver, on a daemon thread of its own, and stops waiting after a time. */
public final class Timed {
    private Timed() {}

    /**
     * Returns the call's result, or throws what it threw.
     *
     * @param late gets the result if it comes after the wait was given up, so that it can be released
     * @throws TimeoutException after {@code timeoutMs}, or as soon as {@code cancel} (may be null) is cancelled
     */
    public static <T> T call(
            String name, ClassLoader context, long timeoutMs, Cancel cancel, Callable<T> call, Consumer<T> late)
            throws Exception {
        CompletableFuture<T> done = new CompletableFuture<>();
        Thread thread = new Thread(() -> {
            try {
                T value = call.call();
                if (!done.complete(value)) {
                    late.accept(value);
                }
            } catch (Throwable e) {
                done.completeExceptionally(e);
            }
        }, name);
        thread.setDaemon(true);
        if (context != null) {
            thread.setContextClassLoader(context);
        }
        thread.start();
        Cancel.Registration registration = cancel == null
                ? () -> {}
                : cancel.onCancel(() -> done.completeExceptionally(new TimeoutException("cancelled")));
        try (Cancel.Registration closed = registration) {
            return done.get(timeoutMs, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            // From now on a result is late, unless it slipped in just before.
            if (!done.completeExceptionally(e) && !done.isCompletedExceptionally()) {
                return done.get();
            }
            thread.interrupt();
            throw e;
        } catch (ExecutionException e) {
            Throwable cause = e.getCause();
            if (cause instanceof TimeoutException && cancel != null && cancel.isCancelled()) {
                thread.interrupt();
            }
            if (cause instanceof Exception) {
                throw (Exception) cause;
            }
            throw e;
        }
    }
}
