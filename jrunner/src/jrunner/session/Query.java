package jrunner.session;

import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.types.TextValues;

/** The query operation: a few rows as text. */
final class Query {

    private Query() {}

    /**
     * @param limit false for a query that gives few rows by itself: PostgreSQL runs no statement with a row limit in
     *     parallel, and other drivers ask the server to set the limit
     */
    static Map<String, ?> run(Database database, String sql, int maxRows, boolean limit, Cancel cancel) throws Failure {
        try (Statement statement = database.statement();
                Cancel.Registration registered = cancel.register(statement)) {
            if (limit) {
                // One more than asked for, to tell whether there are more. This also bounds what a driver buffers.
                statement.setMaxRows(maxRows == Integer.MAX_VALUE ? 0 : maxRows + 1);
            }
            if (!statement.execute(sql)) {
                throw Failure.of("query", Failure.SQL, "the statement returns no rows").statement(sql);
            }
            try (ResultSet rows = statement.getResultSet()) {
                return read(database, rows, maxRows, cancel);
            }
        } catch (SQLException e) {
            throw Failure.sql("query", e, sql);
        } catch (Failure e) {
            throw e.statement(sql);
        }
    }

    private static Map<String, ?> read(Database database, ResultSet rows, int maxRows, Cancel cancel)
            throws SQLException, Failure {
        ResultSetMetaData about = rows.getMetaData();
        int width = about.getColumnCount();
        List<String> columns = new ArrayList<>(width);
        for (int i = 1; i <= width; i++) {
            columns.add(about.getColumnLabel(i));
        }
        TextValues values = new TextValues(database, about);
        List<List<String>> read = new ArrayList<>();
        boolean truncated = false;
        while (rows.next()) {
            cancel.throwIfCancelled();
            if (read.size() == maxRows) {
                truncated = true;
                break;
            }
            String[] row = new String[width];
            for (int i = 1; i <= width; i++) {
                row[i - 1] = values.text(rows, i);
            }
            read.add(Arrays.asList(row));
        }
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("columns", columns);
        result.put("rows", read);
        result.put("truncated", truncated);
        return result;
    }
}
