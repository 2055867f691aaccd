package jrunner;

/** Where a long operation says how far it is. Calls are cheap: the session passes on about one a second. */
@FunctionalInterface
public interface Progress {
    /** Ignores every report. */
    Progress NONE = (phase, rows, bytes) -> {};

    /**
     * @param phase what is being done, e.g. {@code migrate}
     * @param rows rows done so far in this phase
     * @param bytes bytes done so far in this phase, as counted by the destination's encoding
     */
    void report(String phase, long rows, long bytes);
}
