"""Compare a table of the source with its copy in the destination, row by row and outside of the engine.

Both sides are read in key order with their databases' own drivers, so that no merge of pipekit checks itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import count, zip_longest
from pathlib import Path
from typing import Any

from pipekit_engine.demo.dataset import Table

Row = tuple[Any, ...]
SAMPLES = 3  #: how many differing rows are shown
PAGE = 50_000  #: rows that are asked for at a time, where there is no cursor


@dataclass
class Comparison:
    """What a comparison found; equal when both sides hold the same rows."""

    table: str
    rows: int = 0
    differences: int = 0
    samples: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.differences == 0


def compare(name: str, table: Table, source: Path, destination: Callable[[str], Iterator[Row]]) -> Comparison:
    """Stream both sides past each other.

    Args:
        name: the table's name, the same on both sides.
        table: its columns and key.
        source: the source's SQLite file.
        destination: runs a query on the destination and yields its rows.
    """
    result = Comparison(name)
    columns = ", ".join(f'"{column}"' for column in table.columns)

    def query(collation: str) -> str:
        order = ", ".join(f'"{column}"{collation if table.columns[column] == "TEXT" else ""}' for column in table.key)
        return f'SELECT {columns} FROM "{name}" ORDER BY {order}'

    # SQLite sorts text by its bytes; the destination is told to do the same.
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as database:
        pairs = zip_longest(database.execute(query("")), destination(query(' COLLATE "C"')))
        for here, there in pairs:
            result.rows += here is not None
            if here is not None and there is not None and plain(here) == plain(there):
                continue
            result.differences += 1
            if len(result.samples) < SAMPLES:
                result.samples.append(f"source {here}, destination {there}")
    return result


def plain(row: Row) -> Row:
    """Return a row as SQLite would give it: dates and times as ISO text."""
    return tuple(
        value.isoformat(" ") if isinstance(value, datetime) else value.isoformat() if isinstance(value, date) else value
        for value in row
    )


def sqlite_rows(path: Path) -> Callable[[str], Iterator[Row]]:
    """Return a reader of an SQLite file."""

    def rows(query: str) -> Iterator[Row]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            # The name that PostgreSQL has for the order of bytes is BINARY here.
            yield from database.execute(query.replace('COLLATE "C"', "COLLATE BINARY"))

    return rows


def duckdb_rows(path: Path, jars: Sequence[Path]) -> Callable[[str], Iterator[Row]]:
    """Return a reader of a DuckDB file: by its JDBC driver, for pipekit brings no Python driver of it; by pages of rows."""
    numbers: dict[str, Callable[[str], Any]] = {
        "INT16": int,
        "INT32": int,
        "INT64": int,
        "FLOAT64": float,
        "FLOAT32": float,
    }

    def rows(query: str) -> Iterator[Row]:
        from pipekit_engine.jrunner import OpenRequest, Session

        # It compares text by its bytes unless told otherwise.
        query = query.replace(' COLLATE "C"', "")
        with Session() as session:
            session.open(OpenRequest("check", f"jdbc:duckdb:{path}", [str(jar) for jar in jars], writes=False))
            kinds = [numbers.get(column.family.upper(), str) for column in session.describe("check", sql=query)]
            for start in count(0, PAGE):
                page = session.query("check", f"SELECT * FROM ({query}) LIMIT {PAGE} OFFSET {start}", max_rows=PAGE)
                for row in page.rows:
                    yield tuple(None if text is None else kind(text) for kind, text in zip(kinds, row, strict=True))
                if len(page.rows) < PAGE:
                    return

    return rows


def postgresql_rows(conninfo: str) -> Callable[[str], Iterator[Row]]:
    """Return a reader of a PostgreSQL database, given a connection URL; rows come through a server-side cursor."""

    def rows(query: str) -> Iterator[Row]:
        import psycopg

        with psycopg.connect(conninfo) as connection, connection.cursor("pipekit_demo_check") as cursor:
            cursor.itersize = 10_000
            yield from cursor.execute(query.encode())

    return rows
