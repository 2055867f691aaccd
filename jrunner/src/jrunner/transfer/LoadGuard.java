package jrunner.transfer;

/** What holds while rows move between two connections, and ends when it is closed. */
public interface LoadGuard extends AutoCloseable {
    @Override
    void close();
}
