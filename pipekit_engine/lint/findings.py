"""What lint can find: the rules as data, and a finding as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Rule:
    """One thing that lint looks for. An `error` is sure to fail or to lose rows, a `warning` probably is not meant, an
    `info` is worth knowing.
    """

    code: str
    level: Level
    title: str


#: Codes are never reused: people write them into their files to ignore a rule.
RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in (
        # The files
        Rule("PK001", "error", "a definition that `pipekit apply` would refuse"),
        Rule("PK002", "info", "a connection or driver that is not defined in these files, with no store to ask"),
        Rule("PK003", "info", "an ignore comment that suppresses nothing"),
        # The query and its columns
        Rule("PK101", "error", "a placeholder that no watermark fills"),
        Rule("PK102", "warning", "a watermark that the query never uses"),
        Rule("PK103", "error", "a merge key column that the query does not give"),
        Rule("PK104", "error", "a dedupe column that the query does not give"),
        Rule("PK105", "error", "an entry of `columns` whose source the query does not give"),
        Rule("PK106", "error", "a split_by column that the query does not give"),
        Rule("PK107", "error", "two columns of one name in the query"),
        Rule("PK108", "warning", "an expression in the select list without a name"),
        Rule("PK109", "error", "a query of several statements"),
        Rule("PK110", "error", "a query that changes data"),
        Rule("PK111", "info", "a query that ends in a semicolon"),
        Rule("PK112", "info", "ORDER BY in a source query"),
        Rule("PK113", "info", "SELECT * where any new source column fails the run"),
        Rule("PK114", "error", "a check that is no single SELECT"),
        Rule("PK115", "info", "parallel without split_by: the key is taken"),
        Rule("PK116", "error", "split_by ctid or rowid of a query that is not of one table"),
        # Strategies and watermarks
        Rule("PK201", "warning", "strategy full with a watermark"),
        Rule("PK202", "warning", "strategy append without a watermark"),
        Rule("PK203", "warning", "a watermark compared by `>` where `>=` costs nothing"),
        Rule("PK204", "info", "append after `>`: rows with equal values may be missed"),
        Rule("PK205", "warning", "append from `>=` without an upper bound: the newest rows come twice"),
        Rule("PK206", "warning", "append of a closed window: rows on the boundary come twice"),
        Rule("PK207", "info", "a closed window"),
        Rule("PK208", "error", "a date outside of quotes"),
        Rule("PK209", "warning", "no default for a watermark that is read from the module's own destination"),
        Rule("PK210", "warning", "a placeholder in a hook"),
        Rule("PK211", "error", "a partition whose bounds the query does not use"),
        Rule("PK212", "error", "a query that gives rows on the boundary of its partition to the earlier one, or none"),
        Rule("PK213", "error", "a partition column that the query does not give"),
        Rule("PK214", "warning", "a member of a group with partitions by number"),
        Rule("PK215", "warning", "partitions that begin in the future"),
        # Destinations
        Rule("PK301", "error", "a name that the destination cannot have"),
        Rule("PK302", "error", "several modules write a table that one of them replaces as a whole"),
        Rule("PK303", "error", "two columns that become one in the destination"),
        Rule("PK304", "warning", "a module that reads the table that it replaces or adds to"),
        # Groups
        Rule("PK401", "info", "a group that no schedule or trigger runs"),
        Rule("PK402", "info", "a module in no group"),
        Rule("PK403", "warning", "a schedule or trigger of a group with nothing to run"),
        Rule("PK404", "error", "groups that trigger each other in a circle"),
        # Secrets
        Rule("PK501", "error", "a secret written in clear in a connection"),
        Rule("PK502", "warning", "what looks like a password in SQL"),
        # With --live
        Rule("PK601", "error", "a connection that cannot be opened"),
        Rule("PK602", "error", "a query or resolver that the database refuses"),
        Rule("PK603", "error", "a destination that does not fit"),
        Rule("PK604", "warning", "a column mapping that loses something"),
        Rule("PK605", "error", "a module that cannot be planned"),
        Rule("PK606", "warning", "times that are kept as texts and compared as texts, though their order is another"),
        Rule("PK607", "warning", "a destination without an index on its key, its partitions' or a watermark's column"),
        Rule("PK608", "info", "a source without an index on the watermark's column, the partitions' or the key"),
    )
}

LEVELS: tuple[Level, ...] = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """Something that lint found. `file` and `line` are None for what stands in the store."""

    code: str
    level: Level
    #: `module flights`, `group nightly`; empty for a whole file.
    record: str
    #: The field within the record, such as `query` or `watermarks.since`; may be empty.
    field: str
    message: str
    fix: str
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """`file:line`, as editors and terminals understand it; empty for the store."""
        if self.file is None:
            return ""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        place = f"{self.place}: " if self.place else ""
        record = f"{self.record}: " if self.record else ""
        return f"{place}{self.level} {self.code}: {record}{self.message}" + (f" {self.fix}" if self.fix else "")

    def as_json(self) -> dict[str, Any]:
        """All fields, by name."""
        return asdict(self)

    @property
    def order(self) -> tuple[Any, ...]:
        """Sorts by place, then by weight."""
        return (self.file or "", self.line or 0, LEVELS.index(self.level), self.record, self.code, self.message)
