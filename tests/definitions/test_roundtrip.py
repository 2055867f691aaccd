"""Random definitions -> apply -> export -> apply: no change.

And the same through one file and through an empty store.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipekit_engine.definitions.apply import apply_definitions
from pipekit_engine.definitions.export import to_yaml, write_export
from pipekit_engine.definitions.load import read_definitions
from pipekit_engine.models import (
    Check,
    Column,
    Connection,
    Definitions,
    Driver,
    Group,
    Hook,
    Module,
    Schedule,
    Tls,
    Trigger,
    Tunnel,
    Watermark,
)
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.sql.text import placeholders as sql_placeholders
from pipekit_engine.sql.text import spans
from pipekit_engine.store import Change, Store

# What people type, and what YAML, JSON and databases trip over.
TRICKY = [
    "no",
    "null",
    "~",
    "2013-01-01",
    "1e3",
    "0x1F",
    "a: b",
    "# x",
    "{since}",
    "- a",
    "'",
    '"',
    " a ",
    "a\n",
    "\n a",
    "é漢😀",
]
text = st.one_of(st.sampled_from(TRICKY), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
sql = st.one_of(st.sampled_from(["SELECT a\nFROM t\nWHERE x > '{w}'  -- note\n", "SELECT 1"]), text)
#: A query of blanks and comments is refused, as is a table name that no database could read.
queries = sql.filter(lambda query: any(s.kind != "comment" and s.text.strip(" \t\r\n;") for s in spans(query, UNKNOWN)))
tables = st.one_of(
    st.sampled_from(["t", "s.t", "c.s.[t x]"]), text.map(lambda name: '"' + name.replace('"', '""') + '"')
)
names = st.one_of(
    st.sampled_from(["no", "1", "a.b-c"]), st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,12}", fullmatch=True)
)
placeholders = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
options = st.dictionaries(text, text, max_size=2)
columns_text = st.text(st.characters(codec="utf-8", exclude_characters="\x00,"), min_size=1).filter(lambda s: s.strip())


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


@st.composite
def checks(draw: st.DrawFn, keyed: bool) -> tuple[Check, ...]:
    severity = st.sampled_from(["error", "warning"])
    own = st.builds(
        Check,
        name=st.sampled_from(["a", "b.1", "no"]),
        sql=sql.filter(lambda text: text.strip() and set(sql_placeholders(text, UNKNOWN)) <= {"table"}),
        on=st.sampled_from(["staging", "destination"]),
        severity=severity,
    )
    builtin = st.builds(Check, name=st.just("rows"), severity=severity) | st.builds(
        Check, name=st.just("volume"), runs=st.integers(1, 99), deviation_percent=st.floats(1, 1000)
    )
    if keyed:
        builtin |= st.builds(Check, name=st.just("unique_key")) | st.builds(
            Check, name=st.just("not_null"), columns=st.lists(text, max_size=2).map(tuple)
        )
    return tuple(draw(st.lists(own | builtin, max_size=3, unique_by=lambda check: check.name)))


@st.composite
def modules(draw: st.DrawFn, name: str, connections: list[str]) -> Module:
    connection = st.sampled_from(connections)
    strategy = draw(st.sampled_from(["full", "incremental", "append", "upsert"]))
    keyed = strategy in ("incremental", "upsert") or draw(st.booleans())
    key = st.lists(columns_text.map(str.strip), min_size=1, max_size=3, unique_by=str.casefold)
    column = st.builds(Column, source_name=text, dest_name=text, dest_type=optional(text))
    split_by = tuple(draw(key)) if draw(st.booleans()) else ()
    query = draw(queries)
    watermark = st.builds(Watermark, name=placeholders, connection=connection, resolver_sql=sql, default=optional(text))
    watermarks = draw(st.lists(watermark, max_size=2, unique_by=lambda w: w.name))
    # What the query asks for must be filled.
    for name_asked in sorted({*sql_placeholders(query, UNKNOWN)} - {w.name for w in watermarks}):
        watermarks.append(draw(st.builds(Watermark, name=st.just(name_asked), connection=connection, resolver_sql=sql)))
    return Module(
        name=name,
        source=draw(connection),
        dest=draw(connection),
        query=query,
        dest_table=draw(tables),
        strategy=strategy,
        merge_key=tuple(draw(key)) if keyed else (),
        columns=tuple(draw(st.lists(column, max_size=3, unique_by=lambda c: c.dest_name))),
        enabled=draw(st.booleans()),
        dedupe=draw(st.sampled_from(["none", "error", "latest by x y"])) if keyed else "none",
        max_shrink_percent=draw(optional(st.floats(0, 100))) if strategy == "full" else None,
        on_schema_change=draw(st.sampled_from(["fail", "add_columns", "ignore"])),
        cascades=draw(st.sampled_from(["refuse", "allow"])),
        verify=draw(st.sampled_from(["counts", "values"])),
        retry=draw(st.integers(0, 20)),
        watermarks=tuple(watermarks),
        hooks=tuple(
            draw(
                st.lists(
                    st.builds(
                        Hook,
                        sql=sql,
                        run_on=st.sampled_from(["success", "failure", "always"]),
                        connection=optional(connection),
                        run_order=optional(st.integers(0, 9)),
                    ),
                    max_size=2,
                )
            )
        ),
        checks=draw(checks(keyed)),
        owners=tuple(draw(st.lists(st.sampled_from(["a@b.org", "team"]), max_size=2, unique=True))),
        tags=draw(options),
        split_by=split_by,
        parallel=draw(st.integers(1, 4)) if split_by else 1,
    )


@st.composite
def definitions(draw: st.DrawFn) -> Definitions:
    def some(least: int = 0) -> list[str]:
        return draw(st.lists(names, min_size=least, max_size=3, unique=True))

    drivers = some(1)
    connections = some(1)
    module_names = some(1)
    groups = some(1)
    members = draw(st.permutations(module_names))
    cut = draw(st.integers(0, len(members)))
    layers = tuple(layer for layer in (tuple(members[:cut]), tuple(members[cut:])) if layer)
    other = optional(text)
    return Definitions(
        drivers={
            n: draw(st.builds(Driver, name=st.just(n), kind=text, jar=other, class_name=other, url_template=other))
            for n in drivers
        },
        connections={
            n: Connection(
                name=n,
                driver=draw(st.sampled_from(drivers)),
                jdbc_url="jdbc:sqlite:" + draw(st.from_regex(r"[a-z/]{1,5}", fullmatch=True)),
                username=draw(other),
                password=draw(optional(st.sampled_from(["$A", "${B}"]))),
                options=draw(st.dictionaries(st.from_regex(r"[ü #:a-oq-z]{1,5}", fullmatch=True), text, max_size=2)),
                max_parallel=draw(optional(st.integers(1, 9))),
                staging_schema=draw(optional(names)),
                tls=draw(optional(st.sampled_from([Tls(mode="require"), Tls(mode="verify-full", ca="a b/ü.pem")]))),
                tunnel=draw(optional(st.builds(Tunnel, host=st.just("bastion"), key=optional(st.just("/k e y"))))),
            )
            for n in connections
        },
        modules={n: draw(modules(n, connections)) for n in module_names},
        groups={
            n: Group(
                name=n,
                layers=layers,
                max_parallel=draw(st.integers(1, 4)),
                on_failure=draw(st.sampled_from(["continue", "stop"])),
                spread=draw(st.booleans()),
            )
            for n in groups
        },
        schedules={
            n: Schedule(
                name=n,
                group=draw(st.sampled_from(groups)),
                cron=draw(st.sampled_from(["0 2 * * *", "@daily", "*/5 * * * 1-5"])),
                timezone=draw(st.sampled_from(["UTC", "Europe/Paris"])),
                enabled=draw(st.booleans()),
                misfire_grace=draw(optional(st.integers(1, 99))),
            )
            for n in some()
        },
        triggers={
            n: Trigger(
                name=n,
                group=draw(st.sampled_from(groups)),
                kind="watermark",
                connection=draw(st.sampled_from(connections)),
                sql=draw(sql),
                every=draw(st.integers(5, 99)),
            )
            for n in some()
        },
    )


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(wanted=definitions())
def test_apply_export_apply_is_no_change(wanted: Definitions) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        url = f"sqlite:///{folder / 'pipekit.db'}"
        Store.init(url)
        with Store.open(url) as store:
            (folder / "all.yaml").write_text(to_yaml(wanted), encoding="utf-8", newline="")
            apply_definitions(store, folder / "all.yaml")
            write_export(store.definitions.load(), folder / "exported")
            again = apply_definitions(store, folder / "exported", prune=True)
            assert [line for line in again.plan.lines() if line[0] in "+~-"] == []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(wanted=definitions())
def test_yaml_says_exactly_what_the_records_say(wanted: Definitions) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "all.yaml"
        file.write_text(to_yaml(wanted), encoding="utf-8", newline="")
        loaded = read_definitions(file)
        assert loaded.errors == []
        assert loaded.definitions == wanted


def test_the_store_gives_back_what_it_was_given(tmp_path: Path) -> None:
    module = Module(
        name="m", source="a", dest="a", query="SELECT 1\n", dest_table="t", strategy="full", merge_key=("x", "y z")
    )
    url = f"sqlite:///{tmp_path / 'pipekit.db'}"
    Store.init(url)
    with Store.open(url) as store:
        store.definitions.save(
            [
                Change("create", "drivers", "d", Driver(name="d", kind="sqlite")),
                Change("create", "connections", "a", Connection(name="a", driver="d", jdbc_url="jdbc:sqlite:a")),
                Change("create", "modules", "m", module),
            ]
        )
        assert store.definitions.module("m") == module
