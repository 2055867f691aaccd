/**
 * Moves the rows of a query from one database into a table of another.
 *
 * <p>{@link jrunner.transfer.Transfer} describes both sides, matches their columns by name, chooses a path and owns the
 * destination's transaction. From PostgreSQL to PostgreSQL with equal types, {@code RawCopy} passes the bytes of one COPY
 * to another. Everything else goes through {@code Pump}: a {@code RowSource} fills blocks on a thread of its own
 * ({@code PgCopySource}, {@code SqliteSource}, {@code ResultSource} for every other driver), a {@code RowSink} writes them
 * ({@code CopySink}, {@code LoadDataSink}, {@code BatchSink}).
 *
 * <p>{@code Target} stands between the two: a destination column with everything it cannot hold. All sinks ask it for
 * their values, so that every path takes and refuses the same ones.
 */
package jrunner.transfer;
