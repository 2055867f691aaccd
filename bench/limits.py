"""jrunner beside the least that can be done: the two databases' own clients with a pipe between them.

Tables of ten mixed columns, of 200 columns, of texts and of binary values of 100 KB. jrunner's session is open already; the
clients start in a few hundredths of a second. What the clients do not do: count, tell types apart, say which row was wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import jrun, tables
from bench.tools import Missing, run, system_program
from pipekit_engine.jrunner import MigrateRequest, Session
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: Of the wide table, and of those of long values.
WIDE_ROWS, LONG_ROWS = 50_000, 2_000
_WIDE = ("integer", "varchar(20)", "numeric(12,2)", "timestamp(3)")
#: Where the tables go, by the name of its connection: PostgreSQL's types as it calls them, and what stands behind the columns.
_DESTS: dict[str, tuple[dict[str, str], str]] = {
    "pg": ({}, ""),
    "my": (
        {"timestamp(3)": "datetime(3)", "numeric": "decimal", "text": "longtext", "bytea": "longblob"},
        " CHARACTER SET utf8mb4",
    ),
    "lite": ({}, ""),
}


@dataclass(frozen=True)
class Shape:
    """A table: its name, its columns as PostgreSQL declares them, the query that makes its rows, and their number."""

    name: str
    columns: tuple[tuple[str, str], ...]
    rows_sql: str
    rows: int

    def declared(self, types: Mapping[str, str]) -> str:
        """The columns for a database that calls PostgreSQL's types otherwise."""
        text = ", ".join(f"{name} {declared}" for name, declared in self.columns)
        for ours, theirs in types.items():
            text = text.replace(f" {ours}", f" {theirs}")
        return text

    @property
    def binary(self) -> bool:
        """Whether a column holds bytes, which no text format of the clients' carries as they are."""
        return any(declared == "bytea" for _, declared in self.columns)


def shapes(rows: int) -> list[Shape]:
    """The tables."""
    wide = tuple((f"c{number}", _WIDE[number % len(_WIDE)]) for number in range(200))
    values = (
        "i * {0}",
        "'value ' || i * {0}",
        "(i * {0} % 100000) / 100.0",
        "timestamp '2020-01-01' + i * interval '{0} s'",
    )
    cells = ", ".join(values[number % len(values)].format(number + 1) for number in range(len(wide)))
    mixed = tuple((name, declared) for name, _, declared in (column.partition(" ") for column in _mixed_columns()))
    long_text = "repeat(md5(i::text), 3125)"
    return [
        Shape("mixed", mixed, "", rows),
        Shape("wide", wide, f"SELECT {cells} FROM generate_series(1, {WIDE_ROWS}) i", WIDE_ROWS),
        Shape(
            "texts",
            (("id", "bigint"), ("body", "text")),
            f"SELECT i, {long_text} FROM generate_series(1, {LONG_ROWS}) i",
            LONG_ROWS,
        ),
        Shape(
            "blobs",
            (("id", "bigint"), ("body", "bytea")),
            f"SELECT i, decode({long_text}, 'hex') || decode({long_text}, 'hex') FROM generate_series(1, {LONG_ROWS}) i",
            LONG_ROWS,
        ),
    ]


def _mixed_columns() -> list[str]:
    """Those of `tables.mixed`, with types that all of the databases have."""
    text = tables.MIXED_COLUMNS.replace("at timestamp", "at timestamp(3)")
    return text.replace(" text", " varchar(100)").split(", ")


class Clients:
    """The pipes between the clients of two databases."""

    def __init__(self, pg: PostgreSQLServer, my: MariaDBServer, one: str, two: str, there: str, file: Path) -> None:
        self.psql, mariadb, self.sqlite = map(system_program, ("psql", "mariadb", "sqlite3"))
        self.one, self.two, self.file = one, two, file
        self.environment = {
            "PGPASSWORD": pg.password,
            "PGHOST": pg.host,
            "PGPORT": str(pg.port),
            "PGUSER": pg.user,
            "MYSQL_PWD": my.password,
        }
        self.mariadb = f"{mariadb} -h {my.host} -P {my.port} -u {my.user} {there}"

    def copy_out(self, query: str, form: str) -> str:
        """psql that writes the rows of a query."""
        return f'{self.psql} -q -d {self.one} -c "\\copy ({query}) TO STDOUT ({form})"'

    def pipe(self, pair: str, shape: Shape) -> str:
        """The command that moves the table. Raises Missing where the clients have no common format."""
        names = ", ".join(name for name, _ in shape.columns)
        if pair == "PostgreSQL, PostgreSQL":
            into = f'{self.psql} -q -d {self.two} -c "\\copy {shape.name} FROM STDIN (FORMAT binary)"'
            return f"{self.copy_out(f'SELECT * FROM {shape.name}', 'FORMAT binary')} | {into}"
        cells = ", ".join(_text_cell(name, declared) for name, declared in shape.columns)
        if pair == "PostgreSQL, MariaDB":
            places, sets = names, ""
            if shape.binary:
                places, sets = "id, @body", " SET body = UNHEX(@body)"
            load = f"LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {shape.name} CHARACTER SET utf8mb4 ({places}){sets}"
            out = self.copy_out(f"SELECT {cells} FROM {shape.name}", "FORMAT text")
            return f'{out} | {self.mariadb} --local-infile=1 -e "{load}"'
        if pair == "MariaDB, PostgreSQL":
            cells = ", ".join(f"CONCAT(0x5C78, HEX({n}))" if type_ == "bytea" else n for n, type_ in shape.columns)
            into = f"{self.psql} -q -d {self.two} -c \"\\copy {shape.name} FROM STDIN (NULL 'NULL')\""
            return f'{self.mariadb} -N -B --quick -e "SELECT {cells} FROM {shape.name}" | {into}'
        if shape.binary:
            raise Missing("sqlite3 imports no bytes")
        out = self.copy_out(f"SELECT {cells} FROM {shape.name}", "FORMAT csv")
        return f'{out} | {self.sqlite} {self.file} ".import --csv /dev/stdin {shape.name}"'


def _text_cell(name: str, declared: str) -> str:
    """A value in a text that the other client reads."""
    if declared == "boolean":
        return f"{name}::int"
    return f"encode({name}, 'hex')" if declared == "bytea" else name


def page(pg: PostgreSQLServer, my: MariaDBServer, folder: Path, rows: int, rounds: int) -> str:
    """The table of results."""
    text = (
        "# Beside the databases' own clients\n\nThe best of some runs each, in turn. Other side: the two clients with a pipe "
        "between them (`COPY`, `LOAD DATA`, `mariadb --quick`, `.import`), which is the least that can be done.\n\n"
        "| from, to | table | rows | jrunner | pipe | ratio |\n|---|---|---|---|---|---|\n"
    )
    file = folder / "limits.db"
    with pg.fresh_database() as one, pg.fresh_database() as two, my.fresh_database() as there, Session() as session:
        clients = Clients(pg, my, one, two, there, file)
        for name, server, database in (("from", pg, one), ("pg", pg, two), ("my", my, there)):
            session.open(jrun.server(name, server, database))
        session.open(jrun.sqlite("lite", file))
        for shape in shapes(rows):
            if shape.name == "mixed":
                tables.mixed(pg, one, rows)
            else:
                pg.sql(one, f"CREATE TABLE {shape.name} ({shape.declared({})})")
                pg.sql(one, f"INSERT INTO {shape.name} {shape.rows_sql}")
                pg.sql(one, f"VACUUM ANALYZE {shape.name}")
            for name, (types, behind) in _DESTS.items():
                session.execute(name, [f"CREATE TABLE {shape.name} ({shape.declared(types)}){behind}"])
            for pair, source, dest in (
                ("PostgreSQL, PostgreSQL", "from", "pg"),
                ("PostgreSQL, MariaDB", "from", "my"),
                ("MariaDB, PostgreSQL", "my", "pg"),
                ("PostgreSQL, SQLite", "from", "lite"),
            ):
                text += _line(session, clients, shape, pair, source, dest, rounds)
    return text


def _line(session: Session, clients: Clients, shape: Shape, pair: str, source: str, dest: str, rounds: int) -> str:
    query = f"SELECT * FROM {shape.name}"

    def timed(move: Callable[[], object]) -> float:
        """Seconds that the move into the empty table takes."""
        session.execute(dest, [f"DELETE FROM {shape.name}" if dest == "lite" else f"TRUNCATE {shape.name}"])
        began = time.perf_counter()
        move()
        took = time.perf_counter() - began
        count = session.query(dest, f"SELECT count(*) FROM {shape.name}").first
        assert count == str(shape.rows), f"{pair}, {shape.name}: {count} rows"
        return took

    try:
        command = clients.pipe(pair, shape)
    except Missing as missing:
        return f"| {pair} | {shape.name} | {shape.rows:,} | | {missing} | |\n"
    ours, theirs = [], []
    request = MigrateRequest(source=source, sql=query, dest=dest, table=shape.name)
    for _ in range(rounds):
        ours.append(timed(lambda: session.migrate(request)))
        theirs.append(timed(lambda: run(command, clients.environment)))
    best, least = min(ours), min(theirs)
    print(f"{pair}, {shape.name}: {best:.2f} s, {least:.2f} s", file=sys.stderr, flush=True)
    return f"| {pair} | {shape.name} | {shape.rows:,} | {best:.2f} s | {least:.2f} s | {best / least:.2f} |\n"
