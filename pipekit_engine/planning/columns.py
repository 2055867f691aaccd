"""Which source column goes into which destination column: always by name, never by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.common.names import find_name
from pipekit_engine.errors import ConfigurationError, DestinationError, NotFoundError, SourceError
from pipekit_engine.models import Column as ModuleColumn
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.jrunner.protocol import KeyCells
    from pipekit_engine.models import Module
    from pipekit_engine.planning.source_columns import SourceColumns

#: Families that hold each other's values, value by value; jrunner refuses a single value that does not fit.
_KINDS = (
    {"boolean", "int16", "int32", "int64", "decimal", "float32", "float64"},
    {"date", "timestamp", "timestamptz"},
    {"time", "timetz"},
    {"binary"},
    {"interval"},
)
#: Families whose values are written as text, and so may become anything that the text says.
_TEXTUAL = frozenset({"text", "any", "other", "json", "xml", "uuid", "array", "interval"})


@dataclass(frozen=True)
class PlannedColumn:
    """A column of the run; `key` is what `pipekit_engine.jrunner.protocol.ColumnPair` says of it."""

    source: str
    dest: str
    dest_type: str
    key: KeyCells | None = None


@dataclass(frozen=True)
class Layout:
    """All columns of a run, those to be added to the destination, and what the mapping loses."""

    columns: tuple[PlannedColumn, ...]
    added: tuple[PlannedColumn, ...] = ()
    warnings: tuple[str, ...] = ()

    def dest_name(self, name: str) -> str:
        """The destination column that a name in the module means. Raises ConfigurationError."""
        return _find_column(name, self.columns, "dedupe")


def plan_columns(
    module: Module,
    source: Dialect,
    dest: Dialect,
    source_columns: Sequence[Column],
    dest_columns: Sequence[Column] | None,
    *,
    known: SourceColumns | None = None,
) -> Layout:
    """Match source columns with destination columns, and map the types of those that are new, of which `known` says more.

    Raises SourceError for a query with no or repeated column names, ConfigurationError for a `columns` entry that the query
    lacks, DestinationError naming every difference when `on_schema_change` is `fail`.
    """
    by_name = _unique_names(module, source_columns)
    wanted = _wanted(module, source, dest, by_name, dest_columns)
    existing = {column.name: column for column in dest_columns or ()}
    columns: list[PlannedColumn] = []
    warnings: list[str] = []
    missing: list[PlannedColumn] = []
    differences: list[str] = []
    for item in wanted:
        described = by_name[item.source_name]
        dest.check_identifier(item.dest_name)
        if item.dest_name in existing:
            there = existing[item.dest_name]
            if not _can_hold(there.family, described.family):
                differences.append(
                    f"column {item.dest_name} is {there.type_name}, the query gives {described.type_name}"
                )
            elif loss := dest.narrowing(there, described, source):
                warnings.append(f"column {item.dest_name} ({described.type_name} as {there.type_name}): {loss}")
            columns.append(PlannedColumn(item.source_name, item.dest_name, there.type_name))
            continue
        mapped = dest.map_type(described, source)
        own = item.dest_type or (known.types.get(item.source_name) if known else None)
        sql_type = own or mapped.sql
        warning = mapped.warning
        if known and item.source_name in known.unknown_types:
            warning = f"the destination has no type {known.unknown_types[item.source_name]}"
        if warning and not own:
            warnings.append(f"column {item.dest_name} ({described.type_name} as {sql_type}): {warning}")
        planned = PlannedColumn(item.source_name, item.dest_name, sql_type)
        columns.append(planned)
        missing.append(planned)
    if dest_columns is None:
        return Layout(tuple(columns), warnings=tuple(warnings))
    fed = {column.dest for column in columns}
    extra = [] if module.columns else [name for name in existing if name not in fed]
    added: list[PlannedColumn] = []
    if module.on_schema_change == "fail":
        differences += [f"column {column.dest} is missing" for column in missing]
        differences += [f"column {name} is not in the query" for name in extra]
    elif module.on_schema_change == "add_columns":
        added = missing
    else:
        left_out = {column.dest for column in missing}
        columns = [column for column in columns if column.dest not in left_out]
        warnings += [f"column {name} of the query is left out: the destination lacks it" for name in sorted(left_out)]
        if not columns:
            differences.append("no column of the query is in the destination")
    if module.on_schema_change != "fail" and existing:
        # A column that was renamed at the source looks like this, too.
        effect = (
            "the rows that are replaced get its default"
            if STRATEGIES[module.strategy].replaces_rows
            else "it stays as it is"
        )
        warnings += [f"column {name} of the destination is not in the query: {effect}" for name in extra]
    if differences:
        raise DestinationError(
            f"The destination {module.dest_table} does not fit the query of module {module.name}: {'; '.join(differences)}. "
            "Change one of them, list the `columns` to move, or set on_schema_change to add_columns or ignore."
        )
    return Layout(tuple(columns), tuple(added), tuple(warnings))


def resolve_key(module: Module, columns: Sequence[PlannedColumn]) -> tuple[str, ...]:
    """The merge key in destination names. Raises ConfigurationError for a key column that the query lacks."""
    return tuple(_find_column(name, columns, f"module {module.name}: merge_key") for name in module.merge_key)


def key_columns_of_source(
    columns: Sequence[PlannedColumn], key: Sequence[str], source_columns: Sequence[Column]
) -> list[Column]:
    """The source's columns that become those of a key of the destination."""
    names = {column.dest: column.source for column in columns}
    described = {column.name: column for column in source_columns}
    return [described[names[name]] for name in key]


def _unique_names(module: Module, columns: Sequence[Column]) -> dict[str, Column]:
    if not columns:
        raise SourceError(f"The query of module {module.name} gives no columns.")
    by_name: dict[str, Column] = {}
    repeated: dict[str, None] = {}
    for column in columns:
        if column.name in by_name:
            repeated[column.name] = None
        by_name[column.name] = column
    if repeated:
        raise SourceError(
            f"The query of module {module.name} gives several columns named {', '.join(repeated)}. "
            "Name them apart with AS: columns are matched by name."
        )
    return by_name


def _wanted(
    module: Module,
    source: Dialect,
    dest: Dialect,
    by_name: dict[str, Column],
    dest_columns: Sequence[Column] | None,
) -> list[ModuleColumn]:
    """The columns to move, their destination names in the destination's own spelling."""
    there = [column.name for column in dest_columns or ()]
    if module.columns:
        wanted = []
        for item in module.columns:
            name = find_name(item.source_name, by_name)
            if name is None:
                raise ConfigurationError(
                    f"module {module.name}: columns: {NotFoundError('query column', item.source_name, by_name)}"
                )
            dest_name = find_name(item.dest_name, there) or item.dest_name
            wanted.append(item.model_copy(update={"source_name": name, "dest_name": dest_name}))
    else:
        wanted = [
            ModuleColumn(source_name=name, dest_name=find_name(name, there) or dest.column_name_from(source, name))
            for name in by_name
        ]
    seen: dict[str, str] = {}
    for item in wanted:
        clash = seen.setdefault(dest.compared_column(item.dest_name), item.source_name)
        if clash != item.source_name:
            raise DestinationError(
                f"module {module.name}: the columns {clash} and {item.source_name} would both become {item.dest_name}. "
                "Give one of them another dest_name in `columns`."
            )
    return wanted


def _find_column(name: str, columns: Sequence[PlannedColumn], what: str) -> str:
    by_dest = find_name(name, [column.dest for column in columns])
    if by_dest is not None:
        return by_dest
    by_source = find_name(name, [column.source for column in columns])
    if by_source is not None:
        return next(column.dest for column in columns if column.source == by_source)
    raise ConfigurationError(f"{what}: {NotFoundError('column', name, [column.dest for column in columns])}")


def _can_hold(dest: str, source: str) -> bool:
    if dest == source or dest in _TEXTUAL or source in _TEXTUAL:
        return True
    return any(dest in kind and source in kind for kind in _KINDS)
