"""Public data through the wizard's batch mode and through all four strategies: three runs with changes between them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import yaml

from tests.truth_sets.comparer import Difference, compare
from tests.truth_sets.known import SETS, STRATEGIES, mark
from tests.truth_sets.readers import KINDS, Table
from tests.truth_sets.sets import SetTable, changed, chinook, flights, sakila
from tests.truth_sets.site import Site

MakeSite = Callable[[str, str], Site]
SETS_BY_NAME = {"sakila": sakila, "chinook": chinook}
QUICK = {("chinook", "postgresql", "sqlite")}
QUICK_STRATEGIES = {("postgresql", "mariadb")}


def fill(site: Site, tables: list[SetTable], again: bool = False) -> None:
    kind = site.source.kind
    statements = []
    for table in tables:
        name = table.name if table.name.islower() else site.source.quote(table.name)
        statements += [f"DELETE FROM {name}"] if again else table.ddl(kind)
        statements += table.fill(kind)
    site.source.execute(*statements)


def kept(source: Table, dest: Table, key: tuple[str, ...], columns: list[str]) -> Table:
    """The destination without rows whose key is not at the source: upsert leaves them there."""
    places = [[column.name.lower() for column in dest.columns].index(part.lower()) for part in key]
    at = [columns.index(part.lower()) for part in key]
    there = {tuple(str(row[i]).rstrip() for i in at) for row in source.rows}
    return Table(dest.columns, [row for row in dest.rows if tuple(str(row[i]).rstrip() for i in places) in there])


def differences(
    site: Site, table: SetTable, strategy: str, dest: str | None = None, late: frozenset[str] = frozenset()
) -> list[Difference]:
    """What differs; `late` are first parts of keys whose rows came too late for a watermark without a lag."""
    source, found = site.source.read(table.name), site.dest.read(dest or table.name)
    if late:
        at = [column.name.lower() for column in source.columns].index(table.key[0].lower())
        source = Table(source.columns, [row for row in source.rows if str(row[at]).rstrip() not in late])
    if strategy in ("upsert", "incremental"):
        found = kept(source, found, table.key, [column.name.lower() for column in source.columns])
    return compare(table.name, site.source.kind, source, found, table.key)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("name", "source", "dest"),
    [
        pytest.param(name, source, dest, marks=[*mark(SETS, (name, source, dest)),
                     *([] if (name, source, dest) in QUICK else [pytest.mark.all_pairs])])
        for name in SETS_BY_NAME for source in KINDS for dest in KINDS
    ],
)  # fmt: skip
def test_a_set_by_the_wizard(site: MakeSite, name: str, source: str, dest: str) -> None:
    place = site(source, dest)
    tables = SETS_BY_NAME[name]()
    fill(place, tables)
    # Derby subtracts no time from a time, so that late rows do not arrive there.
    takes_lag = dest != "derby"
    done = place.wizard("--tables", "*", *(["--lag", "1h"] if takes_lag else []))
    assert done.status == 0, done.err
    modules = {}
    for file in (place.project.folder / "definitions").glob("*.yaml"):
        modules.update(yaml.safe_load(file.read_text(encoding="utf-8")).get("modules") or {})
    by_table = {
        fields["dest_table"].split(".")[-1].strip('"`').lower(): (module, fields) for module, fields in modules.items()
    }
    assert set(by_table) == {table.name.lower() for table in tables}, done.err
    late: dict[str, set[str]] = {table.name: set() for table in tables}
    for run in (1, 2, 3):
        if run > 1:
            before = {table.name: len(table.rows) for table in tables}
            tables = [changed(table, run) for table in tables]
            for table in tables:
                if not takes_lag and table.changed is not None and len(table.rows) > before[table.name]:
                    late[table.name].add(str(table.rows[-1][list(table.columns).index(table.key[0])]))
            fill(place, tables, again=True)
        outcomes = place.run(modules)
        problems = [f"run {run}, {module}: {outcome.error}" for module, outcome in outcomes.items() if outcome.error]
        for table in tables:
            module, fields = by_table[table.name.lower()]
            if outcomes[module].error is None:
                found = differences(
                    place,
                    table,
                    fields["strategy"],
                    late=frozenset(late[table.name] if fields.get("watermarks") else ()),
                )
                problems += [f"run {run}, {module} ({fields['strategy']}): {difference}" for difference in found]
        assert not problems, "\n".join(problems)


def _modules(name: str) -> dict[str, dict[str, object]]:
    since = {
        "since": {
            "connection": "dst",
            "resolver_sql": "SELECT max(last_update) FROM flights_upsert",
            "default": "1970-01-01 00:00:00",
        }
    }
    last = {"last": {"connection": "dst", "resolver_sql": "SELECT max(id) FROM flights_append", "default": "0"}}
    stamp = {"mariadb": "last_update >= '{since}'", "derby": "last_update >= TIMESTAMP('{since}')"}
    return {
        "flights_full": {"query": "SELECT * FROM flights", "strategy": "full"},
        "flights_upsert": {
            "query": f"SELECT * FROM flights WHERE {stamp.get(name, 'last_update >= ' + repr('{since}'))}",
            "strategy": "upsert", "merge_key": ["id"], "watermarks": since,
        },
        "flights_incremental": {"query": "SELECT * FROM flights", "strategy": "incremental", "merge_key": ["carrier"]},
        "flights_append": {"query": "SELECT * FROM flights WHERE id > {last}", "strategy": "append", "watermarks": last},
    }  # fmt: skip


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("source", "dest"),
    [
        pytest.param(source, dest, marks=[*mark(STRATEGIES, (source, dest)),
                     *([] if (source, dest) in QUICK_STRATEGIES else [pytest.mark.all_pairs])])
        for source in KINDS for dest in KINDS
    ],
)  # fmt: skip
def test_four_strategies(site: MakeSite, source: str, dest: str) -> None:
    """Late rows and rows with another key are for `full` and `incremental`, which read all; `append` has only new rows."""
    place = site(source, dest)
    table = flights()[0]
    fill(place, [table])
    modules = _modules(source)
    place.modules(modules)
    late: set[str] = set()
    appended: set[str] = set()
    for run in (1, 2, 3):
        before = {str(row[0]) for row in table.rows} if run > 1 else set()
        if run > 1:
            table = changed(table, run)
            late.add(str(table.rows[-1][0]))
            fill(place, [table], again=True)
        for module, outcome in place.run(modules).items():
            assert outcome.error is None, outcome.error
            strategy = modules[module]["strategy"]
            at_source, found = place.source.read("flights"), place.dest.read(module)
            if strategy == "append":
                assert len({row[0] for row in found.rows}) == len(found.rows), "append doubled rows"
                at_source = Table(at_source.columns, [row for row in at_source.rows if row[0] not in before])
                found = Table(found.columns, [row for row in found.rows if row[0] not in before | appended])
            if strategy == "upsert":
                # Without a lag the late row does not arrive, as the guarantees say.
                at_source = Table(at_source.columns, [row for row in at_source.rows if row[0] not in late])
                found = kept(at_source, found, table.key, [column.name.lower() for column in at_source.columns])
            problems = compare(module, source, at_source, found, ["id"])
            assert not problems, f"run {run}: " + "\n".join(map(str, problems))
        appended |= {str(row[0]) for row in table.rows}
