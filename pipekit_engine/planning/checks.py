"""The queries on staged rows that come before the merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.planning.plan import Checks
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module
    from pipekit_engine.planning.keys import CoarseKey, FixedKey
    from pipekit_engine.planning.partitions import PartitionRows


def plan_checks(
    module: Module,
    dest: Dialect,
    staging: str,
    dest_table: str,
    key: Sequence[str],
    *,
    creates: bool,
    counts_matches: bool,
    coarse: Sequence[CoarseKey],
    fixed: Sequence[FixedKey] = (),
    rewritten: Mapping[str, str] | None = None,
    partition: PartitionRows | None = None,
) -> Checks:
    """The checks of a run. `counts_matches`: a statement of the merge must count the staged keys that the destination has.

    `coarse` are key columns in which the destination may take for equal what the source tells apart, `fixed` are its CHAR
    columns, `rewritten` those of its texts that stand for numbers, each with the SQL of its usual text.
    """
    strategy = STRATEGIES[module.strategy]
    count = f"SELECT COUNT(*) FROM {staging}"
    shrink = None
    if module.max_shrink_percent is not None and not creates:
        shrink = f"SELECT COUNT(*) FROM {dest_table}" + (f" WHERE {partition.where}" if partition else "")
    if not key:
        return Checks(count, dest_count=shrink, partition=partition)
    names = ", ".join(dest.quote_identifier(name) for name in key)
    nulls = " OR ".join(f"{dest.quote_identifier(name)} IS NULL" for name in key)
    checked = module.dedupe != "none" or strategy.unique_key
    matched = None
    if counts_matches:
        condition = dest.in_table("s", dest_table, key)
        matched = f"SELECT COUNT(*) FROM (SELECT DISTINCT {names} FROM {staging}) s WHERE {condition}"
    folded = None
    if coarse and checked:
        exact = [dest.exact_sql(item.column, dest.quote_identifier(item.name)) for item in coarse]
        unlike = " OR ".join(f"MIN({text}) <> MAX({text})" for text in exact)
        folded = f"SELECT {names} FROM {staging} GROUP BY {names} HAVING {unlike}"
    as_read = [dest.quote_identifier(item.as_read.dest) for item in fixed]
    end_in_blanks = " OR ".join(f"{name} LIKE '% '" for name in as_read)
    return Checks(
        count,
        null_keys=f"SELECT COUNT(*) FROM {staging} WHERE {nulls}",
        distinct_keys=f"SELECT COUNT(*) FROM (SELECT DISTINCT {names} FROM {staging}) k" if checked else None,
        duplicate_sample=f"SELECT {names} FROM {staging} GROUP BY {names} HAVING COUNT(*) > 1" if checked else None,
        matched=matched,
        folded=folded,
        blurred=(
            _blurred_sql(dest, staging, dest_table, key, coarse)
            if coarse and strategy.needs_key and not creates
            else None
        ),
        coarse=tuple(coarse),
        cut=f"SELECT {', '.join(as_read)} FROM {staging} WHERE {end_in_blanks}" if fixed else None,
        fixed=tuple(fixed),
        rewritten=_rewritten_sql(dest, staging, dest_table, key, rewritten) if rewritten and not creates else None,
        rewrite=rewrite_keys_sql(dest, dest_table, rewritten) if rewritten else None,
        dest_count=shrink,
        partition=partition,
    )


def rewrite_keys_sql(dest: Dialect, table: str, keys: Mapping[str, str]) -> str:
    """Writes key columns of a table by their usual texts."""
    return f"UPDATE {table} SET {', '.join(f'{dest.quote_identifier(name)} = {usual}' for name, usual in keys.items())}"


def _rewritten_sql(
    dest: Dialect, staging: str, dest_table: str, key: Sequence[str], rewritten: Mapping[str, str]
) -> str:
    """Keys of the destination that are not written as usual, by their usual text, if that is staged."""
    quoted = {name: dest.quote_identifier(name) for name in key}
    usual = ", ".join(f"{rewritten[name]} AS {sql}" if name in rewritten else sql for name, sql in quoted.items())
    other = " OR ".join(f"{quoted[name]} <> {text}" for name, text in rewritten.items())
    return (
        f"SELECT {', '.join(quoted.values())} FROM (SELECT {usual} FROM {dest_table} WHERE {other}) d "
        f"WHERE {dest.in_table('d', staging, key)}"
    )


def _blurred_sql(dest: Dialect, staging: str, dest_table: str, key: Sequence[str], coarse: Sequence[CoarseKey]) -> str:
    """Keys of the destination that equal a staged one by its collation, and none of the staged ones exactly.

    Grouped rather than joined by the exact keys: MySQL joins long texts that no index holds row by row with row.
    """
    blurred = {item.name: item.column for item in coarse}
    quoted = {name: dest.quote_identifier(name) for name in key}
    theirs, staged, shown = [], [], []
    for number, (name, sql) in enumerate(quoted.items()):
        theirs.append(f"d.{sql}")
        staged.append(sql)
        shown.append(f"MIN(k.{sql})" if name in blurred else f"k.{sql}")
        if name in blurred:
            theirs.append(f"{dest.exact_sql(blurred[name], f'd.{sql}')} AS e{number}")
            staged.append(f"{dest.exact_sql(blurred[name], sql)} AS e{number}")
    exact = ", ".join(
        f"k.e{number}" if name in blurred else f"k.{sql}" for number, (name, sql) in enumerate(quoted.items())
    )
    return (
        f"SELECT {', '.join(shown)} FROM (SELECT {', '.join(theirs)}, 1 AS of_dest FROM {dest_table} d "
        f"WHERE {dest.in_table('d', staging, key)} "
        f"UNION ALL SELECT {', '.join(staged)}, 0 AS of_dest FROM {staging}) k GROUP BY {exact} HAVING MIN(k.of_dest) = 1"
    )
