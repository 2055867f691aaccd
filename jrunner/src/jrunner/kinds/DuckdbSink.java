package jrunner.kinds;

import java.lang.invoke.MethodHandle;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.transfer.Block;
import jrunner.transfer.Load;
import jrunner.transfer.RowSink;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.Convert;
import jrunner.types.Temporals;

/**
 * Writes into DuckDB by its appender, which takes the very types of all columns of a table in their order. Where these are not
 * the load's, or are of types that it does not take, the rows go by way of a temporary table with text in place of them, and
 * an INSERT that casts.
 */
final class DuckdbSink implements RowSink {
    private static final String TEMPORARY = "\"jrunner load\"";
    private static final BigInteger MOST_UBIGINT = BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);

    /** Appends one cell, which is not NULL. */
    private interface Append {
        void cell(Cells cells, int row) throws Throwable;
    }

    private final Database dest;
    private final List<Target> targets;
    private final String table;
    private final String columns;
    private final Append[] appends;
    private final DuckdbAppender appender;
    private final boolean direct;
    private final long rowsBefore;
    private volatile Statement running;
    private long bytes;

    DuckdbSink(Load load) throws Failure {
        dest = load.dest;
        targets = load.targets;
        table = load.table;
        columns = load.columns;
        appends = new Append[targets.size()];
        try {
            // The appender commits by itself unless a statement has begun the transaction.
            rowsBefore = count();
            direct = takesAll() && isWholeTable();
            if (!direct) {
                execute("CREATE TEMP TABLE " + TEMPORARY + " AS SELECT " + temporaryColumns() + " FROM " + table + " LIMIT 0");
            }
            appender = new DuckdbAppender(dest.connection(),
                direct ? parts(table) : List.of("temp", "main", TEMPORARY.substring(1, TEMPORARY.length() - 1)));
            for (int i = 0; i < appends.length; i++) {
                appends[i] = append(targets.get(i));
            }
        } catch (SQLException e) {
            throw Failure.sql("write", e, table);
        }
    }

    /** The parts of a name in SQL, without quotes. */
    static List<String> parts(String name) {
        List<String> parts = new ArrayList<>();
        StringBuilder part = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < name.length(); i++) {
            char c = name.charAt(i);
            if (c == '"') {
                if (quoted && i + 1 < name.length() && name.charAt(i + 1) == '"') {
                    part.append(c);
                    i++;
                } else {
                    quoted = !quoted;
                }
            } else if (c == '.' && !quoted) {
                parts.add(part.toString());
                part.setLength(0);
            } else {
                part.append(c);
            }
        }
        parts.add(part.toString());
        return parts;
    }

    private boolean takesAll() {
        return targets.stream().allMatch(DuckdbSink::isTaken);
    }

    /** The appender takes the type, and checks what it is given. */
    private static boolean isTaken(Target target) {
        switch (target.family) {
            case BOOLEAN:
            case INT16:
            case INT32:
            case INT64:
            case FLOAT32:
            case FLOAT64:
            case BINARY:
            case DATE:
            case TIMETZ:
            case TIMESTAMP:
            case TIMESTAMPTZ:
            case UUID:
                return true;
            case TEXT:
                return target.info.typeName().equals("VARCHAR");
            case TIME:
                return target.info.typeName().equals("TIME");
            case DECIMAL:
                return !target.info.typeName().equals("BIGNUM") && !target.info.typeName().equals("UHUGEINT");
            default:
                return false;
        }
    }

    private boolean isWholeTable() throws SQLException {
        try (Statement statement = dest.statement();
                ResultSet none = statement.executeQuery("SELECT * FROM " + table + " LIMIT 0")) {
            ResultSetMetaData meta = none.getMetaData();
            boolean same = meta.getColumnCount() == targets.size();
            for (int i = 0; same && i < targets.size(); i++) {
                same = meta.getColumnLabel(i + 1).equals(targets.get(i).name());
            }
            return same;
        }
    }

    private String temporaryColumns() {
        List<String> selected = new ArrayList<>();
        for (int i = 0; i < targets.size(); i++) {
            Target target = targets.get(i);
            selected.add((isTaken(target) ? dest.quote(target.name()) : "CAST(NULL AS VARCHAR)") + " AS c" + i);
        }
        return String.join(", ", selected);
    }

    private long count() throws SQLException {
        try (Statement statement = dest.statement();
                ResultSet result = statement.executeQuery("SELECT count(*) FROM " + table)) {
            result.next();
            return result.getLong(1);
        }
    }

    private long execute(String sql) throws SQLException {
        try (Statement statement = dest.statement()) {
            running = statement;
            statement.execute(sql);
            return statement.getUpdateCount();
        } finally {
            running = null;
        }
    }

    private Append append(Target target) throws SQLException {
        String type = target.info.typeName();
        Convert convert = target.convert;
        if (!isTaken(target)) {
            MethodHandle text = appender.method("append", String.class);
            Cells scratch = new Cells(1);
            return (cells, row) -> {
                target.anyText(cells, row, scratch);
                text.invokeExact(convert.string());
            };
        }
        switch (target.family) {
            case BOOLEAN:
                MethodHandle bool = appender.method("append", boolean.class);
                return (cells, row) -> {
                    bool.invokeExact(target.bool(cells, row));
                };
            case INT16:
                return type.endsWith("TINYINT") ? tiny(target) : small(target);
            case INT32:
                return type.equals("USMALLINT") ? small(target) : normal(target);
            case INT64:
                return type.equals("UINTEGER") ? normal(target) : big(target);
            case DECIMAL:
                return decimal(target, type);
            case FLOAT32:
                MethodHandle single = appender.method("append", float.class);
                return (cells, row) -> {
                    single.invokeExact(target.float32(cells, row));
                };
            case FLOAT64:
                MethodHandle twice = appender.method("append", double.class);
                return (cells, row) -> {
                    twice.invokeExact(target.float64(cells, row));
                };
            case BINARY:
                MethodHandle binary = appender.method("append", byte[].class);
                return (cells, row) -> {
                    target.binary(cells, row);
                    binary.invokeExact(java.util.Arrays.copyOfRange(convert.bytes, convert.from, convert.from + convert.length));
                };
            case DATE:
                MethodHandle day = appender.method("appendEpochDays", int.class);
                return (cells, row) -> {
                    day.invokeExact(day(target.date(cells, row)));
                };
            case TIME:
                MethodHandle time = appender.method("appendDayMicros", long.class);
                return (cells, row) -> {
                    time.invokeExact(target.time(cells, row) / 1000);
                };
            case TIMETZ:
                MethodHandle zoned = appender.method("appendDayMicros", long.class, int.class);
                return (cells, row) -> {
                    long micros = target.timeTz(cells, row) / 1000;
                    zoned.invokeExact(micros, convert.offset);
                };
            case TIMESTAMP:
                return timestamp(target, type);
            case TIMESTAMPTZ:
                MethodHandle instant = appender.method("appendEpochMicros", long.class);
                return (cells, row) -> {
                    target.timestampTz(cells, row);
                    instant.invokeExact(micros(convert));
                };
            case UUID:
                MethodHandle uuid = appender.method("append", UUID.class);
                return (cells, row) -> {
                    target.uuid(cells, row);
                    uuid.invokeExact(new UUID(convert.high, convert.low));
                };
            default:
                MethodHandle text = appender.method("append", String.class);
                return (cells, row) -> {
                    target.text(cells, row);
                    text.invokeExact(convert.string());
                };
        }
    }

    private Append tiny(Target target) throws SQLException {
        MethodHandle tiny = appender.method("append", byte.class);
        return (cells, row) -> {
                    tiny.invokeExact((byte) target.integer(cells, row));
                };
    }

    private Append small(Target target) throws SQLException {
        MethodHandle small = appender.method("append", short.class);
        return (cells, row) -> {
                    small.invokeExact((short) target.integer(cells, row));
                };
    }

    private Append normal(Target target) throws SQLException {
        MethodHandle normal = appender.method("append", int.class);
        return (cells, row) -> {
                    normal.invokeExact((int) target.integer(cells, row));
                };
    }

    private Append big(Target target) throws SQLException {
        MethodHandle big = appender.method("append", long.class);
        return (cells, row) -> {
                    big.invokeExact(target.integer(cells, row));
                };
    }

    private Append decimal(Target target, String type) throws SQLException {
        if (type.equals("UBIGINT")) {
            MethodHandle big = appender.method("append", long.class);
            return (cells, row) -> {
                target.decimal(cells, row);
                BigInteger value = target.convert.decimal.bigDecimal().toBigIntegerExact();
                if (value.signum() < 0 || value.compareTo(MOST_UBIGINT) > 0) {
                    throw new BadValue(value + " is out of the range of UBIGINT");
                }
                big.invokeExact(value.longValue());
            };
        }
        if (type.equals("HUGEINT")) {
            MethodHandle huge = appender.method("append", BigInteger.class);
            return (cells, row) -> {
                target.decimal(cells, row);
                huge.invokeExact(target.convert.decimal.bigDecimal().toBigIntegerExact());
            };
        }
        MethodHandle decimal = appender.method("append", BigDecimal.class);
        int scale = target.info.scale();
        return (cells, row) -> {
            target.decimal(cells, row);
            decimal.invokeExact(target.convert.decimal.bigDecimal().setScale(scale));
        };
    }

    private Append timestamp(Target target, String type) throws SQLException {
        Convert convert = target.convert;
        boolean infinite = type.equals("TIMESTAMP");
        String unit = infinite ? "Micros" : type.endsWith("_NS") ? "Nanos" : type.endsWith("_MS") ? "Millis" : "Seconds";
        long perSecond = infinite ? 1_000_000L : type.endsWith("_NS") ? 1_000_000_000L : type.endsWith("_MS") ? 1000L : 1L;
        MethodHandle append = appender.method("appendEpoch" + unit, long.class);
        return (cells, row) -> {
            target.timestamp(cells, row);
            long units = infinite ? micros(convert) : units(convert, perSecond);
            append.invokeExact(units);
        };
    }

    private static int day(long day) throws BadValue {
        if (day == Temporals.INFINITY || day == Temporals.MINUS_INFINITY) {
            return day == Temporals.INFINITY ? Duckdb.INFINITE_DAY : -Duckdb.INFINITE_DAY;
        }
        if (day >= Duckdb.INFINITE_DAY || day <= -Duckdb.INFINITE_DAY) {
            throw new BadValue("the year is outside of what DuckDB's dates can hold");
        }
        return (int) day;
    }

    private static long micros(Convert value) throws BadValue {
        if (value.infinite()) {
            return value.seconds > 0 ? Duckdb.INFINITE_MICROS : -Duckdb.INFINITE_MICROS;
        }
        return units(value, 1_000_000L);
    }

    private static long units(Convert value, long perSecond) throws BadValue {
        if (!value.infinite()) {
            try {
                long units = Math.addExact(Math.multiplyExact(value.seconds, perSecond),
                    value.nanos / (1_000_000_000L / perSecond));
                // The last ones on each side stand for infinity, or for nothing.
                if (units < Long.MAX_VALUE - 1 && units > Long.MIN_VALUE + 1) {
                    return units;
                }
            } catch (ArithmeticException e) {
                // Told below.
            }
        }
        throw new BadValue("the time is outside of what the column's type can hold");
    }

    @Override
    public void write(Block block) throws Failure {
        int column = 0;
        int row = 0;
        try {
            for (; row < block.rows; row++) {
                appender.beginRow();
                for (column = 0; column < appends.length; column++) {
                    Cells cells = block.columns[column];
                    if (cells.tag[row] == Cells.NULL) {
                        appender.appendNull();
                    } else {
                        appends[column].cell(cells, row);
                    }
                }
                appender.endRow();
            }
        } catch (BadValue e) {
            throw Failure.value("convert", targets.get(column).name(), block.firstRow + row, e.getMessage());
        } catch (SQLException e) {
            // What is refused when a chunk of rows goes in is of some row before.
            throw column < appends.length ? failure(e).row(block.firstRow + row).column(targets.get(column).name())
                : failure(e);
        } catch (Throwable e) {
            throw Failure.from("write", e, table);
        }
        bytes += block.estimatedBytes();
    }

    /** A value that the column does not take is the protocol's code {@code value}. */
    private Failure failure(SQLException e) {
        String message = String.valueOf(e.getMessage());
        boolean value = message.contains("constraint failed") || message.contains("Conversion Error")
            || message.contains("out of range") || message.contains("Invalid Input Error: Malformed JSON");
        Failure failure = value ? Failure.of("write", Failure.VALUE, message, e).statement(table)
            : Failure.sql("write", e, table);
        for (Target target : targets) {
            if (value && message.endsWith("." + target.name())) {
                failure.column(target.name());
            }
        }
        return failure;
    }

    @Override
    public long finish() throws Failure {
        try {
            appender.close();
            if (direct) {
                return count() - rowsBefore;
            }
            List<String> selected = new ArrayList<>();
            for (int i = 0; i < targets.size(); i++) {
                selected.add("c" + i);
            }
            long rows = execute("INSERT INTO " + table + " (" + columns + ") SELECT " + String.join(", ", selected) + " FROM "
                + TEMPORARY);
            execute("DROP TABLE " + TEMPORARY);
            return rows;
        } catch (SQLException e) {
            throw failure(e);
        }
    }

    @Override
    public void interrupt() {
        Statement statement = running;
        if (statement != null) {
            try {
                statement.cancel();
            } catch (SQLException | RuntimeException e) {
                // It ends by itself.
            }
        }
    }

    @Override
    public void abort() {
        try {
            // Into the transaction, which is rolled back.
            appender.close();
        } catch (SQLException | RuntimeException e) {
            // Nothing depends on it any more.
        }
    }

    @Override
    public long bytes() {
        return bytes;
    }
}
