"""The columns of a destination that want an index: what merges look up, the key or the partition, and what watermarks ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.common.names import find_name
from pipekit_engine.common.partitions import BOUNDS
from pipekit_engine.databases.names import quoted_name, split_name
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sql.comparisons import uses
from pipekit_engine.sql.greatest import greatest_columns
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module


def watermark_columns(module: Module, dest: Dialect, names: Collection[str]) -> tuple[str, ...]:
    """The destination's columns whose greatest value a watermark's resolver asks for; `names` are all that it has."""
    table = dest.table_name(module.dest_table)
    found = []
    for watermark in module.watermarks:
        if watermark.connection != module.dest:
            continue
        for origin in greatest_columns(watermark.resolver_sql, dest.capabilities.syntax):
            try:
                asked = dest.table_name(quoted_name(origin.table))
            except ConfigurationError:
                continue
            same = asked.name.casefold() == table.name.casefold() and asked.schema in (table.schema, None)
            name = find_name(origin.column, names)
            if same and name is not None:
                found.append(name)
    return tuple(dict.fromkeys(found))


def wanted_indexes(
    module: Module, dest: Dialect, names: Collection[str], key: Sequence[str]
) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The indexes that runs of a module want: columns, and `key`, `part` or `mark`. One serves its first column, too."""
    wanted: list[tuple[tuple[str, ...], str]] = []
    if STRATEGIES[module.strategy].needs_key and key:
        wanted.append((tuple(key), "key"))
    partition = _partition_column(module, names)
    if partition is not None:
        wanted.append(((partition,), "part"))
    first = {columns[0] for columns, _ in wanted}
    wanted += [((name,), "mark") for name in watermark_columns(module, dest, names) if name not in first]
    return tuple(wanted)


def _partition_column(module: Module, names: Collection[str]) -> str | None:
    """The destination's column by which a merge finds the rows of its partition; None without partitions."""
    if module.partition is None:
        return None
    renamed = {item.source_name: item.dest_name for item in module.columns}
    given = find_name(module.partition.column, renamed)
    return find_name(renamed[given] if given is not None else module.partition.column, names)


@dataclass(frozen=True)
class MissingIndex:
    """Columns of an existing destination without an index, and the DDL for one; None where their types take none."""

    columns: tuple[str, ...]
    purpose: str
    ddl: str | None

    def warning(self, module: str, table: str) -> str:
        """The warning of a plan."""
        use = "each run asks the greatest value of" if self.purpose == "mark" else "each merge looks up"
        way = f"{self.ddl} (pipekit tables fix {module} does it)" if self.ddl else "their types take none"
        return f"{table} has no index on {', '.join(self.columns)}, which {use}: {way}"


def is_indexed(columns: Collection[str], indexes: Iterable[Sequence[str]]) -> bool:
    """Whether an index begins with one of the columns. Whether it is the best one is the database's to tell."""
    return any(index[0] in columns for index in indexes)


def missing_indexes(
    module: Module, dest: Dialect, key: Sequence[str], columns: Sequence[Column], indexes: Iterable[Sequence[str]]
) -> tuple[MissingIndex, ...]:
    """What runs of a module would need an index for in an existing destination of these columns and indexes."""
    there = list(indexes)
    types = {column.name: _sized(column) for column in columns}
    found = []
    for names, purpose in wanted_indexes(module, dest, types, key):
        if is_indexed(names, there):
            continue
        unique = STRATEGIES[module.strategy].unique_key and purpose == "key"
        ddl = dest.add_index_sql(
            dest.table_name(module.dest_table), [(name, types[name]) for name in names], unique=unique, purpose=purpose
        )
        found.append(MissingIndex(names, purpose, ddl[0] if ddl else None))
    return tuple(found)


def _sized(column: Column) -> str:
    sized = column.family in ("text", "binary") and column.precision > 0 and "(" not in column.type_name
    return f"{column.type_name}({column.precision})" if sized else column.type_name


#: A column that is compared with a placeholder as it is: an index serves no function of it.
_COMPARED = re.compile(
    r"""((?:(?!\d)[\w$#]+|"[^"]+"|`[^`]+`|\[[^\]]+\])(?:\.(?:[\w$#]+|"[^"]+"|`[^`]+`|\[[^\]]+\]))*)\s*"""
    r"""(?:>=?|<=?|\bBETWEEN\b)\s*(?:(?:DATE|TIMESTAMP|CAST\s*\(|[A-Z_]+\()\s*)*'?$""",
    re.IGNORECASE,
)


def compared_columns(module: Module, source: Dialect) -> tuple[str, ...]:
    """The columns that the query compares with its watermarks, or its partition's bounds, as the source folds their names."""
    declared = {watermark.name for watermark in module.watermarks}.union(BOUNDS if module.partition else ())
    found = []
    for use in uses(module.query, source.capabilities.syntax):
        before = _COMPARED.search(module.query[: use.position])
        if use.name in declared and before:
            last = split_name(before[1])[-1]
            found.append(last.text if last.quoted else source.fold(last.text))
    return tuple(dict.fromkeys(found))
