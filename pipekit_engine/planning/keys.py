"""Which keys are the same. A key is what the source holds for one: texts that differ there are different keys.

A table that a run makes gets key columns that tell all texts apart, where the destination has such a type. In any other
column, of a table of one's own or of a kind whose texts ignore blanks at the end, the run compares the keys themselves before
the merge, and refuses those that the destination would take for one another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipekit_engine.common.columns import Column
from pipekit_engine.errors import DestinationError
from pipekit_engine.planning.columns import PlannedColumn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Catalog
    from pipekit_engine.jrunner.protocol import KeyCells
    from pipekit_engine.models import Module

#: Families whose values are texts; citext is a type of PostgreSQL's extensions.
_TEXTS = frozenset({"text", "other"})
#: Families of a source whose values may be any texts.
_ANY_TEXTS = frozenset({"text", "other", "any"})
#: Types of texts, as they are written.
_TEXT_NAME = re.compile(r"char|text|clob|large object", re.I)
#: java.sql.Types.CHAR and NCHAR, and how such a type is written.
_FIXED_JDBC = frozenset({1, -15})
_FIXED_NAME = re.compile(
    r"(?:national\s+)?(?:n?char|character|bpchar)\b(?!\s*(?:varying|large|\(\d+\)\s*for bit))", re.I
)


@dataclass(frozen=True)
class KeyFacts:
    """What both databases said of texts in keys. None: they were not asked, and descriptions have to do.

    `coarse`: columns of an existing destination that may take different texts for equal, and why. `folding`: columns of the
    query whose own collation takes texts for equal by more than blanks at the end. `exact_collation`: for new key columns;
    `setup` makes it.
    """

    coarse: Mapping[str, str] | None = None
    folding: frozenset[str] | None = None
    exact_collation: str | None = None
    setup: tuple[str, ...] = ()


@dataclass(frozen=True)
class CoarseKey:
    """A key column of the destination that may take for equal what the source tells apart; why, and what to do about it."""

    column: Column
    why: str
    advice: str

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name


@dataclass(frozen=True)
class FixedKey:
    """A key column of the destination that takes blanks off the end of its texts, or fills them up: CHAR(n).

    Once stored, `a` cannot be told from `a` with a blank behind it, so the key is staged a second time: `as_read`.
    """

    name: str
    type_name: str
    as_read: PlannedColumn
    advice: str


@dataclass(frozen=True)
class KeyColumn:
    """A column of the key: as planned, as the query gives it, and as an existing destination has it."""

    planned: PlannedColumn
    given: Column
    own: Column | None


def key_columns(
    columns: Sequence[PlannedColumn],
    key: Sequence[str],
    source_columns: Sequence[Column],
    dest_columns: Sequence[Column] | None,
) -> tuple[KeyColumn, ...]:
    """The columns of `key`, in the order of `columns`."""
    given = {column.name: column for column in source_columns}
    there = {column.name: column for column in dest_columns or ()}
    return tuple(KeyColumn(item, given[item.source], there.get(item.dest)) for item in columns if item.dest in key)


def ask_key_facts(
    module: Module,
    source: tuple[Dialect, Catalog],
    dest: tuple[Dialect, Catalog],
    *,
    source_sql: str,
    source_columns: Sequence[Column],
    dest_exists: bool,
) -> KeyFacts:
    """Ask both databases, where they can tell. Raises JRunnerError only if a connection fails."""
    if not module.merge_key:
        return KeyFacts()
    dialect, catalog = dest
    coarse = collation = None
    setup: tuple[str, ...] = ()
    if dest_exists:
        rows = catalog.ask(dialect.coarse_columns_sql(dialect.table_name(module.dest_table)))
        if rows is not None:
            coarse = {row[0]: row[1] or "its type" for row in rows if row[0] is not None}
    elif dialect.exact_collation_sql is not None:
        rows = catalog.ask(dialect.exact_collation_sql)
        collation = rows[0][0] if rows else None
        if rows == [] and dialect.new_exact_collation is not None:
            statement, collation = dialect.new_exact_collation
            setup = (statement,)
    return KeyFacts(coarse, _folding(source, source_sql, source_columns), collation, setup)


def _folding(source: tuple[Dialect, Catalog], sql: str, columns: Sequence[Column]) -> frozenset[str] | None:
    dialect, catalog = source
    texts = [column.name for column in columns if dialect.ignores_case(column)]
    rows = catalog.ask(dialect.query_collations_sql(sql, texts)) if texts else None
    if not rows:
        return None
    pairs = zip(texts, rows[0], strict=True)
    return frozenset(name for name, collation in pairs if not dialect.is_exact_collation(collation or ""))


def exact_key_types(
    module: Module,
    source: Dialect,
    dest: Dialect,
    columns: Sequence[PlannedColumn],
    key: Sequence[str],
    facts: KeyFacts,
    source_columns: Sequence[Column],
) -> tuple[PlannedColumn, ...]:
    """The columns of a new table, those of its key in types fit for it; a type that the module gives stands."""
    given = {item.dest_name for item in module.columns if item.dest_type}
    described = {column.name: column for column in source_columns}

    def fit(column: PlannedColumn) -> str:
        if source.kind == dest.kind and source.is_untyped(described[column.source]):
            return ""
        return dest.key_type(column.dest_type, facts.exact_collation)

    return tuple(
        replace(column, dest_type=fit(column)) if column.dest in key and column.dest not in given else column
        for column in columns
    )


def find_key_cells(source: Dialect, dest: Dialect, key: Sequence[KeyColumn]) -> dict[str, KeyCells]:
    """What is asked of cells of the key while they are read, by the destination's name of their column.

    An equal value is one key in a column of numbers, moments or UUIDs, though its texts are several at the source.
    """
    found: dict[str, KeyCells] = {}
    for item in key:
        there = item.own or replace(item.given, type_name=item.planned.dest_type)
        if source.is_untyped(item.given):
            if not (source.kind == dest.kind and dest.is_untyped(there)):
                found[item.planned.dest] = "single"
        elif item.given.family in _ANY_TEXTS:
            found[item.planned.dest] = "usual"
    return found


def refuse_key_types(source: Dialect, dest: Dialect, table: str, key: Sequence[KeyColumn]) -> None:
    """Raise DestinationError for a type of the destination in which keys cannot be compared, or several texts are one key."""
    for item in key:
        column = item.own or replace(item.given, name=item.planned.dest, type_name=item.planned.dest_type)
        told = (
            f"Key column {column.name} of {table} {'is' if item.own else 'would be'} {column.type_name}, and the query gives "
            f"{item.given.type_name or item.given.family}: "
        )
        if dest.incomparable_types and dest.incomparable_types.match(column.type_name):
            raise DestinationError(
                f"{told}{dest.label} cannot tell which values of that type are equal. Give the column another dest_type (a text "
                "or a number), convert it in the query, or choose another key."
            )
        as_text = item.given.family in _ANY_TEXTS or item.given.family == "json"
        same = source.kind == dest.kind and column.type_name == item.given.type_name
        # Of a moment only the usual text is taken.
        is_moment = column.family in ("timestamptz", "timetz")
        if as_text and not same and not is_moment and dest.key_writings(column) == "many":
            raise DestinationError(
                f"{told}several texts of it are one key there. Keep it in a column of text, or choose another key."
            )


def find_coarse_keys(
    source: Dialect, dest: Dialect, table: str, key: Sequence[KeyColumn], facts: KeyFacts
) -> tuple[CoarseKey, ...]:
    """Key columns in which the destination may take for equal what the source tells apart."""
    found = []
    for item in key:
        if _folds(source, item.given, facts):
            continue
        column = item.own or replace(item.given, name=item.planned.dest, type_name=item.planned.dest_type)
        if item.own is None and column.family == "any":
            column = replace(column, family="text")
        asked = facts.coarse if item.own else None
        why = dest.coarse_type(column) if asked is None else asked.get(column.name)
        if why is not None and column.family in _TEXTS:
            found.append(CoarseKey(column, why, dest.key_advice(table, column)))
    return tuple(found)


def find_fixed_keys(source: Dialect, dest: Dialect, table: str, key: Sequence[KeyColumn]) -> tuple[FixedKey, ...]:
    """CHAR columns of the key that get texts whose blanks at the end the source tells apart."""
    if not dest.binding_types:
        return ()
    found: list[FixedKey] = []
    for item in key:
        column, planned = item.given, item.planned
        fixed = item.own.jdbc_type in _FIXED_JDBC if item.own else _FIXED_NAME.match(planned.dest_type)
        if not fixed or column.family not in _ANY_TEXTS:
            continue
        if source.binding_types and column.jdbc_type in _FIXED_JDBC:
            continue
        as_read = PlannedColumn(planned.source, f"pipekit_key_{len(found)}", dest.map_type(column, source).sql)
        own = item.own or replace(column, name=planned.dest, type_name=planned.dest_type)
        found.append(FixedKey(planned.dest, own.type_name, as_read, dest.key_advice(table, own)))
    return tuple(found)


def find_rewritten_keys(source: Dialect, dest: Dialect, table: str, key: Sequence[KeyColumn]) -> dict[str, str]:
    """Key columns whose values become texts, of which several may stand for equal values; each with its usual text, as SQL.

    As well those of types in which the destination tells apart what the source does not. Raises DestinationError where that
    cannot be had.
    """
    found = {}
    for item in key:
        column, planned = item.given, item.planned
        is_text = item.own.family == "text" if item.own else _TEXT_NAME.search(planned.dest_type)
        is_text = is_text or (dest.times_are_text and column.family in ("timestamptz", "timetz"))
        there = item.own.family if item.own else column.family
        kept = item.own is not None or planned.dest_type == dest.map_type(column, source).sql
        finer = kept and column.family not in source.finer_families and there in dest.finer_families
        writings = source.key_writings(column)
        if not (is_text or finer) or writings == "one":
            continue
        if writings == "many":
            raise DestinationError(
                f"Key column {planned.dest} of {table} would be {planned.dest_type}, and the query gives {column.type_name}, of "
                "which several texts are equal: one key would become several rows. Convert it in the query to a type with one "
                "text for each value (an instant to a timestamp in UTC, an interval to a number), or choose another key."
            )
        name = dest.quote_identifier(planned.dest)
        found[planned.dest] = dest.usual_writing_sql(writings, name) if is_text else dest.usual_value_sql(name)
    return found


def _folds(source: Dialect, column: Column, facts: KeyFacts) -> bool:
    return source.ignores_case(column) if facts.folding is None else column.name in facts.folding
