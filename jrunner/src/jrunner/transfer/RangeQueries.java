package jrunner.transfer;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The queries of a read in ranges, as the planner wrote them: in pieces, of which a text stands for itself and a number for a
 * value of a bound. Those of the bound behind which a range begins are numbered from 0, those of the one up to which it goes follow.
 */
public final class RangeQueries {
    /** How a value of a bound becomes SQL: its form around the first group of the pattern, which all of it must match. */
    public static final class Literal {
        private final String form;
        private final Pattern pattern;

        /** @throws java.util.regex.PatternSyntaxException if {@code pattern} is none */
        public Literal(String form, String pattern) {
            this.form = form;
            this.pattern = Pattern.compile(pattern);
        }

        /** The value as SQL; null for one that is not safely written. */
        String write(String value) {
            Matcher match = value == null ? null : pattern.matcher(value);
            return match != null && match.matches() ? form.replace("{}", match.group(1).replace("'", "''")) : null;
        }
    }

    /** Connections that read side by side, at most. */
    public int lanes;
    public List<Literal> literals;
    /** Give the values of a bound; no row: there is none. */
    public List<?> firstBound;
    public List<?> nextBound;
    /** Give the rows of the range that begins with the first row, of one between two bounds, and of the one behind the last bound. */
    public List<?> first;
    public List<?> middle;
    public List<?> last;
    /** Gives the rows that are in no range; null: there are none. */
    public List<?> rest;

    /** The pieces with the values in them; null where they need none. */
    static String sql(List<?> pieces, List<String> after, List<String> upto) {
        StringBuilder sql = new StringBuilder();
        for (Object piece : pieces) {
            if (piece instanceof Number) {
                int index = ((Number) piece).intValue();
                sql.append(after == null ? upto.get(index - upto.size()) : index < after.size() ? after.get(index)
                    : upto.get(index - after.size()));
            } else {
                sql.append(piece);
            }
        }
        return sql.toString();
    }
}
