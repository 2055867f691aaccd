"""Watermarks: the database as the source of loads that read what is new, by times in the precision of each kind of column.

A column may hold times more coarsely than they were written (`datetime` of SQL Server counts in 1/300 s), and a driver may tell
them otherwise than they are held: then `>` brings the newest row again, and `>=` misses one of the same time.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pipekit_engine.certify.bench import DB, FILE, TYPED
from pipekit_engine.certify.outcomes import Broken, Check, Refused, cause
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.models import Watermark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.certify.bench import Bench
    from pipekit_engine.databases.dialects import Dialect

#: Each more than a second after the one before, so that a column of whole seconds tells them apart, too.
_TIMES = (
    "2024-01-01 00:00:00.003",
    "2024-01-01 00:00:02.007",
    "2024-01-01 00:00:04",
    "2024-01-01 00:00:06.123457",
    "2024-01-01 00:00:08.999999",
)


def watermark_checks(dialect: Dialect) -> Iterator[Check]:
    """For the type that pipekit gives to timestamps, and for each that a person may have given."""
    own = [sql_type for sql_type, shape in dialect.own_columns.items() if shape == "timestamp"]
    for sql_type in (None, *own):
        place = sql_type or "a timestamp"
        yield Check("watermarks", f"{place}, append by >", partial(_append, sql_type=sql_type), quick=sql_type is None)
        yield Check("watermarks", f"{place}, upsert by >=", partial(_upsert, sql_type=sql_type))


def _append(bench: Bench, sql_type: str | None) -> str:
    """Each row arrives once: the newest one is not read again."""
    source = _Source(bench, sql_type, "append", ">")
    for at, moment in enumerate(_TIMES, 1):
        source.add(at, moment)
        source.expect_all("after a new row")
        source.expect_all("after a run without a new row")
    return source.type


def _upsert(bench: Bench, sql_type: str | None) -> str:
    """A row of the same time as the newest one arrives, too."""
    source = _Source(bench, sql_type, "upsert", ">=")
    for at, moment in enumerate(_TIMES, 1):
        source.add(at, moment)
        source.expect_all("after a new row")
        source.add(100 + at, moment)
        source.expect_all("after a row of the same time")
    return source.type


class _Source:
    """A table of ids and times in the certified database, and a module that reads from it into the SQLite file."""

    def __init__(self, bench: Bench, sql_type: str | None, strategy: str, comparison: str) -> None:
        self._bench, dialect = bench, bench.dialect
        described = bench.session.describe(
            bench.open(TYPED, "read").handle, sql='SELECT 1 AS "id", CAST(NULL AS TIMESTAMP(6)) AS "at"'
        )
        number, mapped = (dialect.map_type(column, H2()).sql for column in described)
        self.type = sql_type or mapped
        try:
            self._table = bench.create(f"w{bench.count()}", ("id", number), ("at", self.type))
        except JRunnerError as error:
            raise Refused(f"there is no such column: {cause(error)}") from error
        self._column = bench.session.describe(bench.open().handle, table=self._table)[1]
        self._id, self._at = (dialect.quote_identifier(name) for name in ("id", "at"))
        bench.sql("DROP TABLE IF EXISTS marks", "CREATE TABLE marks (id INTEGER, at TIMESTAMP)")
        since = dialect.time_literal(self._column, "{since}")
        self._module = bench.module(
            "watermark",
            f"SELECT {self._id}, {self._at} FROM {self._table} WHERE {self._at} {comparison} {since}",
            "x",
            strategy,
            source=DB,
            dest=FILE,
            dest_table="marks",
            merge_key=("id",) if strategy == "upsert" else (),
            watermarks=(
                Watermark(
                    name="since",
                    connection=FILE,
                    resolver_sql=f"SELECT MAX({SQLite().quote_identifier('at')}) FROM marks",
                    default="2000-01-01 00:00:00",
                ),
            ),
        )

    def add(self, at: int, moment: str) -> None:
        """A row by the database's own SQL."""
        value = self._bench.dialect.time_literal(self._column, moment)
        self._bench.execute(f"INSERT INTO {self._table} ({self._id}, {self._at}) VALUES ({at}, {value})")

    def expect_all(self, when: str) -> None:
        """Run the module: every row is there, once. Raises Refused where the run is, Broken for other rows."""
        bench = self._bench
        try:
            bench.run(self._module)
        except PipekitError as error:
            raise Refused(f"{self.type}: {cause(error)}") from error
        expected = sorted(int(row[0] or 0) for row in bench.query(f"SELECT {self._id} FROM {self._table}"))
        found = sorted(int(row[0] or 0) for row in bench.query("SELECT id FROM marks", name=FILE))
        if found != expected:
            doubled = sorted({at for at in found if found.count(at) > 1})
            said = (
                f"row {doubled[0]} came twice" if doubled else f"rows {sorted(set(expected) - set(found))} are missing"
            )
            raise Broken(f"{self.type}, {when}: {said}")
