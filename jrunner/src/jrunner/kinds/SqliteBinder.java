package jrunner.kinds;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Locale;
import jrunner.transfer.Binder;
import jrunner.transfer.Target;
import jrunner.types.BadValue;
import jrunner.types.Cells;
import jrunner.types.Convert;
import jrunner.types.Decimals;
import jrunner.types.Family;

/**
 * Binds cells for SQLite, where the value and the column's affinity decide together what is stored. Whatever SQLite
 * would change on the way in (a long decimal into a double, text that looks like a number into a number, NaN into NULL)
 * is refused instead; between two SQLite databases cells keep the storage class that they have.
 */
final class SqliteBinder implements Binder {
    /** Digits that survive a double and back. */
    private static final int REAL_DIGITS = 15;

    private enum Affinity { INTEGER, TEXT, BLOB, REAL, NUMERIC }

    private final Target target;
    private final Convert convert;
    private final Affinity affinity;
    private final boolean textual;
    private final boolean temporal;
    private final Decimals number = new Decimals();
    private final Cells scratch = new Cells(1);

    SqliteBinder(Target target) {
        this.target = target;
        this.convert = target.convert;
        this.affinity = affinity(target.info.typeName().toUpperCase(Locale.ROOT));
        this.textual = target.family == Family.TEXT || target.family == Family.JSON;
        this.temporal = target.family.isTemporal();
    }

    /** SQLite's rules, in its order: "Determination Of Column Affinity" in its documentation. */
    private static Affinity affinity(String type) {
        if (type.contains("INT")) {
            return Affinity.INTEGER;
        }
        if (type.contains("CHAR") || type.contains("CLOB") || type.contains("TEXT")) {
            return Affinity.TEXT;
        }
        if (type.contains("BLOB") || type.isEmpty()) {
            return Affinity.BLOB;
        }
        if (type.contains("REAL") || type.contains("FLOA") || type.contains("DOUB")) {
            return Affinity.REAL;
        }
        return Affinity.NUMERIC;
    }

    private boolean numeric() {
        return affinity == Affinity.INTEGER || affinity == Affinity.REAL || affinity == Affinity.NUMERIC;
    }

    @Override
    public void bind(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue {
        switch (cells.tag[row]) {
            case Cells.BOOL:
            case Cells.INT:
                integer(statement, index, cells, row);
                return;
            case Cells.DOUBLE:
            case Cells.FLOAT:
                real(statement, index, cells, row);
                return;
            case Cells.DECIMAL:
            case Cells.BIG:
                convert.decimal(cells, row);
                if (numeric()) {
                    decimal(statement, index);
                } else {
                    convert.utf8(cells, row);
                    setText(statement, index);
                }
                return;
            case Cells.TEXT:
                text(statement, index, cells, row);
                return;
            case Cells.BINARY:
                if (!target.isSameKind && target.family != Family.BINARY && target.family != Family.ANY
                        && target.family != Family.UUID) {
                    throw new BadValue("a binary value cannot stand in a column declared " + target.info.typeName());
                }
                statement.setBytes(index, cells.bytesAt(row));
                return;
            default:
                moment(statement, index, cells, row);
        }
    }

    private void integer(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue {
        long value = cells.a[row];
        if (target.family == Family.BOOLEAN && !target.isSameKind) {
            target.bool(cells, row);
        }
        if (temporal && !target.isSameKind) {
            throw new BadValue("the number " + value + " is no " + target.family.label() + ": convert it in the query");
        }
        if (affinity == Affinity.REAL) {
            convert.float64(cells, row);
        }
        if (affinity == Affinity.TEXT) {
            convert.utf8(cells, row);
            setText(statement, index);
        } else {
            statement.setLong(index, value);
        }
    }

    private void real(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue {
        double value = cells.doubleAt(row);
        if (Double.isNaN(value) && affinity != Affinity.TEXT) {
            throw new BadValue("NaN would become NULL, which is what SQLite makes of it");
        }
        if (numeric()) {
            target.checkZero(value);
        }
        if (target.family.isInteger() && !target.isSameKind) {
            statement.setLong(index, target.integer(cells, row));
        } else if (affinity == Affinity.TEXT) {
            convert.utf8(cells, row);
            setText(statement, index);
        } else {
            statement.setDouble(index, value);
        }
    }

    /**
     * The number in {@code convert.decimal} into a column that stores numbers: as an integer, or as a double if that is
     * exact.
     */
    private void decimal(PreparedStatement statement, int index) throws SQLException, BadValue {
        Decimals value = convert.decimal;
        if (value.isSpecial) {
            if (Double.isNaN(value.special)) {
                throw new BadValue("NaN would become NULL, which is what SQLite makes of it");
            }
            statement.setDouble(index, value.special);
            return;
        }
        BigDecimal exact = value.bigDecimal().stripTrailingZeros();
        if (exact.scale() <= 0 && exact.precision() - exact.scale() <= 19 && affinity != Affinity.REAL) {
            BigInteger whole = exact.toBigIntegerExact();
            if (whole.bitLength() < 64) {
                statement.setLong(index, whole.longValue());
                return;
            }
        }
        if (exact.precision() > REAL_DIGITS || Double.isInfinite(exact.doubleValue())) {
            throw new BadValue(value + " has " + exact.precision() + " digits, of which SQLite keeps " + REAL_DIGITS
                + " in a column declared "
                + target.info.typeName() + ": declare it TEXT");
        }
        if (target.family.isInteger()) {
            throw new BadValue(value + " is not an integer that fits");
        }
        statement.setDouble(index, exact.doubleValue());
    }

    private void text(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue {
        if (!target.isSameKind && target.family == Family.BINARY) {
            throw new BadValue("text cannot become binary: encode it in the query");
        }
        if (!target.isSameKind && temporal) {
            if (target.family == Family.TIME || target.family == Family.TIMETZ) {
                target.timeTz(cells, row);
            } else {
                target.timestampTz(cells, row);
            }
        }
        if (!target.isSameKind && target.family == Family.BOOLEAN) {
            statement.setInt(index, target.bool(cells, row) ? 1 : 0);
            return;
        }
        boolean isNumber = numeric() && number.parse(cells.data, (int) cells.a[row], cells.c[row]) && !number.isSpecial;
        if (isNumber) {
            if (textual || temporal) {
                throw new BadValue("SQLite would make a number of the text " + BadValue.show(cells.textAt(row))
                    + " in a column declared "
                    + target.info.typeName() + ": declare it TEXT");
            }
            convert.decimal(cells, row);
            decimal(statement, index);
            return;
        }
        if (!target.isSameKind && (target.family.isInteger() || target.family == Family.DECIMAL
                || target.family == Family.FLOAT64)) {
            // Only the specials of floating point are numbers here; all else is refused by name.
            double value = convert.float64(cells, row);
            scratch.setDouble(0, value);
            real(statement, index, scratch, 0);
            return;
        }
        convert.utf8(cells, row);
        setText(statement, index);
    }

    /** Dates, times and UUIDs: ISO text. */
    private void moment(PreparedStatement statement, int index, Cells cells, int row) throws SQLException, BadValue {
        if (target.family.isInteger() || target.family == Family.DECIMAL || target.family == Family.FLOAT64
                || target.family == Family.BOOLEAN) {
            throw new BadValue("a " + Cells.nameOf(cells.tag[row]) + " value cannot stand in a column declared "
                + target.info.typeName());
        }
        if (target.family == Family.BINARY) {
            convert.binary(cells, row);
            statement.setBytes(index, java.util.Arrays.copyOfRange(convert.bytes, convert.from, convert.from
                + convert.length));
            return;
        }
        if (target.family == Family.DATE) {
            scratch.setDate(0, target.date(cells, row));
            convert.utf8(scratch, 0);
        } else {
            convert.utf8(cells, row);
        }
        setText(statement, index);
    }

    private void setText(PreparedStatement statement, int index) throws SQLException, BadValue {
        statement.setString(index, convert.string());
    }
}
