"""What a table should hold: the source's rows, and the destination's after each strategy, as plain dictionaries.

It shares no code with the engine, and knows no SQL but that of making the source.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.servers.postgresql import PostgreSQLServer

#: A row of table t: id (the key of `upsert`), day (the key of `incremental`), version (grows with each change).
Row = tuple[int, int, int]
STRATEGIES: tuple[str, ...] = ("full", "incremental", "append", "upsert")
DAYS = 5
#: What a column that came later holds.
NOTE = "'n' || {}"


class Source(Protocol):
    """Where the model's rows are kept for the engine to read: a table t of id, day, version."""

    def create(self) -> None: ...

    def write(self, rows: list[Row]) -> None:
        """Replace all rows."""


@dataclass
class SQLiteSource:
    """The source in a file. `extra` names columns that came later; they hold what the version says."""

    file: Path
    extra: list[str] = field(default_factory=list)

    def create(self) -> None:
        with closing(sqlite3.connect(self.file)) as source, source:
            source.execute("CREATE TABLE t (id INTEGER NOT NULL, day INTEGER NOT NULL, version INTEGER NOT NULL)")

    def write(self, rows: list[Row]) -> None:
        with closing(sqlite3.connect(self.file)) as source, source:
            source.execute("DELETE FROM t")
            source.executemany("INSERT INTO t (id, day, version) VALUES (?, ?, ?)", rows)
            for column in self.extra:
                source.execute(f"UPDATE t SET {column} = {NOTE.format('version')}")

    def alter(self, change: str) -> None:
        """Change the table's definition."""
        with closing(sqlite3.connect(self.file)) as source, source:
            source.execute(f"ALTER TABLE t {change}")


@dataclass
class PostgreSQLSource:
    """The source in a database of a server."""

    server: PostgreSQLServer
    database: str

    def create(self) -> None:
        self.server.sql(self.database, "CREATE TABLE t (id int NOT NULL, day int NOT NULL, version int NOT NULL)")

    def write(self, rows: list[Row]) -> None:
        with self.server.connect(self.database, autocommit=False) as source:
            source.execute("DELETE FROM t")
            source.cursor().executemany("INSERT INTO t (id, day, version) VALUES (%s, %s, %s)", rows)


@dataclass
class Model:
    """The source's table and what the destination must hold after a run."""

    source: Source
    strategy: str
    rows: dict[int, tuple[int, int]] = field(default_factory=dict)
    dest: frozenset[Row] = frozenset()
    version: int = 0
    last_id: int = 0
    #: Rows whose ids others have, too.
    twins: list[Row] = field(default_factory=list)

    def insert(self, count: int) -> None:
        for _ in range(count):
            self.version += 1
            self.last_id += 1
            self.rows[self.last_id] = (self.last_id % DAYS, self.version)
        self.write()

    def change(self, random: Random, count: int) -> None:
        """Give rows a new version; some move to another day."""
        for key in random.sample(sorted(self.rows), min(count, len(self.rows))):
            self.version += 1
            day = self.rows[key][0] if random.random() < 0.7 else random.randrange(DAYS)
            self.rows[key] = (day, self.version)
        self.write()

    def delete(self, random: Random, count: int) -> None:
        for key in random.sample(sorted(self.rows), min(count, len(self.rows))):
            del self.rows[key]
        self.write()

    def come_late(self, count: int) -> None:
        """Insert rows with ids that are free below the greatest one."""
        free = [number for number in range(1, self.last_id) if number not in self.rows]
        for key in free[:count]:
            self.version += 1
            self.rows[key] = (key % DAYS, self.version)
        self.write()

    def repeat_keys(self, random: Random, count: int) -> None:
        """Rows with the ids of others, and other versions."""
        for key in random.sample(sorted(self.rows), min(count, len(self.rows))):
            self.version += 1
            self.twins.append((key, self.rows[key][0], self.version))
        self.write()

    def write(self) -> None:
        """Give the source these rows."""
        self.source.write([*((key, *rest) for key, rest in self.rows.items()), *self.twins])

    def after_run(self, dest: frozenset[Row] | None = None) -> frozenset[Row]:
        """The destination after a run that ends well, from `dest` (what it holds now, unless another state is given)."""
        before = self.dest if dest is None else dest
        staged = {(key, *rest) for key, rest in self.rows.items()} | set(self.twins)
        if self.strategy == "full":
            return frozenset(staged)
        if self.strategy == "incremental":
            days = {row[1] for row in staged}
            return frozenset(row for row in before if row[1] not in days) | staged
        if self.strategy == "upsert":
            return frozenset(row for row in before if row[0] not in self.rows) | staged
        newest = max((row[0] for row in before), default=0)
        return before | {row for row in staged if row[0] > newest}
