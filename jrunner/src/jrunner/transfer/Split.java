package jrunner.transfer;

import java.math.BigInteger;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.types.ColumnInfo;

/**
 * One big read as several, each over a connection of its own and a range of an integer column's values.
 *
 * <p>All of them read one snapshot where the kind has one to share. Elsewhere rows that change while the reads start may be
 * seen by one and not by another, so splitting is for sources that stand still. NULLs go with the first
 * range.
 */
final class Split implements AutoCloseable {
    private final List<Database> siblings = new ArrayList<>();
    private final List<String> queries = new ArrayList<>();
    private final Database source;
    private final String with;
    private final String inner;

    /**
     * @throws Failure of code {@code columns} if {@code split_by} is not an integer column of the query, or of whatever
     *     goes wrong when the connections are opened
     */
    Split(Database source, String sql, TransferRequest request, Cancel cancel) throws Failure {
        this.source = source;
        this.with = request.splitWith;
        this.inner = request.splitSql == null ? sql : request.splitSql;
        ColumnInfo by = column(ColumnInfo.describe(source, sql, false, cancel), request.splitBy);
        String name = source.quote(by.name());
        try {
            plan(sql, name, request.parallel, cancel);
            if (queries.size() > 1) {
                open();
            }
        } catch (SQLException e) {
            close();
            cancel.throwIfCancelled();
            throw Failure.sql("read", e, sql);
        } catch (Failure e) {
            close();
            throw e;
        }
    }

    private static ColumnInfo column(List<ColumnInfo> columns, String name) throws Failure {
        for (boolean exact : new boolean[] {true, false}) {
            for (ColumnInfo column : columns) {
                if (exact ? column.name().equals(name) : column.name().equalsIgnoreCase(name)) {
                    if (!column.family().isInteger() && !(column.family() == jrunner.types.Family.DECIMAL
                            && column.scale() == 0)) {
                        throw Failure.of("read", Failure.COLUMNS, "split_by needs an integer column; '" + name
                            + "' is " + column.typeName());
                    }
                    return column;
                }
            }
        }
        throw Failure.of("read", Failure.COLUMNS, "split_by names the column '" + name
            + "', which the query does not have");
    }

    private void plan(String sql, String name, int parts, Cancel cancel) throws SQLException, Failure {
        String bounds = with + "SELECT MIN(" + name + "), MAX(" + name + ") FROM (" + inner + "\n) q";
        BigInteger least;
        BigInteger most;
        try (Statement statement = source.connection().createStatement();
                Cancel.Registration running = cancel.register(statement);
                ResultSet result = statement.executeQuery(bounds)) {
            result.next();
            String first = result.getString(1);
            if (first == null) {
                queries.add(sql);
                return;
            }
            least = new java.math.BigDecimal(first).toBigInteger();
            most = new java.math.BigDecimal(result.getString(2)).toBigInteger();
        }
        BigInteger span = most.subtract(least).add(BigInteger.ONE);
        int count = span.min(BigInteger.valueOf(parts)).intValue();
        if (count == 1) {
            queries.add(sql);
            return;
        }
        for (int i = 0; i < count; i++) {
            BigInteger from = least.add(span.multiply(BigInteger.valueOf(i)).divide(BigInteger.valueOf(count)));
            BigInteger to = least.add(span.multiply(BigInteger.valueOf(i + 1L)).divide(BigInteger.valueOf(count)));
            // The ends stay open: rows added since the bounds were read belong somewhere, too.
            String where = i == 0 ? name + " < " + to + " OR " + name + " IS NULL"
                : i == count - 1 ? name + " >= " + from : name + " >= " + from + " AND " + name + " < " + to;
            queries.add(with + "SELECT * FROM (" + inner + "\n) q WHERE " + where);
        }
    }

    private void open() throws Failure, SQLException {
        for (int i = 1; i < queries.size(); i++) {
            siblings.add(source.openSibling());
        }
        source.kind().shareSnapshot(source, siblings);
    }

    int size() {
        return queries.size();
    }

    String query(int part) {
        return queries.get(part);
    }

    Database database(int part) {
        return part == 0 ? source : siblings.get(part - 1);
    }

    /** Closes the connections beyond the first and ends the shared snapshot. Their readers must have ended. */
    @Override
    public void close() {
        for (Database sibling : siblings) {
            Transactions.rollback(sibling);
            sibling.close();
        }
        siblings.clear();
        Transactions.rollback(source);
    }
}
