"""The comparer must find what is wrong: each corruption of a destination is one that it names, and an equal copy is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.truth_sets.comparer import compare, meaning
from tests.truth_sets.readers import KINDS, Database, inserts
from tests.truth_sets.torture import SHAPES

_COLUMNS = "(id INTEGER, fore VARCHAR(40), town VARCHAR(40), n INTEGER)"
_ROWS = [("1", "'Antonia'", "'Berlin'", "10"), ("2", "'Bob'", "'Paris'", "20"), ("3", "'Ödön'", "NULL", "30")]
CORRUPTIONS = {
    "swapped columns": ("UPDATE t SET fore = 'Berlin', town = 'Antonia' WHERE id = 1", "t[('1',)].fore"),
    "dropped to NULL": (
        "UPDATE t SET town = NULL WHERE id = 2",
        "t[('2',)].town: source 'Paris', destination None",
    ),
    "NULL became text": ("UPDATE t SET town = '' WHERE id = 3", "t[('3',)].town: source None, destination ''"),
    "cut text": ("UPDATE t SET fore = 'Anton' WHERE id = 1", "source 'Antonia', destination 'Anton'"),
    "blank at the end": ("UPDATE t SET fore = 'Bob ' WHERE id = 2", "destination 'Bob '"),
    "another case": ("UPDATE t SET fore = 'BOB' WHERE id = 2", "destination 'BOB'"),
    "another number": ("UPDATE t SET n = 21 WHERE id = 2", "t[('2',)].n: source '20', destination '21'"),
    "missing row": ("DELETE FROM t WHERE id = 3", "t[('3',)]: source 'the row', destination 'no such row'"),
    "doubled row": (
        "INSERT INTO t SELECT * FROM t WHERE id = 1",
        "t[('1',)]: source 'no such row', destination 'the row'",
    ),
    "another key": ("UPDATE t SET id = 4 WHERE id = 3", "t[('4',)]: source 'no such row'"),
}


@pytest.fixture(scope="module")
def copies(make_database: Callable[[str], Database]) -> Callable[[str], tuple[Database, Database]]:
    """`copies(kind)` gives two databases with the same table."""
    made: dict[str, tuple[Database, Database]] = {}

    def get(kind: str) -> tuple[Database, Database]:
        if kind not in made:
            made[kind] = (make_database(kind), make_database(kind))
            for database in made[kind]:
                database.execute(f"CREATE TABLE t {_COLUMNS}", *inserts(kind, "t", _ROWS))
        return made[kind]

    return get


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sample(4, rest="all_pairs")
def test_a_corruption_is_found(copies: Callable[[str], tuple[Database, Database]], kind: str, name: str) -> None:
    one, two = copies(kind)
    source = one.read("t")
    assert compare("t", kind, source, two.read("t"), ["id"]) == []
    statement, message = CORRUPTIONS[name]
    two.execute(statement)
    try:
        found = [str(difference) for difference in compare("t", kind, source, two.read("t"), ["id"])]
    finally:
        two.execute("DELETE FROM t", *inserts(kind, "t", _ROWS))
    assert found
    # H2, Derby and HSQLDB write names without quotes in capitals.
    assert any(message.lower() in difference.lower() for difference in found), found


def test_a_missing_column_is_found(copies: Callable[[str], tuple[Database, Database]]) -> None:
    one, two = copies("sqlite")
    source, dest = one.read("t"), two.read("t", names=["id", "fore", "town"])
    assert [str(found) for found in compare("t", "sqlite", source, dest, ["id"])] == [
        "t[None].n: source 'a column', destination 'no such column'"
    ]


#: Texts that a form must take for different values, and for the same.
APART = [
    ("number", "1", "1.0000000000000000000000000000000000001"), ("number", "0", "NaN"), ("float64", "0.1", "0.10000000000000002"),
    ("float64", "0.0", "-0.0"), ("float32", "0.1", "0.1000001"), ("text", "a", "a "), ("text", "é", "e\u0301"), ("char", "a", "A"),
    ("bytes", "00", "0000"), ("date", "2024-01-01", "2024-01-02"), ("timestamp", "2024-01-01 00:00:00", "2024-01-01 00:00:00.000001"),
    ("timestamptz", "2024-01-01 00:00:00+00", "2024-01-01 00:00:00+01"), ("interval year", "3", "INTERVAL '3' MONTH"),
    ("interval year", "3", "00:00:03"), ("interval", "1 day", "1 mon"), ("json", '{"a": 1}', '{"a": "1"}'), ("boolean", "1", "0"),
    ("time", "24:00:00", "00:00:00"), ("timetz", "00:00:00+00", "00:00:00+01"), ("date", "0001-01-01", "0001-01-01 BC"),
]  # fmt: skip
EQUAL = [
    ("number", "1", "1.000"),
    ("number", "1E+3", "1000"), ("float64", "1e15", "1000000000000000.0"), ("float32", "0.1", "0.10000000149011612"),
    ("char", "a", "a   "), ("bytes", "\\x0AFF", "0aff"), ("date", "2024-01-01", "2024-01-01 00:00:00"),
    ("timestamp", "2024-01-01T00:00:00.500", "2024-01-01 00:00:00.5"), ("timestamptz", "2024-01-01 02:00:00+02:00", "2024-01-01 00:00:00"),
    ("interval year", "3", "3 years"), ("interval year", "3", "36 mons"), ("interval day to second", "1 02:03:04.5", "1 day 02:03:04.5"),
    ("interval", "INTERVAL '1-2' YEAR TO MONTH", "1 year 2 mons"), ("json", '{"a": 1.50}', '{ "a":1.5 }'), ("boolean", "t", "1"),
    ("uuid", "01234567-89AB-cdef-fedc-ba9876543210", "0123456789abcdeffedcba9876543210"), ("time", "2:30:00", "02:30:00.000"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "one", "two"), APART)
def test_what_differs(form: str, one: str, two: str) -> None:
    assert meaning(form, one) != meaning(form, two)
    assert "unreadable" not in f"{meaning(form, one)}"


@pytest.mark.parametrize(("form", "one", "two"), EQUAL)
def test_what_is_equal(form: str, one: str, two: str) -> None:
    assert meaning(form, one) == meaning(form, two)
    assert "unreadable" not in f"{meaning(form, one)}"


def test_null_is_no_empty_text() -> None:
    assert meaning("text", None) != meaning("text", "")


def test_every_kind_has_values_to_try() -> None:
    assert {kind: len(shapes) > 15 for kind, shapes in SHAPES.items()} == dict.fromkeys(KINDS, True)
