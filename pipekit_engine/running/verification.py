"""Checks of the staged rows before the merge, by queries that the destination answers.

Their answers also say what each statement of the merge must count (`MergeStatement.expected`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.common.text import counted
from pipekit_engine.errors import DestinationError, StagingError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.strategies.difference import MIN_SAMPLE, MIN_UNCHANGED_PERCENT

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Module
    from pipekit_engine.planning.partitions import PartitionRows
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.strategies import MergeStatement

#: Keys shown when staged keys cannot be told apart.
SAMPLE_KEYS = 5


@dataclass(frozen=True)
class MergeChoice:
    """How the staged rows are merged: the statements, what they must count, and why all rows are written where they are."""

    statements: tuple[MergeStatement, ...]
    expected: Mapping[str, int]
    only_changes: bool
    why_all: str

    @property
    def rows(self) -> int:
        """Rows that the merge brings in, or finds in the destination."""
        return self.expected["distinct"]


class StagedRows:
    """The rows in the staging table of a run."""

    def __init__(self, session: Session, handle: str, plan: RunPlan, cancel: threading.Event) -> None:
        self._session = session
        self._handle = handle
        self._plan = plan
        self._cancel = cancel
        #: Answers of queries that were asked with others, by their SQL.
        self._known: dict[str, int] = {}

    def count(self) -> int:
        """How many there are. Raises StagingError. What `verify` asks of them in any case is asked in the same statement."""
        checks, difference = self._plan.checks, self._plan.difference
        distinct = checks.distinct_keys or (difference.distinct_keys if difference is not None else None)
        asked = [sql for sql in (checks.count, checks.null_keys, distinct) if sql is not None]
        self._known = dict(zip(asked, self._ask_all(asked), strict=True))
        return self._known[checks.count]

    def verify(self, module: Module, staged: int, rows_read: int) -> MergeChoice:
        """Refuse rows that must not be merged, and return the statements that merge the others with what each must count.

        Raises StagingError when rows are missing or keys are NULL or repeated, DestinationError when the destination could
        not tell the keys apart or would shrink more than the module allows.
        """
        checks = self._plan.checks
        if staged != rows_read:
            raise StagingError(
                f"The source gave {counted(rows_read, 'row')} but {staged:,} {'is' if staged == 1 else 'are'} in staging "
                f"{self._plan.staging.table}. "
                "The destination was not touched."
            )
        if checks.null_keys is not None:
            nulls = self._ask(checks.null_keys)
            if nulls:
                raise StagingError(
                    f"{nulls:,} of {counted(staged, 'staged row')} {'has' if nulls == 1 else 'have'} NULL in the merge key "
                    f"({', '.join(self._plan.key)}): they could "
                    "never be matched again and would double. Leave them out in the query, or give them a value."
                )
        if checks.partition is not None:
            self._refuse_others(checks.partition, staged)
        if checks.cut is not None:
            self._refuse_cut_keys(checks.cut)
        if checks.rewritten is not None:
            self._refuse_other_writings(checks.rewritten)
        for check in (checks.folded, checks.blurred):
            if check is not None:
                self._refuse_blurred_keys(check)
        expected = {"staged": staged, "distinct": staged, "none": 0}
        if checks.distinct_keys is not None:
            expected["distinct"] = self._ask(checks.distinct_keys)
            if expected["distinct"] != staged and module.dedupe_column is None:
                raise self._not_unique(staged - expected["distinct"])
        statements, why_all = self._choose(expected)
        only_changes = statements is not None
        if statements is None and checks.matched is not None:
            expected["matched"] = self._ask(checks.matched)
            expected["unmatched"] = expected["distinct"] - expected["matched"]
        if checks.dest_count is not None and module.max_shrink_percent is not None:
            before, after = self._ask(checks.dest_count), expected["distinct"]
            if before and (before - after) * 100 > module.max_shrink_percent * before:
                of = f", partition {checks.partition.item.key}," if checks.partition else ""
                raise DestinationError(
                    f"Replacing {counted(before, 'row')} of {self._plan.dest_table}{of} by {after:,} would shrink it by "
                    f"{(before - after) * 100 / before:.1f} %; max_shrink_percent is {module.max_shrink_percent:g}."
                )
        return MergeChoice(statements or self._plan.merge, expected, only_changes=only_changes, why_all=why_all)

    def _refuse_others(self, partition: PartitionRows, staged: int) -> None:
        """Refuse rows that the partition does not have: they would come again with their own."""
        outside = self._ask(partition.outside)
        if not outside:
            return
        nulls, (start, end) = self._ask(partition.nulls), partition.bounds
        told = [f"{nulls:,} with NULL there"] if nulls else []
        told += [f"{outside - nulls:,} not from {start} on and before {end}"] if outside > nulls else []
        raise StagingError(
            f"{outside:,} of {counted(staged, 'staged row')} {'is' if staged == 1 else 'are'} not of partition "
            f"{partition.item.key} by column {partition.column}: {', '.join(told)}. Compare that column in the query with both "
            "bounds, `>= {partition_start}` and `< {partition_end}`"
            + (", and leave rows without a value out, or give them one." if nulls else ".")
        )

    def _choose(self, expected: Mapping[str, int]) -> tuple[tuple[MergeStatement, ...] | None, str]:
        """The statements of the merge by difference; None to write all rows, and why."""
        difference = self._plan.difference
        if difference is None:
            return None, self._plan.comparison
        if self._plan.checks.distinct_keys is None and self._ask(difference.distinct_keys) != expected["staged"]:
            if difference.repeated is not None:
                return difference.repeated, ""
            return None, f"staged rows share a key ({', '.join(difference.key)}), or have none"
        if expected["staged"] >= MIN_SAMPLE * 1000 and difference.sampled and difference.unchanged:
            sampled = self._ask(difference.sampled)
            if sampled >= MIN_SAMPLE:
                unchanged = self._ask(difference.unchanged)
                if unchanged * 100 < MIN_UNCHANGED_PERCENT * sampled:
                    return None, f"of {sampled:,} staged rows of a sample only {unchanged:,} are there already"
        return difference.unique, ""

    def _ask(self, sql: str) -> int:
        return self._known[sql] if sql in self._known else self._ask_all([sql])[0]

    def _ask_all(self, queries: Sequence[str]) -> list[int]:
        """The numbers that queries give: in one statement where the destination's kind is known to take it."""
        sql = queries[0]
        if len(queries) > 1:
            if self._plan.one_row_from is None:
                return [self._ask(query) for query in queries]
            sql = f"SELECT {', '.join(f'({query})' for query in queries)}{self._plan.one_row_from}"
        try:
            (row,) = self._session.query(self._handle, sql, limit=False, cancel=self._cancel).rows
            return [int(cell or 0) for cell in row]
        except JRunnerError as error:
            raise StagingError(f"The staged rows could not be checked: {error}") from error

    def _sample_keys(self, sql: str) -> str:
        try:
            found = self._session.query(self._handle, sql, max_rows=SAMPLE_KEYS, cancel=self._cancel)
        except JRunnerError as error:
            raise StagingError(f"The staged keys could not be checked: {error}") from error
        return "; ".join("(" + ", ".join("NULL" if v is None else v for v in row) + ")" for row in found.rows)

    def _refuse_blurred_keys(self, check: str) -> None:
        sample = self._sample_keys(check)
        if sample:
            reasons = [f"Column {item.name}: {item.why}. {item.advice}" for item in self._plan.checks.coarse]
            raise DestinationError(
                f"{self._plan.dest_table} takes keys for equal that the source tells apart, such as {sample}: rows of one would "
                f"replace those of the other. {' '.join(reasons)}"
            )

    def _refuse_cut_keys(self, check: str) -> None:
        sample = self._sample_keys(check)
        if sample:
            reasons = [
                f"Column {item.name}: its type {item.type_name} keeps no blanks at the end. "
                + ("" if "RTRIM" in item.advice else "Cut them in the query (RTRIM), or change the type. ")
                + item.advice
                for item in self._plan.checks.fixed
            ]
            raise DestinationError(
                f"{self._plan.dest_table} takes keys for equal that the source tells apart, such as {sample} with a blank at its "
                f"end and the same key without. {' '.join(reasons)}"
            )

    def _refuse_other_writings(self, check: str) -> None:
        sample = self._sample_keys(check)
        if sample:
            raise DestinationError(
                f"{self._plan.dest_table} has keys that are numbers written in another way, such as 1.00 for 1: {sample}. They "
                f"would not be found, and their rows would come twice. Write them as pipekit does: {self._plan.checks.rewrite}"
            )

    def _not_unique(self, surplus: int) -> StagingError:
        sample = ""
        if self._plan.checks.duplicate_sample:
            sample = self._sample_keys(self._plan.checks.duplicate_sample)
        told = "".join(f" Column {item.name} of the destination: {item.why}." for item in self._plan.checks.coarse)
        return StagingError(
            f"{counted(surplus, 'staged row')} {'repeats' if surplus == 1 else 'repeat'} the merge key "
            f"({', '.join(self._plan.key)}) of another, such as {sample}. "
            f"Make the query's keys unique, or set dedupe to 'latest by COLUMN'.{told}"
        )
