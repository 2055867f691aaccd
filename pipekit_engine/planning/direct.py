"""Whether the rows can go straight into the destination, in the merge's transaction, instead of into staging first.

It is done only where staging would add nothing: no rule of a run asks staged rows something that the load's own transaction
cannot answer before its commit. Whatever else a run promises stays: the rows are counted inside of the transaction, which is
inside of the module's fence, and commits only while the run holds its lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.planning.plan import DirectLoad
from pipekit_engine.strategies import STRATEGIES, Merge, MergeStatement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module


def plan_direct(
    module: Module,
    dest: Dialect,
    rows: Merge,
    merge: Sequence[MergeStatement],
    *,
    first: Sequence[MergeStatement],
    indexes: Sequence[str],
    creates: bool,
    adds_columns: bool,
    needs_setup: bool,
    compares_rows: bool,
    compares_keys: bool,
    triggers: Sequence[str],
    obstacle: str | None,
) -> tuple[DirectLoad | None, str]:
    """The load without staging of a module that allows it, or None and why not.

    `merge` holds the statements that write all rows, among them the insert of the staged ones, whose place the rows take; `first`
    what comes before them in the transaction, and `indexes` what a new table gets once it is filled. `compares_rows`: only rows
    that differ are written. `compares_keys`: keys are compared, or written anew, in staging. `obstacle` is what databases told.
    """
    if module.staging == "always":
        return None, ""
    strategy = STRATEGIES[module.strategy]

    def reasons() -> Iterator[tuple[object, str]]:
        yield obstacle, obstacle or ""
        yield not dest.capabilities.loads_directly, f"a destination of kind {dest.kind} is filled from staging"
        yield module.resume_every is not None, "`resume_every` keeps what was staged"
        yield module.verify == "values", "`verify: values` reads staging back"
        yield any(check.on == "staging" for check in module.checks), "checks ask the staged rows"
        yield module.dedupe != "none", "`dedupe` compares staged rows"
        yield module.partition, "rows of a partition are checked in staging"
        yield compares_keys, "keys are compared in staging"
        if creates:
            commits = not dest.capabilities.transactional_ddl or needs_setup
            yield commits, f"{dest.label} commits DDL at once, so the new table would be seen empty"
            unique = any(sql.startswith("CREATE UNIQUE") or " ADD PRIMARY KEY (" in sql for sql in indexes)
            yield strategy.unique_key and not unique, "no unique index can hold the key"
            return
        yield not strategy.loads_directly, f"strategy {module.strategy} compares the destination with staged rows"
        yield rows.key, "the key is checked in staging"
        yield compares_rows, "only rows that differ are written"
        yield adds_columns, "columns are added, which would lock readers out for as long as the source is read"
        yield module.max_shrink_percent is not None, "`max_shrink_percent` counts staged rows"
        yield triggers, f"triggers of the destination ({', '.join(triggers)}) may change or keep rows"

    for applies, why in reasons():
        if applies:
            return None, why
    (at,) = [index for index, item in enumerate(merge) if item.expected == "staged" and not item.is_count]
    behind = list(merge[at + 1 :])
    if creates:
        behind += [rows.total(), *(MergeStatement(sql) for sql in indexes)]
    why = "the destination is new" if creates else f"strategy {module.strategy} without a key"
    return DirectLoad(why, (*first, *merge[:at]), tuple(behind)), ""
