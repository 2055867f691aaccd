"""A merge that writes only what changes: keys whose rows differ go into a small table, then those rows alone are written.

The table of changes stands beside the staging table, made and dropped with it; it is filled inside of the merge's transaction,
behind the lock. Its keys say for each what happens to the destination's rows: `INSERTED`, `REPLACED` or `DELETED`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipekit_engine.strategies.base import CHANGE, Expected, Merge, MergeStatement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column

INSERTED, REPLACED, DELETED = 1, 2, 3
#: Rows of a sample that must be there before a merge is chosen by it.
MIN_SAMPLE = 200
#: Of a sample's rows, at least so many in a hundred must be unchanged for a difference to be worth looking for. Measured (300,000
#: rows, PostgreSQL and MariaDB, on a busy machine): with 80 % changed it takes 1.1 to 2.9 times as long as writing all rows, with
#: half of them 0.75 to 1.9 times; and replacing a table of which 80 % changed logs 1.25 times what the changed rows need.
MIN_UNCHANGED_PERCENT = 20


@dataclass(frozen=True)
class Difference:
    """The merge by difference, and what decides at the run whether it is taken.

    `key` tells the rows apart. `unique` holds the statements for staged rows of which no two share a key, `repeated` those for
    rows that do; None where all rows are then written as without a difference. `sampled` counts the rows of a sample of the
    staged ones, `unchanged` those that the destination has already: when a large sample holds fewer of these than
    MIN_UNCHANGED_PERCENT, writing all rows costs less than looking for the difference.
    """

    key: tuple[str, ...]
    distinct_keys: str
    unique: tuple[MergeStatement, ...]
    repeated: tuple[MergeStatement, ...] | None = None
    sampled: str | None = None
    unchanged: str | None = None

    def behind(self, statements: Sequence[str]) -> Difference:
        """The same, after these statements."""
        first = tuple(MergeStatement(sql) for sql in statements)
        repeated = None if self.repeated is None else (*first, *self.repeated)
        return replace(self, unique=(*first, *self.unique), repeated=repeated)

    def checked_by(self, check: Sequence[MergeStatement]) -> Difference:
        """The same, with these statements at the end."""
        repeated = None if self.repeated is None else (*self.repeated, *check)
        return replace(self, unique=(*self.unique, *check), repeated=repeated)

    def always(self) -> Difference:
        """The same, whatever a sample would say: rows that are equal are left alone."""
        return replace(self, sampled=None, unchanged=None)

    @property
    def otherwise(self) -> str:
        """When all rows are written all the same."""
        when = [] if self.repeated is not None else ["staged rows share a key"]
        if self.sampled is not None:
            when.append(
                f"fewer than {MIN_UNCHANGED_PERCENT} % of a sample of {MIN_SAMPLE} or more staged rows are there already"
            )
        return f"all rows are written instead where {' or '.join(when)}"


class RowComparison:
    """SQL that tells which staged rows differ from the destination's, exactly.

    `columns` are the destination's of the merge.
    """

    def __init__(self, merge: Merge, columns: Sequence[Column], changes_sql: str) -> None:
        self.merge = merge
        self.dialect = merge.dialect
        self.changes_sql = changes_sql
        self._columns = columns
        self.is_unique = merge.is_unique
        self._key = [merge.dialect.quote_identifier(name) for name in merge.key]

    # What changes

    def staged_changes(self, *, with_key: bool) -> list[MergeStatement]:
        """Keys of staged rows that the destination lacks or has otherwise. `with_key`: a key that is written otherwise counts."""
        differs = self._differs("d", "s", with_key=with_key)
        keys = self._list("s")
        first = self._key[0]
        ending = self.dialect.capabilities.locking_read
        if self.is_unique:
            select = (
                f"SELECT {keys}, CASE WHEN d.{first} IS NULL THEN {INSERTED} ELSE {REPLACED} END FROM {self.merge.rows_sql} s "
                f"LEFT JOIN {self.merge.dest_sql} d ON {self._match('d', 's')} WHERE d.{first} IS NULL OR {differs}{ending}"
            )
        else:
            # Grouped, as a key may have several rows in the destination: then all of them are written anew.
            matched = (
                f"SELECT {keys}, COUNT(*) AS pipekit_rows, MAX(CASE WHEN {differs} THEN 1 ELSE 0 END) AS pipekit_differs "
                f"FROM {self.merge.rows_sql} s JOIN {self.merge.dest_sql} d ON {self._match('d', 's')} GROUP BY {keys}{ending}"
            )
            select = (
                f"SELECT {keys}, CASE WHEN m.{first} IS NULL THEN {INSERTED} ELSE {REPLACED} END FROM {self.merge.rows_sql} s "
                f"LEFT JOIN ({matched}) m ON {self._match('m', 's')} "
                f"WHERE m.{first} IS NULL OR m.pipekit_rows > 1 OR m.pipekit_differs = 1"
            )
        return self._tuned(self._fill(select))

    def all_changes(self) -> list[MergeStatement]:
        """As `staged_changes`, and the keys of the destination that are not staged."""
        if self.dialect.capabilities.full_join:
            keys = ", ".join(f"COALESCE(s.{name}, d.{name})" for name in self._key)
            first = self._key[0]
            change = (
                f"CASE WHEN d.{first} IS NULL THEN {INSERTED} WHEN s.{first} IS NULL THEN {DELETED} ELSE {REPLACED} END"
            )
            return self._tuned(
                self._fill(
                    f"SELECT {keys}, {change} FROM {self.merge.rows_sql} s FULL JOIN {self.merge.dest_sql} d "
                    f"ON {self._match('d', 's')} WHERE d.{first} IS NULL OR s.{first} IS NULL "
                    f"OR {self._differs('d', 's', with_key=True)}"
                )
            )
        # Where the destination has as many rows as were matched, none is gone: the search for them costs as much as all the rest.
        staged = f"(SELECT COUNT(*) FROM {self.merge.rows_sql} s)"
        matched = (
            f"{staged} - (SELECT COUNT(*) FROM {self.changes_sql} "
            f"WHERE {self.dialect.quote_identifier(CHANGE)} = {INSERTED})"
        )
        absent = self.dialect.in_table("d", self.merge.staging_sql, self.merge.key, negated=True)
        gone = (
            f"SELECT {self._list('d')}, {DELETED} FROM {self.merge.dest_sql} d "
            f"WHERE (SELECT COUNT(*) FROM {self.merge.dest_sql} a) > {matched} AND {absent}"
        )
        search = self._fill(gone + self.dialect.capabilities.locking_read)
        return [*self.staged_changes(with_key=True), replace(search, known=staged)]

    def repeated_changes(self) -> MergeStatement | None:
        """Keys whose rows, taken together, are not the destination's: every row counts as often as it is there.

        None where the kind cannot group the rows.
        """
        grouped = self._grouped()
        if grouped is None:
            return None
        staged, there, groups = grouped
        keys = ", ".join(f"k{number}" for number in range(len(self._key)))
        # Derby forgets the names of a union's columns where one side has others.
        named, named_there = (
            ", ".join(f"{table}.{name} AS k{number}" for number, name in enumerate(self._key)) for table in "sd"
        )
        matched = self.dialect.in_table("d", self.merge.staging_sql, self.merge.key)
        return self._fill(
            f"SELECT DISTINCT {keys}, {REPLACED} FROM (SELECT {keys} FROM (SELECT {named}, {', '.join(staged)}, "
            f"1 AS pipekit_rows FROM {self.merge.staging_sql} s UNION ALL SELECT {named_there}, {', '.join(there)}, "
            f"-1 AS pipekit_rows FROM {self.merge.dest_sql} d WHERE {matched}) u GROUP BY {keys}, {', '.join(groups)} "
            f"HAVING SUM(pipekit_rows) <> 0) r"
        )

    def _grouped(self) -> tuple[list[str], list[str], list[str]] | None:
        """What a row is grouped by: staged values with aliases, the destination's, the aliases; None where the kind cannot."""
        staged: list[str] = []
        there: list[str] = []
        groups: list[str] = []
        for column in self._columns:
            name = self.dialect.quote_identifier(column.name)
            exact = self.dialect.grouped_values_sql(column, f"s.{name}")
            old = self.dialect.grouped_values_sql(column, f"d.{name}")
            if exact is None or old is None:
                return None
            for left, right in zip(exact, old, strict=True):
                alias = f"v{len(groups)}"
                staged.append(f"{left} AS {alias}")
                there.append(f"{right} AS {alias}")
                groups.append(alias)
        return staged, there, groups

    def _tuned(self, fill: MergeStatement) -> list[MergeStatement]:
        """The statement between those that let the database join all rows by the order of their keys, where that is quicker."""
        tuned = self.dialect.join_in_order_sql(self.merge.dest_sql, self.merge.key[0]) if self.is_unique else None
        before, after = tuned or ((), ())
        return [*map(MergeStatement, before), fill, *map(MergeStatement, after)]

    def _fill(self, select: str) -> MergeStatement:
        names = ", ".join((*self._key, self.dialect.quote_identifier(CHANGE)))
        return MergeStatement(f"INSERT INTO {self.changes_sql} ({names}) {select}")

    # What is written

    def counted(self, name: Expected, *changes: int) -> MergeStatement:
        """How many keys have one of the `changes`, as the count that later statements expect by this name."""
        listed = ", ".join(str(change) for change in changes)
        column = self.dialect.quote_identifier(CHANGE)
        return MergeStatement(
            f"SELECT COUNT(*) FROM {self.changes_sql} WHERE {column} IN ({listed})", is_count=True, gives=name
        )

    def delete_changed(self) -> MergeStatement:
        """Deletes the destination's rows of all keys in the table of changes."""
        sql = self.dialect.delete_matching_sql(self.merge.dest_sql, self.changes_sql, self.merge.key)
        return MergeStatement(sql, "deleted", "outdated" if self.is_unique else None)

    def insert_changed(self) -> MergeStatement:
        """Inserts the staged rows of all keys in the table of changes."""
        return self._insert(None, "arriving")

    def insert_new(self) -> MergeStatement:
        """Inserts the staged rows whose keys the destination lacks."""
        return self._insert(f"{self.dialect.quote_identifier(CHANGE)} = {INSERTED}", "arriving")

    def _insert(self, where: str | None, expected: Expected) -> MergeStatement:
        select = ", ".join(f"s.{self.dialect.quote_identifier(name)}" for name in self.merge.columns)
        condition = self.dialect.in_table("s", self.changes_sql, self.merge.key, where=where)
        sql = self.merge.insert_rows(f"SELECT {select} FROM {self.merge.rows_sql} s WHERE {condition}")
        return MergeStatement(sql, "inserted", expected)

    def staged_of_changed_keys(self) -> MergeStatement:
        """How many staged rows have a key in the table of changes, as `arriving`."""
        condition = self.dialect.in_table("s", self.changes_sql, self.merge.key)
        return MergeStatement(
            f"SELECT COUNT(*) FROM {self.merge.rows_sql} s WHERE {condition}", is_count=True, gives="arriving"
        )

    def update_changed(self, others: Sequence[str]) -> MergeStatement:
        """Updates the destination's rows of keys that both sides have."""
        condition = self.dialect.in_table("c", self.changes_sql, self.merge.key)
        rows = f"(SELECT {self.merge.column_list} FROM {self.merge.rows_sql} c WHERE {condition})"
        return replace(self.merge.update_matched(others, rows_sql=rows), expected="outdated")

    # What was written

    def altered(self, *, only_changes: bool, with_key: bool) -> str:
        """A query for the staged rows of which the destination holds no equal one once all is written."""
        written = f"{self.dialect.in_table('s', self.changes_sql, self.merge.key)} AND " if only_changes else ""
        return (
            f"SELECT COUNT(*) FROM {self.merge.rows_sql} s WHERE {written}NOT EXISTS "
            f"(SELECT 1 FROM {self.merge.dest_sql} d WHERE {self._alike(with_key=with_key)})"
        )

    def altered_without_key(self) -> str | None:
        """As `altered`, for a destination that holds the staged rows and no other; None where the kind cannot group them."""
        grouped = self._grouped()
        if grouped is None:
            return None
        staged, there, groups = grouped
        return (
            f"SELECT COUNT(*) FROM (SELECT 1 AS pipekit_group FROM (SELECT {', '.join(staged)}, 1 AS pipekit_rows FROM "
            f"{self.merge.rows_sql} s UNION ALL SELECT {', '.join(there)}, -1 FROM {self.merge.dest_sql} d) u "
            f"GROUP BY {', '.join(groups)} HAVING SUM(pipekit_rows) > 0) r"
        )

    def _alike(self, *, with_key: bool) -> str:
        return f"{self._match('d', 's')} AND NOT ({self._differs('d', 's', with_key=with_key)})"

    # Whether it pays

    def decide(
        self, unique: Sequence[MergeStatement], *, repeated: Sequence[MergeStatement] | None = None
    ) -> Difference:
        """The difference of these statements, behind the lock, with what decides whether it is taken."""
        sampled, unchanged = self._sample()
        return Difference(
            key=tuple(self.merge.key),
            distinct_keys=self._distinct_keys(),
            unique=(*self.merge.lock(), *unique),
            repeated=(*self.merge.lock(), *repeated) if repeated else None,
            sampled=sampled,
            unchanged=unchanged,
        )

    def _distinct_keys(self) -> str:
        """A query for the number of staged keys; none has a NULL in it."""
        names = ", ".join(self._key)
        present = " AND ".join(f"{name} IS NOT NULL" for name in self._key)
        return f"SELECT COUNT(*) FROM (SELECT DISTINCT {names} FROM {self.merge.staging_sql} WHERE {present}) k"

    def _sample(self) -> tuple[str, str] | tuple[None, None]:
        """Queries for the rows of a sample, and for those of them that the destination has already."""
        sample = self.dialect.sample_sql(self.merge.staging_sql, "s", self.merge.key)
        if sample is None:
            return None, None
        alike = self._alike(with_key=True)
        return (
            f"SELECT COUNT(*) FROM {sample}",
            f"SELECT COUNT(*) FROM {sample} WHERE EXISTS (SELECT 1 FROM {self.merge.dest_sql} d WHERE {alike})",
        )

    def _differs(self, left: str, right: str, *, with_key: bool) -> str:
        conditions = []
        for column in self._columns:
            if column.name in self.merge.key and not with_key:
                continue
            name = self.dialect.quote_identifier(column.name)
            ours, theirs = f"{left}.{name}", f"{right}.{name}"
            if column.name in self.merge.key and self.dialect.exact_values_sql(column, ours) == (ours,):
                continue  # The rows were joined by just that.
            conditions += self.dialect.differs_sql(column, ours, theirs)
        return " OR ".join(conditions) if conditions else "1 = 0"

    def _match(self, left: str, right: str) -> str:
        return self.dialect.key_match(left, right, self.merge.key)

    def _list(self, row: str) -> str:
        return ", ".join(f"{row}.{name}" for name in self._key)
