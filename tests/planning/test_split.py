"""Plans of sources that are read in ranges: the exact SQL, held against a file that people have read.

After a wanted change: `PIPEKIT_WRITE_GOLDEN=1 pytest tests/planning`, then read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.databases.introspection import Key
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Module
from pipekit_engine.planning.build import plan_run, source_query
from pipekit_engine.planning.plan import RunPlan

GOLDEN = Path(__file__).parent / "golden" / "split.txt"
#: Columns by names, with values of which the last is no bound.
KEYS = {
    "id": (Column("id", "int64", "bigint", 0, 0, 0, True), ["1", "-2.50", "1E5"]),
    "code": (Column("code", "text", "nvarchar", 0, 9, 0, True), ["it's {}", "ж", "a\\b"]),
    "day": (Column("day", "date", "DATE", 0, 0, 0, True), ["2024-02-29", "0000-00-00"]),
    "at": (Column("at", "timestamp", "datetime", 0, 6, 0, True), ["2024-02-29 12:00:00.5", "infinity"]),
    "seen": (
        Column("seen", "timestamptz", "timestamptz", 0, 6, 0, True),
        ["2024-02-29 12:00:00+00:00", "2024-02-29 12:00:00+02:00"],
    ),
    "uid": (Column("uid", "uuid", "uuid", 0, 0, 0, True), ["00000000-0000-0000-0000-000000000001", "\\"]),
    "price": (Column("price", "float64", "double", 0, 0, 0, True), ["1.5"]),
}  # fmt: skip
QUERY = "WITH x AS (SELECT * FROM sales.orders) SELECT * FROM x WHERE code <> 'it''s {since}' ORDER BY id"


def plan(
    kind: str, split_by: list[str], *, query: str = QUERY, primary: Sequence[str] = (), **fields: object
) -> RunPlan:
    module = Module(
        name="orders",
        source="erp",
        dest="warehouse",
        query=query.replace("{since}", "x"),
        dest_table="orders",
        **{"strategy": "full", "split_by": split_by, "parallel": 4, **fields},
    )
    source = get_dialect(kind)
    return plan_run(
        module,
        source=source,
        dest=get_dialect("postgresql"),
        watermarks={},
        source_sql=source_query(module, source.capabilities.syntax, {}),
        source_columns=[column for column, _ in KEYS.values()],
        dest_columns=[column for column, _ in KEYS.values()] if primary else None,
        dest_keys=[Key(tuple(primary), primary=True)] if primary else [],
        staging_schema="pipekit_staging",
        table_columns=list(KEYS),
    )


def everything() -> str:
    lines = []
    for kind in kinds():
        lines.append(f"======== {kind}")
        for name, (_, values) in KEYS.items():
            try:
                split = plan(kind, [name]).split
            except ConfigurationError as error:
                lines.append(f"{name}: {error}")
                continue
            assert split is not None
            literals = [literal.write(value) for literal in split.ranges.literals for value in values]
            lines += [f"{name}: {split.by}; {', '.join(str(text) for text in literals)}"]
        for split_by in (["id"], ["code", "id"]):
            if "code" in split_by and get_dialect(kind).key_literal(KEYS["code"][0]) is None:
                continue
            split = plan(kind, split_by).split
            assert split is not None
            request = split.request
            parts = (request.first_bound, request.next_bound, request.first, request.middle, request.last, request.rest)
            lines += ["".join(f"<{item}>" if isinstance(item, int) else item for item in part or ()) for part in parts]
    for kind, place in (("postgresql", "ctid"), ("sqlite", "rowid")):
        split = plan(kind, [place], query='SELECT id, code FROM sales."Orders" o WHERE id > 5 -- more').split
        assert split is not None
        lines += [f"======== {split.by} of {kind}", split.ranges.bound_sql(None), *split.script]
    return "\n".join(lines) + "\n"


def test_golden() -> None:
    text = everything()
    if os.environ.get("PIPEKIT_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


def test_the_plan_shows_it() -> None:
    text = plan("postgresql", ["id"]).render()
    assert "-- read over 4 connections in ranges of 50,000 rows by id, on erp" in text
    assert 'WHERE "id" > ... AND "id" <= ...' in text


@pytest.mark.parametrize(
    ("split_by", "query", "why"),
    [
        ("nope", "SELECT * FROM t", "no query column 'nope'"),
        ("price", "SELECT * FROM t", "column price is of type double"),
        ("id", "SELECT * FROM t LIMIT 5", "the query says LIMIT"),
        ("id", "SELECT *, gen_random_uuid() FROM t", "the query says gen_random_uuid"),
        ("id", "SELECT *, row_number() OVER () FROM t", "the query says OVER"),
        ("ctid", "SELECT count(*) AS id FROM t", "ctid is for a query of the form SELECT"),
        ("ctid", "SELECT t.* FROM t JOIN u USING (id)", "ctid is for a query of the form SELECT"),
        ("rowid", "SELECT * FROM t", "no query column 'rowid'"),
    ],
)
def test_what_cannot_be_split_is_refused(split_by: str, query: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        plan("postgresql", [split_by], query=query)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"merge_key": "code, id"}, "ranges of 50,000 rows by code, id, the merge key, on erp"),
        ({"merge_key": "price"}, "warning: parallel is not used: of the merge key, column price is of type double"),
        ({}, "warning: parallel is not used: there is no key to read ranges of; name one by split_by"),
        ({"primary": ["day"]}, "ranges of 50,000 rows by day, the destination's primary key, on erp"),
        (
            {"merge_key": "price", "primary": ["id"]},
            "ranges of 50,000 rows by id, the destination's primary key, on erp",
        ),
        ({"primary": ["other"]}, "warning: parallel is not used: there is no key"),
    ],
)
def test_parallel_alone_takes_the_key(fields: dict[str, object], told: str) -> None:
    assert told in plan("postgresql", [], query="SELECT * FROM t", **fields).render()


def test_a_column_of_that_name_is_no_function() -> None:
    assert plan("postgresql", ["id"], query="SELECT uuid, rand FROM t").split is not None
