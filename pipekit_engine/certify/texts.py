"""Names that need quotes, and keys that look alike."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from pipekit_engine.certify.bench import DB, FILE
from pipekit_engine.certify.outcomes import Broken, Check, Refused, cause
from pipekit_engine.common.columns import Column as ColumnInfo
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.errors import PipekitError
from pipekit_engine.models import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipekit_engine.certify.bench import Bench

#: Names that tools are known to misread; each is a column's, and a part of a table's.
NAMES = {
    "mixed case": "MixedCase",
    "blank inside": "two words",
    "blank first": " led",
    "quotes": "a \"b\" 'c'",
    "comment": "a--b /* c */",
    "brackets": "a]b[c",
    "marks": "what? {x} :y",
    "reserved": "select",
    "letters": "größe_ж",
}
_THERE = (ColumnInfo("k", "text", "VARCHAR", 12, 40, 0, False), ColumnInfo("v", "int64", "BIGINT", -5, 64, 0, True))
KEYS = {
    "case": ("a", "A", "b"),
    "accents": ("e", "é", "E", "É"),
    "blanks": ("a", "a ", "a  ", " a"),
    "composition": ("\u00e9", "e\u0301"),
    "letters": ("ss", "ß", "ı", "i", "I"),
}


def name_checks() -> Iterator[Check]:
    """A check a name, and the longest one."""
    for what, name in NAMES.items():
        yield Check("names", what, partial(_name, name=name), quick=what == "blank first")
    yield Check("names", "longest", lambda bench: _name(bench, "n" * min(_longest(bench), 128), table=False))
    yield Check("names", "too long", _too_long)


def _longest(bench: Bench) -> int:
    return bench.dialect.capabilities.max_identifier_length


def _name(bench: Bench, name: str, *, table: bool = True) -> str:
    """A column and a table of that name, filled and read; other columns beside it get their own values."""
    bench.fill("named", "id INTEGER, a TEXT, b TEXT", [(1, "x1", "y1"), (2, "x2", "y2")])
    dest = f"n_{name}" if table and len(name) < 60 else "n"
    bench.drop(dest)
    columns = [Column(source_name="id", dest_name="id"), Column(source_name="a", dest_name=name)]
    columns.append(Column(source_name="b", dest_name="after"))
    module = bench.module("name", "SELECT id, a, b FROM named", dest, "full", columns=columns)
    try:
        bench.run(module)
        bench.run(module)
    except PipekitError as error:
        raise Refused(f"{name!r}: {cause(error)}") from error
    expected = [("1", "x1", "y1"), ("2", "x2", "y2")]
    found = bench.rows(dest, "id", name, "after")
    if found != expected:
        raise Broken(f"{name!r}: the rows are {found}")
    quoted = ", ".join(bench.dialect.quote_identifier(part) for part in ("id", name, "after"))
    back = SQLite().quote_identifier(name)
    bench.sql("DROP TABLE IF EXISTS back")
    reading = bench.module(
        "name_back",
        _escaped(f"SELECT {quoted} FROM {bench.sql_name(dest)}"),
        "x",
        "full",
        source=DB,
        dest=FILE,
        dest_table="back",
    )
    try:
        bench.run(reading)
    except PipekitError as error:
        raise Broken(f"{name!r}: a query with it cannot be run: {cause(error)}") from error
    with closing(sqlite3.connect(bench.file)) as connection:
        rows = connection.execute(f"SELECT id, {back}, after FROM back ORDER BY id").fetchall()
    if [tuple(map(str, row)) for row in rows] != expected:
        raise Broken(f"{name!r}: read back, the rows are {rows}")
    bench.drop(dest)
    return f"{len(name)} characters" if len(name) > 60 else ""


def _escaped(query: str) -> str:
    """A module's query without placeholders: `{x}` is text there when its braces are doubled."""
    return query.replace("{", "{{").replace("}", "}}")


def _too_long(bench: Bench) -> str:
    """A name that the database would cut is refused before anything runs."""
    longest = _longest(bench)
    if longest > 1000:
        return "no limit that matters"
    bench.fill("named", "id INTEGER, a TEXT", [(1, "x1")])
    columns = [
        Column(source_name="id", dest_name="n" * longest + "1"),
        Column(source_name="a", dest_name="n" * longest + "2"),
    ]
    bench.drop("n")
    module = bench.module("name", "SELECT id, a FROM named", "n", "full", columns=columns)
    try:
        bench.run(module)
    except PipekitError:
        return f"more than {longest} {bench.dialect.capabilities.identifier_unit} are refused"
    raise Broken(f"a name of {longest + 1} was taken")


def key_checks() -> Iterator[Check]:
    """Each set of keys by upsert and by incremental, into a table that pipekit makes and into one that was there."""
    for what, keys in KEYS.items():
        for there in (False, True):
            place = "into a table that was there" if there else "into a new table"
            yield Check(
                "keys",
                f"{what}, {place}",
                partial(_keys, keys=keys, there=there),
                quick=there and what == "blanks",
            )


def _keys(bench: Bench, keys: Sequence[str], *, there: bool) -> str:
    for strategy in ("upsert", "incremental"):
        _keys_by(bench, keys, strategy, there=there)
    return f"{len(keys)} keys stay apart"


def _keys_by(bench: Bench, keys: Sequence[str], strategy: str, *, there: bool) -> None:
    bench.drop("k")
    known: dict[str, str] = {}
    if there:
        # As a person makes it: a type with a length, in the database's own collation.
        text, number = (bench.dialect.map_type(column, H2()).sql for column in _THERE)
        bench.create("k", ("k", bench.dialect.not_null_type(text)), ("v", number))
    columns = [Column(source_name=name, dest_name=name) for name in ("k", "v")]
    module = bench.module("keys", "SELECT k, v FROM keys", "k", strategy, merge_key=("k",), columns=columns)
    # The second one alone meets the first: together they would be refused as doubles where they are equal. Then all, changed.
    numbered = list(enumerate(keys))
    rounds = [
        [(key, at) for at, key in numbered[:1]],
        [(key, at) for at, key in numbered[1:2]],
        [(key, at) for at, key in numbered[2:]],
        [(key, 100 + at) for at, key in numbered],
    ]
    for rows in filter(None, rounds):
        bench.fill("keys", "k VARCHAR(40) NOT NULL, v INTEGER", rows)
        try:
            bench.run(module)
        except PipekitError as error:
            _expect(bench, known, f"{strategy}, after a refused run")
            raise Refused(f"{strategy}: {cause(error)}") from error
        known.update({key: str(value) for key, value in rows})
        _expect(bench, known, strategy)


def _expect(bench: Bench, known: dict[str, str], how: str) -> None:
    try:
        found = bench.rows("k", "k", "v")
    except PipekitError:
        found = []  # the table was not made
    expected = sorted(known.items())
    # A CHAR would give blanks at the end; a VARCHAR never takes one away.
    if sorted((str(key), str(value)) for key, value in found) != expected:
        raise Broken(f"{how}: {expected} became {found}")
