/**
 * The kinds of databases that jrunner knows, one class a kind.
 *
 * <p>{@link jrunner.kinds.Kind} holds every question that jrunner asks of a kind, answered for a JDBC database of which
 * nothing is known: how to connect and set up a session, how types are described and read, what they hold, how rows are
 * written. {@link jrunner.kinds.Kinds} is the registry, a line a kind. A kind's own machinery stands beside it under the
 * kind's name ({@code PgCopySource}, {@code SqliteBinder}, {@code LoadDataSink}), and only the kind makes it.
 *
 * <p>The rest of jrunner asks the kind of a {@link jrunner.db.Database} and never which kind it is.
 */
package jrunner.kinds;
