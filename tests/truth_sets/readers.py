"""How the tests read and fill the seven databases: psycopg, sqlite3, MariaDB's client and a small Java program.

Nothing here knows pipekit. Values come as the text that the database itself makes of them, so that a mistake in how pipekit
writes a type is not undone by the same mistake in how it reads it.
"""

from __future__ import annotations

import base64
import sqlite3
import subprocess
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.jars import jar
from tests.servers.mariadb import MariaDBServer
from tests.servers.mariadb import quote as backticks
from tests.servers.postgresql import PostgreSQLServer

KINDS = ("postgresql", "mariadb", "sqlite", "h2", "derby", "hsqldb", "duckdb")
JARS = Path("/usr/share/java")

Row = tuple["str | None", ...]


@dataclass(frozen=True)
class Column:
    """A column as its database names it: `type` in lower case, without lengths unless they are part of the meaning."""

    name: str
    type: str


@dataclass
class Table:
    """A table's columns and rows."""

    columns: list[Column]
    rows: list[Row]


def quoted(name: str) -> str:
    """A name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


class Database:
    """One database: its JDBC URL and login for pipekit, and what the tests do to it from outside."""

    kind: str
    url: str
    user: str | None = None
    password: str | None = None

    def execute(self, *statements: str) -> None:
        """Run statements, in the order given."""
        raise NotImplementedError

    def rows(self, sql: str) -> list[Row]:
        """Rows of a query as the database's own text."""
        raise NotImplementedError

    def tables(self) -> dict[str, str]:
        """Quoted full names of the tables, by their names in lower case."""
        raise NotImplementedError

    def columns(self, table: str) -> list[Column]:
        """The columns of a table, found by its name in whatever case."""
        raise NotImplementedError

    def expression(self, column: Column) -> str:
        """SQL that gives the database's own text of a column."""
        raise NotImplementedError

    def quote(self, name: str) -> str:
        return quoted(name)

    def read(self, table: str, where: str = "", names: Sequence[str] = ()) -> Table:
        """A whole table, or the rows of a condition and the columns of these names."""
        columns = [column for column in self.columns(table) if not names or column.name.lower() in names]
        assert columns, f"{self.kind} has no table {table}"
        cells = ", ".join(self.expression(column) for column in columns)
        condition = f" WHERE {where}" if where else ""
        return Table(columns, self.rows(f"SELECT {cells} FROM {self.tables()[table.lower()]}{condition}"))


class PostgreSQL(Database):
    kind = "postgresql"

    def __init__(self, server: PostgreSQLServer, name: str) -> None:
        self._server, self.name = server, name
        self.url, self.user, self.password = server.jdbc_url(name), server.user, server.password

    def _ask(self, text: str, arguments: Sequence[Any] = ()) -> list[Row]:
        with self._server.connect(self.name) as connection:
            for setting in (
                "client_encoding TO 'UTF8'",
                "TimeZone TO 'UTC'",
                "DateStyle TO 'ISO, YMD'",
                "IntervalStyle TO 'postgres'",
                "extra_float_digits TO 1",
                "bytea_output TO 'hex'",
            ):
                connection.execute(f"SET {setting}".encode())
            cursor = connection.execute(text.encode(), arguments or None)
            return cursor.fetchall() if cursor.description else []

    def execute(self, *statements: str) -> None:
        with self._server.connect(self.name, autocommit=False) as connection:
            for statement in statements:
                try:
                    connection.execute(statement.encode())
                except Exception as error:
                    raise RuntimeError(f"{error} in: {statement[:500]}") from error
            connection.commit()

    def rows(self, sql: str) -> list[Row]:
        return self._ask(sql)

    def tables(self) -> dict[str, str]:
        found = self._ask(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'v', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pipekit_staging')"
        )
        return {str(table).lower(): f"{quoted(str(schema))}.{quoted(str(table))}" for schema, table in found}

    def columns(self, table: str) -> list[Column]:
        found = self._ask(
            "SELECT a.attname, format_type(a.atttypid, NULL), t.typtype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            [self.tables().get(table.lower(), table)],
        )
        return [Column(str(name), "enum" if kind == "e" else str(type_)) for name, type_, kind in found]

    def expression(self, column: Column) -> str:
        name = quoted(column.name)
        return f"encode({name}, 'hex')" if column.type == "bytea" else f"{name}::text"


class MariaDB(Database):
    kind = "mariadb"

    def __init__(self, server: MariaDBServer, name: str) -> None:
        self._server, self.name = server, name
        self.url, self.user, self.password = server.jdbc_url(name), server.user, server.password

    def execute(self, *statements: str) -> None:
        # Zero dates and the like are hostile data that a lax server holds.
        lax = "SET sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', foreign_key_checks = 0"
        self._server.sql(self.name, ";\n".join((lax, *statements)))

    def rows(self, sql: str) -> list[Row]:
        return self._server.sql(self.name, f"SET time_zone = '+00:00'; {sql}")

    def quote(self, name: str) -> str:
        return backticks(name)

    def tables(self) -> dict[str, str]:
        found = self.rows(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{self.name}'")
        return {str(name).lower(): backticks(str(name)) for (name,) in found}

    def columns(self, table: str) -> list[Column]:
        found = self.rows(
            "SELECT column_name, column_type, data_type FROM information_schema.columns WHERE "
            f"table_schema = '{self.name}' AND table_name = '{table}' ORDER BY ordinal_position"
        )
        if not found and table.lower() in self.tables():
            return self.columns(self.tables()[table.lower()].strip("`"))
        return [Column(str(name), "tinyint(1)" if full == "tinyint(1)" else str(data)) for name, full, data in found]

    _BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point"})

    def expression(self, column: Column) -> str:
        """Text as hexadecimal UTF-8: the client's XML cannot hold every character."""
        name = backticks(column.name)
        if column.type in self._BYTES:
            return f"LOWER(HEX({name}))"
        if column.type == "float":
            name = f"({name} + 0e0)"
        if column.type == "bit":
            name = f"({name} + 0)"
        return f"HEX(CAST({name} AS CHAR CHARACTER SET utf8mb4))"

    def read(self, table: str, where: str = "", names: Sequence[str] = ()) -> Table:
        found = super().read(table, where, names)
        plain = [column.type not in self._BYTES for column in found.columns]
        rows = [
            tuple(
                bytes.fromhex(cell).decode() if cell is not None and text else cell
                for cell, text in zip(row, plain, strict=True)
            )
            for row in found.rows
        ]
        return Table(found.columns, rows)


class SQLite(Database):
    kind = "sqlite"

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"jdbc:sqlite:{file}"

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.file, timeout=60)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, sql: str) -> list[Row]:
        with closing(sqlite3.connect(self.file, timeout=60)) as connection:
            return [tuple(self._text(value) for value in row) for row in connection.execute(sql)]

    @staticmethod
    def _text(value: Any) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return value.hex() if isinstance(value, bytes) else repr(value)

    def tables(self) -> dict[str, str]:
        return {str(name).lower(): quoted(str(name)) for (name,) in self.rows("SELECT name FROM sqlite_master")}

    def columns(self, table: str) -> list[Column]:
        found = self.rows(f"SELECT name, type FROM pragma_table_info('{table}')")
        return [Column(str(name), str(type_).lower().split("(")[0]) for name, type_ in found]

    def expression(self, column: Column) -> str:
        return quoted(column.name)


class Reader:
    """The Java program, running."""

    def __init__(self, java: str, folder: Path) -> None:
        jars = [*(JARS / f"{name}.jar" for name in ("h2", "derby", "hsqldb")), jar("duckdb")]
        source = Path(__file__).with_name("Reader.java")
        javac = Path(java).resolve().with_name("javac")
        subprocess.run([str(javac), "-d", str(folder), str(source)], check=True)
        path = ":".join(map(str, [folder, *jars]))
        self._process = subprocess.Popen(
            [
                java,
                "-Xmx256m",
                "-Duser.timezone=UTC",
                f"-Dderby.stream.error.file={folder / 'derby.log'}",
                "-cp",
                path,
                "Reader",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            cwd=folder,
        )

    def ask(self, verb: str, url: str, user: str, *texts: str) -> list[Row]:
        """One request; raises RuntimeError with the database's message."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        fields = [verb, url, user, *(base64.b64encode(text.encode()).decode() for text in texts)]
        stdin.write("\t".join(fields) + "\n")
        stdin.flush()
        rows: list[Row] = []
        while True:
            line = stdout.readline().rstrip("\n")
            if line == ".":
                return rows
            if line.startswith("! ") or not line:
                raise RuntimeError(self._cell(line[2:]) or "the reader died")
            rows.append(tuple(self._cell(cell) for cell in line.split("\t")))

    @staticmethod
    def _cell(field: str) -> str | None:
        return base64.b64decode(field[1:]).decode() if field.startswith("=") else None

    def close(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(timeout=60)


class Embedded(Database):
    """A file of H2, Derby, HSQLDB or DuckDB; nobody else may have it open while a method works."""

    _URLS: ClassVar = {
        "h2": "jdbc:h2:{}",
        "derby": "jdbc:derby:{};create=true",
        "hsqldb": "jdbc:hsqldb:file:{};hsqldb.write_delay=false;shutdown=true",
        "duckdb": "jdbc:duckdb:{}.duckdb",
    }
    _TEMPORAL = ("date", "time", "interval")

    def __init__(self, reader: Reader, kind: str, path: Path) -> None:
        self._reader, self.kind = reader, kind
        self.url = self._URLS[kind].format(path)
        self.user = {"h2": "sa", "derby": "app", "hsqldb": "SA"}.get(kind)
        self.password = "" if kind in ("h2", "hsqldb") else None

    def _ask(self, verb: str, *texts: str) -> list[Row]:
        return self._reader.ask(verb, self.url, self.user or "", *texts)

    def execute(self, *statements: str) -> None:
        self._ask("execute", *statements)

    def rows(self, sql: str) -> list[Row]:
        return self._ask("rows", sql)

    def tables(self) -> dict[str, str]:
        hidden = {
            "INFORMATION_SCHEMA",
            "information_schema",
            "pg_catalog",
            "SYSTEM_LOBS",
            "PIPEKIT_STAGING",
            "pipekit_staging",
        }
        return {
            str(table).lower(): f"{quoted(str(schema))}.{quoted(str(table))}"
            for schema, table in self._tables()
            if schema not in hidden and not str(schema).startswith("SYS")
        }

    def _tables(self) -> list[Row]:
        if self.kind == "duckdb":
            return self.rows(
                "SELECT schema_name, table_name FROM duckdb_tables() "
                "UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
            )
        return self._ask("tables")

    def _columns(self, table: str) -> list[Row]:
        if self.kind == "duckdb":
            return self.rows(
                f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}' ORDER BY column_index"
            )
        return self._ask("columns", table)

    def columns(self, table: str) -> list[Column]:
        exact = self.tables().get(table.lower())
        name = exact.split(".", 1)[1].strip('"') if exact else table
        found = [(str(column), str(type_).lower()) for column, type_ in self._columns(name)]
        return [
            Column(column, type_ if "bit data" in type_ else type_.split("(")[0].strip()) for column, type_ in found
        ]

    def expression(self, column: Column) -> str:
        name = quoted(column.name)
        if self.kind == "duckdb":
            # What has a zone is told in that of the reader.
            utc = f"{name} AT TIME ZONE 'UTC'" if column.type == "timestamp with time zone" else name
            return name if column.type == "blob" else f"CAST({utc} AS VARCHAR)"
        if self.kind == "derby":
            if column.type == "xml":
                return f"XMLSERIALIZE({name} AS CLOB)"
            return f"CHAR({name})" if column.type in ("date", "time", "timestamp") else name
        if column.type.startswith(self._TEMPORAL):
            return f"CAST({name} AS VARCHAR(100))"
        if (
            self.kind == "h2" and column.type in ("decfloat", "geometry", "enum", "array", "row")
        ) or "array" in column.type:
            return f"CAST({name} AS VARCHAR(100000))"
        return name


def inserts(kind: str, table: str, rows: Iterable[Sequence[str]], size: int = 200) -> list[str]:
    """Statements that insert rows of SQL literals, many at once."""
    parts = [f"({', '.join(row)})" for row in rows]
    size = min(size, 50) if kind == "derby" else size
    return [f"INSERT INTO {table} VALUES {', '.join(parts[at : at + size])}" for at in range(0, len(parts), size)]
