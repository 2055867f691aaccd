package jrunner.transfer;

import jrunner.Failure;

/** Where rows go. All calls come from one thread. The transaction around it is its owner's. */
public interface RowSink {
    void write(Block block) throws Failure;

    /**
     * Sends what is left and waits for the destination to have taken it.
     *
     * @return rows written, as counted by the destination
     */
    long finish() throws Failure;

    /** Makes a {@link #write} or {@link #finish} under way on another thread end soon, with any error. Never throws. */
    void interrupt();

    /** Ends a load that failed, leaving the connection able to roll back. Never throws. */
    void abort();

    /** Bytes sent so far. */
    long bytes();
}
