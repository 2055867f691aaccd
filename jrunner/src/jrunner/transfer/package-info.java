/**
 * Moves the rows of a query from one database into a table of another.
 *
 * <p>{@link jrunner.transfer.Transfer} describes both sides, matches their columns by name and owns the destination's
 * transaction. Where both sides' kind has a {@code DirectCopy}, and the types are equal, rows pass undecoded. Everything
 * else goes through {@code Pump}: a {@code RowSource}, made by the source's kind, fills blocks on a thread of its own; a
 * {@code RowSink}, made by the destination's, writes them. {@code ResultSource} and {@code BatchSink} are those that serve
 * any JDBC driver; a kind that has a faster way, or another {@code Binder} for a parameter, brings it along
 * ({@link jrunner.kinds.Kind}).
 *
 * <p>{@code Target} stands between the two: a destination column with everything it cannot hold. All sinks ask it for
 * their values, so that every path takes and refuses the same ones.
 */
package jrunner.transfer;
