"""Every type through every pair of databases: exact where both hold the value, refused by name where the destination does not."""

from __future__ import annotations

import pytest

from pipekit_engine.jrunner import JRunnerError, MigrateRequest
from tests.jrunner.truth.conftest import Truth, table
from tests.jrunner.truth.data import KINDS, SHAPES, Shape
from tests.jrunner.truth.databases import normal, probe


@pytest.mark.parametrize("kind", KINDS)
def test_sources_hold_what_the_table_says(truth: Truth, kind: str) -> None:
    """The ground under the other tests: the literals mean their values in the sources themselves."""
    wrong = [line for shape in SHAPES for line in _differences(truth, f"{kind}_from", kind, shape, _held(shape, kind))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("dest", KINDS)
@pytest.mark.parametrize("source", KINDS)
@pytest.mark.sample(3)
def test_pair(truth: Truth, source: str, dest: str) -> None:
    wrong: list[str] = []
    for shape in SHAPES:
        both = {place for place in _held(shape, source) if _database(dest) not in shape.values[place - 1].lacks}
        wrong += _exact(truth, source, dest, shape, both)
        for place in sorted(_held(shape, source) - both):
            wrong += _refused(truth, source, dest, shape, place)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "dest"), [("mysql", kind) for kind in KINDS] + [(kind, "mysql") for kind in (*KINDS, "mysql")]
)
@pytest.mark.sample(3)
def test_pair_by_connector_j(truth: Truth, source: str, dest: str) -> None:
    """MariaDB's tables by MySQL's own driver, which converts and describes otherwise."""
    test_pair(truth, source, dest)


def _held(shape: Shape, kind: str) -> set[int]:
    return {place for place, value in enumerate(shape.values, 1) if _database(kind) not in value.lacks}


def _database(kind: str) -> str:
    """Whose tables a connection of `kind` shows."""
    return "mariadb" if kind == "mysql" else kind


def _migrate(shape: Shape, source: str, dest: str, where: str, path: str = "auto") -> MigrateRequest:
    return MigrateRequest(
        source=f"{source}_from",
        sql=f"SELECT id, v FROM {table(shape)} WHERE {where} ORDER BY id",
        dest=f"{dest}_to",
        table=table(shape),
        path=path,
        clear=True,
    )


def _exact(truth: Truth, source: str, dest: str, shape: Shape, places: set[int]) -> list[str]:
    where = "id IN (" + ", ".join(str(place) for place in sorted(places | {0})) + ")"
    try:
        result = truth.session.migrate(_migrate(shape, source, dest, where))
    except JRunnerError as error:
        value = shape.values[sorted(places | {0})[error.row - 1] - 1].shown if error.row else "?"
        return [f"{source} -> {dest}, {shape.name}, {value}: {error}"]
    if not result.rows_read == result.rows_written == len(places) + 1:
        return [f"{source} -> {dest}, {shape.name}: read {result.rows_read}, written {result.rows_written}"]
    return [f"{source} -> {line}" for line in _differences(truth, f"{dest}_to", dest, shape, places)]


def _differences(truth: Truth, connection: str, kind: str, shape: Shape, places: set[int]) -> list[str]:
    kind = _database(kind)
    rows = dict(truth.rows(connection, f"SELECT id, {probe(kind, shape)} FROM {table(shape)} ORDER BY id"))
    expected: dict[str | None, str | None] = {str(place): shape.values[place - 1].text for place in sorted(places)}
    expected["0"] = None
    if set(rows) != set(expected):
        return [f"{kind}, {shape.name}: rows {sorted(map(str, rows))} instead of {sorted(map(str, expected))}"]
    return [
        f"{kind}, {shape.name}: {expected[place]!r:.80} became {rows[place]!r:.80}"
        for place in expected
        if normal(shape, rows[place]) != normal(shape, expected[place])
    ]


def _refused(truth: Truth, source: str, dest: str, shape: Shape, place: int) -> list[str]:
    """The second row holds the value: the error must name its row, and the destination must keep what it had."""
    here = f"{source} -> {dest}, {shape.name}, {shape.values[place - 1].shown}"
    before = truth.rows(f"{dest}_to", f"SELECT COUNT(*) FROM {table(shape)}")
    try:
        truth.session.migrate(_migrate(shape, source, dest, f"id IN (0, {place})"))
    except JRunnerError as error:
        wrong = []
        if error.code != "value":
            wrong.append(f"{here}: refused with code {error.code} instead of value: {error}")
        if (error.column or "").lower() != "v" or error.row != 2:
            wrong.append(f"{here}: refused for column {error.column}, row {error.row}, not v and 2: {error}")
        if truth.rows(f"{dest}_to", f"SELECT COUNT(*) FROM {table(shape)}") != before:
            wrong.append(f"{here}: refused, but the destination changed")
        return wrong
    held = truth.rows(f"{dest}_to", f"SELECT {probe(_database(dest), shape)} FROM {table(shape)} WHERE id = {place}")
    return [f"{here}: not refused, became {held}"]
