package jrunner.kinds;

import java.sql.SQLException;
import java.util.List;
import jrunner.Failure;
import jrunner.transfer.Block;
import jrunner.transfer.Load;
import jrunner.transfer.RowSink;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.Utf8;

/** Writes into PostgreSQL through COPY. */
final class PgCopySink implements RowSink {
    private static final int CHUNK = 1 << 16;

    private final PgDriver driver;
    private final PgEncoder encoder;
    private final List<Target> targets;
    private final String sql;
    private final PgDriver.In copy;
    private Utf8 out = new Utf8(2 * CHUNK);
    private long bytes;

    PgCopySink(PgDriver driver, PgEncoder encoder, Load load) throws Failure {
        this.driver = driver;
        this.encoder = encoder;
        this.targets = load.targets;
        this.sql = "COPY " + load.table + " (" + load.columns + ") FROM STDIN " + encoder.options();
        try {
            copy = driver.copyIn(sql);
        } catch (SQLException e) {
            throw Failure.sql("write", e, sql);
        }
        encoder.header(out);
    }

    @Override
    public void write(Block block) throws Failure {
        int row = 0;
        try {
            for (; row < block.rows; row++) {
                encoder.row(block, row, out);
                if (out.length >= CHUNK) {
                    flush();
                }
            }
        } catch (BadValue e) {
            throw Failure.value("convert", targets.get(encoder.failedColumn()).name(), block.firstRow + row,
                e.getMessage());
        }
    }

    private void flush() throws Failure {
        try {
            copy.write(out.bytes, 0, out.length);
        } catch (SQLException e) {
            throw failure(e);
        }
        bytes += out.length;
        if (out.bytes.length > 16 * CHUNK) {
            // One huge value must not keep its room for ever.
            out = new Utf8(2 * CHUNK);
        }
        out.clear();
    }

    private Failure failure(SQLException thrown) {
        SQLException telling = thrown;
        try {
            // When the server ends a COPY early, the driver's write may only see a closed operation; the reason comes
            // at its end.
            if (thrown.getSQLState() == null || thrown.getSQLState().startsWith("55")) {
                copy.end();
            }
        } catch (SQLException e) {
            telling = e;
        }
        return PgDriver.copyFailure(telling, sql);
    }

    @Override
    public long finish() throws Failure {
        encoder.trailer(out);
        flush();
        try {
            return copy.end();
        } catch (SQLException e) {
            throw PgDriver.copyFailure(e, sql);
        }
    }

    @Override
    public void interrupt() {
        driver.cancelQuery();
    }

    @Override
    public void abort() {
        copy.abort();
    }

    @Override
    public long bytes() {
        return bytes;
    }
}
