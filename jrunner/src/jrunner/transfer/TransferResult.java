package jrunner.transfer;

/** What a migration did. */
public final class TransferResult {
    public long rowsRead;
    /** As counted by the destination. */
    public long rowsWritten;
    /**
     * Bytes sent to the destination, as far as the path encodes them itself; else an estimate from the values' sizes.
     */
    public long bytes;
    public String path;
    public String pathReason;
    public long elapsedMs;
    /** Time in which the reader was at work, waiting for the writer not included. */
    public long readMs;
    /** Time in which the writer was at work, waiting for the reader not included. */
    public long writeMs;
    /** Connections that read, 0 where nobody asked for several, and the ranges that they read. */
    public int lanes;
    public int ranges;
    /** Why not all of them saw one moment; null if they did. */
    public String whyNotOneMoment;
}
