package jrunner.transfer;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import jrunner.Failure;
import jrunner.types.ColumnInfo;

/** Which source column goes to which destination column: by name, never by position. */
final class Matching {
    /** Places in the source's columns, in the order of {@link #targets}. */
    final int[] sources;
    final List<ColumnInfo> targets;

    private Matching(int[] sources, List<ColumnInfo> targets) {
        this.sources = sources;
        this.targets = targets;
    }

    /**
     * Exact names come first; else names that differ only in case match, as long as only one does.
     *
     * @throws Failure of code {@code columns} naming every column that finds no partner, or more than one
     */
    static Matching of(List<ColumnInfo> source, List<ColumnInfo> dest, TransferRequest request) throws Failure {
        List<String> problems = new ArrayList<>();
        Set<String> seen = new HashSet<>();
        List<TransferRequest.Pair> pairs = request.columns;
        if (pairs.isEmpty()) {
            pairs = new ArrayList<>();
            for (ColumnInfo column : source) {
                if (!seen.add(column.name())) {
                    problems.add("the query has two columns named '" + column.name()
                        + "': give one another name with AS");
                }
                pairs.add(new TransferRequest.Pair(column.name(), column.name(), null));
            }
        }
        int[] places = new int[pairs.size()];
        List<ColumnInfo> targets = new ArrayList<>();
        Set<Integer> taken = new HashSet<>();
        for (int i = 0; i < places.length; i++) {
            TransferRequest.Pair pair = pairs.get(i);
            places[i] = find(source, pair.source, "the query", problems);
            int target = find(dest, pair.dest, "table " + request.table, problems);
            if (target >= 0) {
                if (!taken.add(target)) {
                    problems.add("two source columns go to the column '" + dest.get(target).name() + "'");
                }
                targets.add(dest.get(target));
            }
        }
        if (places.length == 0) {
            problems.add("the query has no columns");
        }
        if (!problems.isEmpty()) {
            throw Failure.of("describe", Failure.COLUMNS,
                problems.stream().distinct().collect(Collectors.joining("; ")));
        }
        return new Matching(places, targets);
    }

    private static int find(List<ColumnInfo> columns, String name, String where, List<String> problems) {
        Map<String, Integer> exact = new HashMap<>();
        int sameButCase = -1;
        int count = 0;
        for (int i = 0; i < columns.size(); i++) {
            String candidate = columns.get(i).name();
            if (exact.putIfAbsent(candidate, i) != null && candidate.equals(name)) {
                problems.add(where + " has two columns named '" + name + "'");
            }
            if (candidate.toLowerCase(Locale.ROOT).equals(name.toLowerCase(Locale.ROOT))) {
                sameButCase = i;
                count++;
            }
        }
        if (exact.containsKey(name)) {
            return exact.get(name);
        }
        if (count == 1) {
            return sameButCase;
        }
        String names = columns.stream().map(ColumnInfo::name).limit(50).collect(Collectors.joining(", "));
        problems.add(count > 1
            ? where + " has " + count + " columns named like '" + name + "' but for case"
            : where + " has no column '" + name + "' (it has: " + names + ")");
        return -1;
    }
}
