"""Strategies: each runs, its source changes, it runs again, and the destination is what the strategy's words say."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pipekit_engine.certify.bench import DB, FILE
from pipekit_engine.certify.outcomes import Broken, Check, cause
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.models import Column, Watermark
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.certify.bench import Bench

_COLUMNS = "id INTEGER NOT NULL, day INTEGER NOT NULL, name VARCHAR(40)"
_Row = tuple[int, int, str | None]
#: How databases spell that a column becomes wider; whoever makes it so is a person, never a run.
_WIDEN = (
    "ALTER TABLE {table} ALTER COLUMN {name} SET DATA TYPE VARCHAR(40)",
    "ALTER TABLE {table} ALTER COLUMN {name} VARCHAR(40)",
    "ALTER TABLE {table} MODIFY {name} VARCHAR(40)",
)


def strategy_checks() -> Iterator[Check]:
    """A check a strategy, and those of columns that come and go."""
    for name in STRATEGIES:
        yield Check("strategies", f"{name}, twice", partial(_twice, strategy=name), quick=name == "upsert")
    yield Check("strategies", "an empty source", _empty)
    yield Check("columns", "a new column is added", _added)
    yield Check("columns", "a narrow column is not overrun", _narrow)
    yield Check("columns", "a column that was made wider", _widened)


def _before() -> list[_Row]:
    return [(at, at % 7, f"name {at}" if at % 5 else None) for at in range(1, 121)]


def _after() -> list[_Row]:
    """Some rows are gone, some changed, some new."""
    kept = [row for row in _before() if row[0] % 10]
    changed: list[_Row] = [(at, day, f"changed {at}" if at % 3 == 0 else name) for at, day, name in kept]
    return [*changed, *((at, at % 7, f"new {at}") for at in range(200, 231))]


def _wanted(strategy: str, before: list[_Row], after: list[_Row]) -> list[_Row]:
    """What the second run leaves, by the strategy's own words."""
    if strategy == "append":
        return before + [row for row in after if row[0] > max(at for at, _, _ in before)]
    if strategy == "full":
        return after
    # By `day`, incremental replaces whole days; all are in the second run. By `id`, upsert leaves what the source lost.
    given = {row[0]: row for row in after}
    if strategy == "incremental":
        days = {day for _, day, _ in after}
        return [row for row in before if row[1] not in days] + after
    return [row for row in before if row[0] not in given] + after


def _twice(bench: Bench, strategy: str) -> str:
    fields: dict[str, Any] = {}
    query = "SELECT id, day, name FROM t"
    if strategy == "append":
        query += " WHERE id > {last}"
        resolver = f"SELECT MAX({bench.dialect.quote_identifier('id')}) FROM {bench.sql_name('s')}"
        fields["watermarks"] = (Watermark(name="last", connection=DB, resolver_sql=resolver, default="0"),)
    elif STRATEGIES[strategy].needs_key:
        fields["merge_key"] = ("day",) if strategy == "incremental" else ("id",)
    columns = [Column(source_name=name, dest_name=name) for name in ("id", "day", "name")]
    bench.drop("s")
    module = bench.module("strategy", query, "s", strategy, columns=columns, **fields)
    before, after = _before(), _after()
    bench.fill("t", _COLUMNS, before)
    bench.run(module)
    _expect(bench, before, "after the first run")
    bench.fill("t", _COLUMNS, after)
    bench.run(module)
    wanted = _wanted(strategy, before, after)
    _expect(bench, wanted, "after the second run")
    if strategy != "append":
        bench.run(module)
        _expect(bench, wanted, "after a run without changes")
    return f"{len(wanted)} rows"


def _expect(bench: Bench, rows: list[_Row], when: str) -> None:
    expected = sorted(
        ([str(at), str(day), name] for at, day, name in rows), key=lambda row: [cell or "" for cell in row]
    )
    found = [list(row) for row in bench.rows("s", "id", "day", "name")]
    if found != expected:
        wrong = [row for row in found if row not in expected] or [row for row in expected if row not in found]
        raise Broken(f"{when}: {len(found)} rows instead of {len(expected)}; one that differs: {wrong[:1]}")


def _empty(bench: Bench) -> str:
    """No rows in the source: full leaves none, without a word of an error."""
    bench.fill("t", _COLUMNS, _before())
    bench.drop("s")
    columns = [Column(source_name=name, dest_name=name) for name in ("id", "day", "name")]
    module = bench.module("strategy", "SELECT id, day, name FROM t", "s", "full", columns=columns)
    bench.run(module)
    bench.sql("DELETE FROM t")
    bench.run(module)
    _expect(bench, [], "after an empty source")
    return ""


def _added(bench: Bench) -> str:
    """A column that the source got is added to the destination; the rows from before have NULL in it."""
    bench.fill("t", _COLUMNS, _before()[:10])
    bench.drop("s")
    names = ("id", "day", "name")
    fields: dict[str, Any] = {"merge_key": ("id",), "on_schema_change": "add_columns"}
    columns = [Column(source_name=name, dest_name=name) for name in names]
    bench.run(bench.module("added", "SELECT id, day, name FROM t", "s", "upsert", columns=columns, **fields))
    bench.fill("t", _COLUMNS + ", more VARCHAR(20)", [(*row, "more") for row in _before()[5:15]])
    columns.append(Column(source_name="more", dest_name="more"))
    bench.run(bench.module("added", "SELECT id, day, name, more FROM t", "s", "upsert", columns=columns, **fields))
    found = bench.rows("s", "id", "more")
    expected = sorted((str(row[0]), "more" if at >= 5 else None) for at, row in enumerate(_before()[:15]))
    if found != expected:
        raise Broken(f"the rows are {found[:20]}")
    return ""


def _narrow(bench: Bench) -> str:
    """A text that is too long for a column that was there is refused, and nothing is changed."""
    module = _into_narrow(bench)
    bench.fill("t", "id INTEGER NOT NULL, name VARCHAR(40)", [(2, "too long for it")])
    try:
        bench.run(module)
    except PipekitError as error:
        if bench.rows("s", "id", "name") != [("1", "short")]:
            raise Broken("the run failed, and the rows are others") from error
        return f"refused: {cause(error)[:80]}"
    found = bench.rows("s", "id", "name")
    if found != [("2", "too long for it")]:
        raise Broken(f"'too long for it' became {found}")
    return "the declared length binds nothing"


def _into_narrow(bench: Bench) -> str:
    """A module that has filled a table whose texts have five characters; its name."""
    bench.fill("t", "id INTEGER NOT NULL, name VARCHAR(40)", [(1, "short")])
    described = bench.session.describe(bench.open(FILE).handle, table="t")
    number = bench.dialect.map_type(described[0], SQLite()).sql
    bench.create("s", ("id", number), ("name", "VARCHAR(5)"))
    columns = [Column(source_name=name, dest_name=name) for name in ("id", "name")]
    module = bench.module("narrow", "SELECT id, name FROM t", "s", "full", columns=columns)
    bench.run(module)
    return module


def _widened(bench: Bench) -> str:
    """Once somebody has made the column wider, the long text gets in: neither pipekit nor the driver remembers the old width."""
    module = _into_narrow(bench)
    table, name = bench.sql_name("s"), bench.dialect.quote_identifier("name")
    for spelling in _WIDEN:
        try:
            bench.execute(spelling.format(table=table, name=name))
            break
        except JRunnerError:
            continue
    else:
        return "this database has no way to do that, or another one"
    bench.fill("t", "id INTEGER NOT NULL, name VARCHAR(40)", [(2, "too long for it")])
    bench.run(module)
    found = bench.rows("s", "id", "name")
    if found != [("2", "too long for it")]:
        raise Broken(f"the rows are {found}")
    return ""
