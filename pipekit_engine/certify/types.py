"""Types: each value goes there by each write path and comes back; one that is refused is fine, one that is changed is not."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from pipekit_engine.certify.bench import OWN, TYPED
from pipekit_engine.certify.outcomes import Broken, Check, Refused, cause
from pipekit_engine.certify.values import COMMON_COLUMNS, SHAPES, Shape
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.protocol import MigrateRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.certify.bench import Bench
    from pipekit_engine.databases.dialects import Dialect

#: jrunner's ways into a table (`transfer/TransferRequest.java`); one that a database does not have is not possible there.
PATHS = ("auto", "copy-binary", "copy-text", "load-data", "appender", "batch")
_H2 = H2()
#: The types that went wrong most often.
_QUICK = frozenset(("decimal", "text", "date", "time", "timestamp", "timestamp with time zone"))


def type_checks(dialect: Dialect) -> Iterator[Check]:
    """A check a type, with the mapped column; then one a column that a person may have made."""
    for name, shape in SHAPES.items():
        yield Check("types", name, partial(_judge, shape=shape), quick=name in _QUICK)
    for sql_type, name in {**COMMON_COLUMNS, **dialect.own_columns}.items():
        shape = SHAPES[name]
        yield Check(
            "columns",
            f"{name} into {sql_type}",
            partial(_judge, shape=shape, sql_type=sql_type),
            quick=sql_type in dialect.own_columns and name != "timestamp",
        )


def _judge(bench: Bench, shape: Shape, sql_type: str | None = None) -> str:
    return _Trial(bench, shape, sql_type).judge()


class _Trial:
    """The values of one shape in one column; row 0 holds a NULL."""

    def __init__(self, bench: Bench, shape: Shape, sql_type: str | None) -> None:
        self._bench, self._shape = bench, shape
        self._refused: dict[int, str] = {}
        self._source, self._back = "source", "back"
        rows = ", ".join(f"({at}, {shape.h2(value)})" for at, value in enumerate(shape.values, 1))
        columns = f'("id" INTEGER, "v" {shape.type})'
        bench.execute(
            *(f'DROP TABLE IF EXISTS "{table}"' for table in (self._source, self._back)),
            f'CREATE TABLE "{self._source}" {columns}',
            f'CREATE TABLE "{self._back}" {columns}',
            f'INSERT INTO "{self._source}" VALUES (0, NULL), {rows}',
            name=TYPED,
        )
        described = bench.session.describe(bench.open(TYPED).handle, table=f'"{self._source}"')
        number, value = (bench.dialect.map_type(column, _H2) for column in described)
        self._type = sql_type or value.sql
        self._by_hand = sql_type is not None
        try:
            # A name of its own: drivers remember what they prepared for a table of that name.
            self._dest = bench.create(f"t{bench.count()}", ("id", number.sql), ("v", self._type))
        except JRunnerError as error:
            if sql_type is not None:
                raise Refused(f"there is no such column: {cause(error)}") from error
            raise Broken(f"no table with a column of type {self._type}: {cause(error)}") from error

    def judge(self) -> str:
        """Move and compare by each path. Raises Refused when a value was, Broken when one came to be another."""
        self._look_at_digits()
        taken: list[str] = []
        for path in PATHS:
            if path in taken:
                continue
            self._refused = {}
            ran = self._move(path)
            if ran is None:
                continue
            if path not in ("auto", ran):
                raise Broken(f"{self._type}: {path} was asked for, and the rows went in by {ran}")
            taken.append(ran)
            self._compare(ran)
        self._read_what_sql_wrote()
        held = len(self._shape.values) - len(self._refused)
        remark = f"{self._type}, by {', '.join(taken)}"
        if self._refused:
            at, why = next(iter(self._refused.items()))
            text = self._shape.values[at - 1] if at else "NULL"
            raise Refused(f"{remark}: {held} of {len(self._shape.values)} values held; {text[:40]!r}: {why}")
        return remark

    def _look_at_digits(self) -> None:
        """A query tells as many digits of a second as its column has: a destination that is made from it has no more.

        Raises Broken.
        """
        if "(6)" not in self._type or "TIME" not in self._type.upper():
            return
        bench = self._bench
        query = f"SELECT {bench.dialect.quote_identifier('v')} FROM {self._dest}"
        [column] = bench.session.describe(bench.open().handle, sql=query)
        if column.precision < 6:
            raise Broken(f"{self._type}: a query of it is said to have {column.precision} digits of a second")

    def _migrate(self, path: str, ids: list[int]) -> str:
        bench = self._bench
        listed = ", ".join(map(str, ids))
        request = MigrateRequest(
            source=bench.open(TYPED, "read").handle,
            sql=f'SELECT "id", "v" FROM "{self._source}" WHERE "id" IN ({listed}) ORDER BY "id"',
            dest=bench.open().handle,
            table=self._dest,
            path=path,
            clear=True,
        )
        return bench.session.migrate(request, cancel=bench.cancel).path

    def _move(self, path: str) -> str | None:
        """Fill the column by a path, without what is refused; the path's name, None where it is not possible."""
        ids = list(range(len(self._shape.values) + 1))
        try:
            return self._migrate(path, ids)
        except JRunnerError as error:
            if error.code == "protocol":
                return None
        for at in ids:
            try:
                self._migrate(path, [at])
            except JRunnerError as error:
                self._refused[at] = cause(error)
        kept = [at for at in ids if at not in self._refused]
        return self._migrate(path, kept) if kept else path

    def _expected(self) -> dict[str, str | None]:
        return {at: value for at, value in self._values(self._source).items() if int(at or 0) not in self._refused}

    def _values(self, table: str) -> dict[str, str | None]:
        value = self._shape.compared.format('"v"')
        rows = self._bench.query(f'SELECT "id", {value} FROM "{table}" ORDER BY "id"', name=TYPED)
        found = {at or "": self._meaning(text) for at, text in rows}
        if len(found) != len(rows):
            raise Broken("rows came back twice")
        return found

    def _meaning(self, text: str | None) -> str | None:
        return text if text is None or self._shape.type != "JSON" else json.dumps(json.loads(text), sort_keys=True)

    def _compare(self, path: str) -> None:
        if len(self._refused) > len(self._shape.values):
            return
        self._read_back(f"written by {path}", self._expected())
        self._ask_the_database(path)

    def _read_back(self, how: str, expected: dict[str, str | None]) -> None:
        bench = self._bench
        names = bench.dialect.quote_identifier("id"), bench.dialect.quote_identifier("v")
        request = MigrateRequest(
            source=bench.open(OWN, "read").handle,
            sql=f"SELECT {', '.join(names)} FROM {self._dest}",
            dest=bench.open(TYPED).handle,
            table=f'"{self._back}"',
            clear=True,
        )
        try:
            bench.session.migrate(request, cancel=bench.cancel)
        except JRunnerError as error:
            raise Broken(f"{self._type}, {how}: what is in the database cannot be read: {cause(error)}") from error
        _same(expected, self._values(self._back), f"{self._type}, {how}")

    def _ask_the_database(self, path: str) -> None:
        """Whether the values are there, by the database's own SQL: nothing else finds a driver that errs alike both ways."""
        conditions = {at: self._equals(at) for at in range(1, len(self._shape.values) + 1) if at not in self._refused}
        wanted = {at: sql for at, sql in conditions.items() if sql is not None}
        if not wanted:
            return
        key = self._bench.dialect.quote_identifier("id")
        where = " OR ".join(f"({key} = {at} AND {sql})" for at, sql in wanted.items())
        try:
            found = {int(row[0] or 0) for row in self._bench.query(f"SELECT {key} FROM {self._dest} WHERE {where}")}
        except JRunnerError:
            return  # this database spells such a literal otherwise: nothing is known
        missing = sorted(set(wanted) - found)
        if missing:
            value = self._shape.values[missing[0] - 1]
            raise Broken(
                f"{self._type}, written by {path}: the database does not find {value[:40]!r} where it was written"
            )

    def _equals(self, at: int) -> str | None:
        dialect, value = self._bench.dialect, self._shape.values[at - 1]
        name = dialect.quote_identifier("v")
        if self._shape.spelling == "number" and self._type != "double":
            return f"{name} = {value}" if dialect.binding_types else None
        if self._shape.spelling == "text" and len(value) < 1000:
            return f"{name} = {dialect.string_literal(value)}"
        if self._shape.spelling in ("time", "instant") and not dialect.times_are_text:
            column = next(
                item
                for item in self._bench.session.describe(self._bench.open().handle, table=self._dest)
                if item.name.casefold() == "v"
            )
            if self._shape.spelling == "instant":
                if column.family == "timestamptz" and dialect.zoned_literal is None:
                    return None  # a literal without a zone would be read in the session's
                value = datetime.fromisoformat(value).astimezone(timezone.utc).isoformat(" ").removesuffix("+00:00")
            return f"{name} = {dialect.time_literal(column, value)}"
        return None

    def _read_what_sql_wrote(self) -> None:
        """Texts that the database's own SQL puts into the column, and then finds there, are read as what they are."""
        if self._shape.spelling != "text" or len(self._shape.values) < 2 or len(self._shape.values[0]) > 1000:
            return
        bench = self._bench
        bench.execute(f"DELETE FROM {self._dest}")
        for at, value in enumerate(self._shape.values, 1):
            try:
                bench.execute(f"INSERT INTO {self._dest} VALUES ({at}, {bench.dialect.string_literal(value)})")
            except PipekitError:
                continue
        key = bench.dialect.quote_identifier("id")
        where = " OR ".join(f"({key} = {at} AND {self._equals(at)})" for at in range(1, len(self._shape.values) + 1))
        try:
            there = {row[0] for row in bench.query(f"SELECT {key} FROM {self._dest} WHERE {where}")}
        except JRunnerError:
            return
        bench.execute(f"DELETE FROM {self._dest} WHERE NOT ({where})")
        expected = {at: value for at, value in self._values(self._source).items() if at in there}
        self._read_back("written by SQL", expected)


def _same(expected: dict[str, str | None], found: dict[str, str | None], where: str) -> None:
    """Raise Broken for the first row that is not as expected."""
    for at in sorted({*expected, *found}, key=int):
        if at not in found or at not in expected:
            raise Broken(f"{where}: row {at} is {'missing' if at not in found else 'too many'}")
        if expected[at] != found[at]:
            raise Broken(f"{where}: {_shown(expected[at])} became {_shown(found[at])}")


def _shown(value: str | None) -> str:
    return "NULL" if value is None else repr(value if len(value) <= 60 else f"{value[:57]}...")
