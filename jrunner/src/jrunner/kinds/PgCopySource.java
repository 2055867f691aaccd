package jrunner.kinds;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import jrunner.Cancel;
import jrunner.Failure;
import jrunner.db.Database;
import jrunner.transfer.Block;
import jrunner.transfer.RowSource;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.ColumnInfo;
import jrunner.types.Temporals;

/**
 * Reads PostgreSQL through COPY's binary format, decoded straight into blocks: text stays UTF-8 bytes, numbers never
 * become text. Types without a known binary form are cast to text in the query.
 */
final class PgCopySource implements RowSource {
    private static final int SIGNATURE = 11;

    private interface Field {
        /** Reads {@code length} bytes at {@code at}. */
        void read(byte[] bytes, int at, int length, Cells cells, int row) throws BadValue;
    }

    private final Database db;
    private final PgDriver driver;
    private final String query;
    private final List<ColumnInfo> columns;
    private final Cancel cancel;
    private Cancel.Registration registration;
    private int[] indexes;
    private Field[] fields;
    private String sql;
    private volatile PgDriver.Out copy;
    private boolean headerSeen;
    private volatile boolean closed;

    private PgCopySource(Database db, PgDriver driver, String query, List<ColumnInfo> columns, Cancel cancel) {
        this.db = db;
        this.driver = driver;
        this.query = query;
        this.columns = columns;
        this.cancel = cancel;
    }

    /** A source, or null if {@code db} has no COPY or the query is not one that COPY takes. */
    static PgCopySource open(Database db, String query, Cancel cancel) throws Failure {
        return open(db, query, null, cancel);
    }

    /** @param columns the query's columns where they are known, else null */
    static PgCopySource open(Database db, String query, List<ColumnInfo> columns, Cancel cancel) throws Failure {
        PgDriver driver = PgDriver.of(db);
        if (driver == null || !isSelect(query)) {
            return null;
        }
        try {
            List<ColumnInfo> described = columns != null ? columns : ColumnInfo.describe(db, query, false, cancel);
            return new PgCopySource(db, driver, query, described, cancel);
        } catch (Failure e) {
            throw e.phase("read");
        }
    }

    /** SHOW, EXPLAIN and CALL give rows but cannot stand in a FROM; they are not worth more than the cursor. */
    static boolean isSelect(String query) {
        String start = query.stripLeading();
        return start.regionMatches(true, 0, "select", 0, 6) || start.regionMatches(true, 0, "with", 0, 4)
            || start.regionMatches(true, 0, "values", 0, 6) || start.regionMatches(true, 0, "table", 0, 5)
                || start.startsWith("(");
    }

    @Override
    public List<ColumnInfo> columns() {
        return columns;
    }

    @Override
    public void select(int[] selected) throws Failure {
        indexes = selected;
        fields = new Field[selected.length];
        List<String> list = new ArrayList<>();
        boolean whole = selected.length == columns.size();
        for (int i = 0; i < selected.length; i++) {
            ColumnInfo column = columns.get(selected[i]);
            fields[i] = field(column);
            String name = db.quote(column.name());
            list.add(fields[i] == null ? name + "::text" : name);
            whole &= fields[i] != null && selected[i] == i;
            if (fields[i] == null) {
                fields[i] = PgCopySource::text;
            }
        }
        sql = copySql(query, whole ? null : list);
        registration = cancel.onCancel(this::abort);
        try {
            copy = driver.copyOut(sql);
        } catch (SQLException e) {
            cancel.throwIfCancelled();
            throw Failure.sql("read", e, sql);
        }
    }

    /** COPY of a query's columns; {@code list} null: all of them, as they are. */
    static String copySql(String query, List<String> list) {
        String inner = list == null ? query : "SELECT " + String.join(", ", list) + " FROM (" + query + "\n) AS q";
        return "COPY (" + inner + "\n) TO STDOUT (FORMAT binary)";
    }

    /** How a type's binary form reads; null for types that are read as text. */
    private static Field field(ColumnInfo column) {
        switch (column.typeName()) {
            case "bool":
                return (bytes, at, length, cells, row) -> cells.setBool(row, bytes[at] != 0);
            case "int2":
            case "smallserial":
                return (bytes, at, length, cells, row) -> cells.setInt(row,
                    (short) (bytes[at] << 8 | bytes[at + 1] & 0xFF));
            case "int4":
            case "serial":
                return (bytes, at, length, cells, row) -> cells.setInt(row, int32(bytes, at));
            case "oid":
                return (bytes, at, length, cells, row) -> cells.setInt(row, int32(bytes, at) & 0xFFFF_FFFFL);
            case "int8":
            case "bigserial":
                return (bytes, at, length, cells, row) -> cells.setInt(row, int64(bytes, at));
            case "float4":
                return (bytes, at, length, cells, row) -> cells.setFloat(row, Float.intBitsToFloat(int32(bytes, at)));
            case "float8":
                return (bytes, at, length, cells, row) -> cells.setDouble(row,
                    Double.longBitsToDouble(int64(bytes, at)));
            case "numeric":
                return PgCopySource::numeric;
            case "text":
            case "varchar":
            case "bpchar":
            case "name":
            case "json":
                return PgCopySource::text;
            case "jsonb":
                // A version number, then the text.
                return (bytes, at, length, cells, row) -> cells.setText(row, bytes, at + 1, length - 1);
            case "bytea":
                return (bytes, at, length, cells, row) -> cells.append(row, Cells.BINARY, bytes, at, length);
            case "date":
                return PgCopySource::date;
            case "time":
                return (bytes, at, length, cells, row) -> cells.setTime(row, int64(bytes, at) * 1000);
            case "timetz":
                return (bytes, at, length, cells, row) -> cells.setTimeTz(row, int64(bytes, at) * 1000,
                    -int32(bytes, at + 8));
            case "timestamp":
                return (bytes, at, length, cells, row) -> timestamp(bytes, at, cells, row, Cells.TIMESTAMP);
            case "timestamptz":
                return (bytes, at, length, cells, row) -> timestamp(bytes, at, cells, row, Cells.TIMESTAMPTZ);
            case "uuid":
                return (bytes, at, length, cells, row) -> cells.setUuid(row, int64(bytes, at), int64(bytes, at + 8));
            default:
                return null;
        }
    }

    private static int int32(byte[] b, int at) {
        return b[at] << 24 | (b[at + 1] & 0xFF) << 16 | (b[at + 2] & 0xFF) << 8 | b[at + 3] & 0xFF;
    }

    private static long int64(byte[] b, int at) {
        return (long) int32(b, at) << 32 | int32(b, at + 4) & 0xFFFF_FFFFL;
    }

    private static int uint16(byte[] b, int at) {
        return (b[at] & 0xFF) << 8 | b[at + 1] & 0xFF;
    }

    private static void text(byte[] bytes, int at, int length, Cells cells, int row) {
        cells.setText(row, bytes, at, length);
    }

    private static void date(byte[] bytes, int at, int length, Cells cells, int row) {
        int days = int32(bytes, at);
        cells.setDate(row, days == Integer.MAX_VALUE ? Temporals.INFINITY
            : days == Integer.MIN_VALUE ? Temporals.MINUS_INFINITY : (long) days + PgBinary.EPOCH_DAYS);
    }

    private static void timestamp(byte[] bytes, int at, Cells cells, int row, byte tag) {
        long micros = int64(bytes, at);
        cells.tag[row] = tag;
        cells.c[row] = 0;
        if (micros == Long.MAX_VALUE || micros == Long.MIN_VALUE) {
            cells.a[row] = micros;
            cells.b[row] = 0;
        } else {
            cells.a[row] = Math.floorDiv(micros, 1_000_000L) + PgBinary.EPOCH_SECONDS;
            cells.b[row] = Math.floorMod(micros, 1_000_000L) * 1000;
        }
    }

    /** Base-10000 digits, the first of them worth 10000^weight. */
    private static void numeric(byte[] bytes, int at, int length, Cells cells, int row) {
        int digits = uint16(bytes, at);
        int weight = (short) uint16(bytes, at + 2);
        int sign = uint16(bytes, at + 4);
        int scale = uint16(bytes, at + 6);
        if (sign >= 0xC000) {
            cells.setDouble(row, sign == 0xC000 ? Double.NaN : sign == 0xD000 ? Double.POSITIVE_INFINITY
                : Double.NEGATIVE_INFINITY);
            return;
        }
        // Places behind the point that the groups sent reach to.
        int reach = 4 * (digits - 1 - weight);
        if (digits == 0) {
            cells.setDecimal(row, 0, scale);
            return;
        }
        if (digits <= 4 && scale <= 18 && (scale >= reach ? scale - reach : 0) + 4 * digits <= 18) {
            long value = 0;
            for (int i = 0; i < digits; i++) {
                value = value * 10_000 + uint16(bytes, at + 8 + 2 * i);
            }
            int shift = scale - reach;
            for (; shift > 0; shift--) {
                value *= 10;
            }
            // The last group may reach behind the scale, with zeros.
            for (; shift < 0; shift++) {
                value /= 10;
            }
            cells.setDecimal(row, sign == 0 ? value : -value, scale);
            return;
        }
        BigInteger value = BigInteger.ZERO;
        for (int i = 0; i < digits; i++) {
            // Up to four groups at a time fit a long.
            long part = 0;
            long power = 1;
            int end = Math.min(digits, i + 4);
            for (; i < end; i++) {
                part = part * 10_000 + uint16(bytes, at + 8 + 2 * i);
                power *= 10_000;
            }
            i--;
            value = value.multiply(BigInteger.valueOf(power)).add(BigInteger.valueOf(part));
        }
        BigDecimal exact = new BigDecimal(sign == 0 ? value : value.negate(), reach);
        cells.setDecimal(row, exact.setScale(scale));
    }

    @Override
    public boolean fill(Block block, long firstRow) throws Failure {
        int column = 0;
        try {
            PgDriver.Out running = copy;
            while (!block.isFull()) {
                byte[] message = running.read();
                if (message == null) {
                    return false;
                }
                int at = 0;
                if (!headerSeen) {
                    headerSeen = true;
                    at = SIGNATURE + 8 + int32(message, SIGNATURE + 4);
                    if (at == message.length) {
                        continue;
                    }
                }
                int count = (short) uint16(message, at);
                at += 2;
                if (count < 0) {
                    // The trailer; the end of the COPY itself follows.
                    continue;
                }
                int row = block.rows;
                for (column = 0; column < count; column++) {
                    int length = int32(message, at);
                    at += 4;
                    if (length < 0) {
                        block.columns[column].setNull(row);
                    } else {
                        fields[column].read(message, at, length, block.columns[column], row);
                        at += length;
                    }
                }
                block.rows = row + 1;
            }
            return true;
        } catch (SQLException e) {
            throw Failure.sql("read", e, sql);
        } catch (BadValue e) {
            throw Failure.value("read", columns.get(indexes[column]).name(), firstRow + block.rows, e.getMessage());
        }
    }

    @Override
    public void abort() {
        PgDriver.Out running = copy;
        if (running != null) {
            running.cancel();
        } else if (!closed) {
            driver.cancelQuery();
        }
    }

    @Override
    public void close() {
        closed = true;
        if (registration != null) {
            registration.close();
        }
        if (copy != null) {
            copy.drain();
        }
    }
}
