"""A small pipekit project for the Dagster tests: one SQLite file feeds another through the real jrunner."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from pipekit_dagster.serve.home import default_dagster_yaml
from pipekit_engine.config import load_config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.models import Connection, Group, Module, Record, Schedule, Trigger
from pipekit_engine.store import Change, Store

#: A source query without an end. It counts up between two rows: ten thousand a second keep the writer at work, and fill no disk.
SLOW_QUERY = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n),"
    " pause(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM pause WHERE j < 200) "
    "SELECT i AS id, 'row number ' || i AS name FROM n WHERE i < (SELECT max(i + j) FROM pause)"
)


class Configured:
    """A folder with a configuration, a state store and Dagster's own folder. What is there already is kept."""

    def __init__(self, folder: Path, settings: str) -> None:
        self.folder = folder
        self.config_file = folder / "pipekit.yaml"
        self.home = folder / "dagster"
        self.config_file.write_text(settings)
        (folder / "secrets.env").touch(mode=0o600)
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(default_dagster_yaml())
        self.config = load_config(self.config_file)
        Store.init(self.config.database_url)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The open state store."""
        with Store.open(self.config.database_url) as store:
            yield store

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The Dagster instance of the project."""
        before = {name: os.environ.get(name) for name in ("PIPEKIT_CONFIG", "DAGSTER_HOME")}
        os.environ["PIPEKIT_CONFIG"], os.environ["DAGSTER_HOME"] = str(self.config_file), str(self.home)
        try:
            with dg.DagsterInstance.get() as made:
                yield made
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})


class Project(Configured):
    """A configured folder with a source and a destination."""

    def __init__(self, folder: Path, database: str = "pipekit.db") -> None:
        super().__init__(folder, f"database: {database}\nsecrets: secrets.env\n")
        self.source, self.dest = folder / "source.db", folder / "dest.db"
        #: Destination of modules that run for ever: SQLite lets one connection write to a file.
        self.slow_dest = folder / "slow.db"
        self.sql(self.source, "CREATE TABLE numbers (id INTEGER PRIMARY KEY, name TEXT)")
        self.sql(self.source, "INSERT INTO numbers VALUES (1, 'one'), (2, 'two'), (3, 'three')")
        self.sql(self.dest, "VACUUM")
        self.sql(self.slow_dest, "VACUUM")
        self.save(*builtin_drivers())
        self.save(
            Connection(name="src", driver="sqlite", jdbc_url=f"jdbc:sqlite:{self.source}"),
            Connection(name="dst", driver="sqlite", jdbc_url=f"jdbc:sqlite:{self.dest}"),
            Connection(name="slow_dst", driver="sqlite", jdbc_url=f"jdbc:sqlite:{self.slow_dest}"),
        )

    def save(self, *records: Record, action: str = "create") -> None:
        """Put records into the store."""
        with self.store() as store:
            changes = [Change(action, kind_of(item), item.name, item) for item in records]  # type: ignore[attr-defined, arg-type]
            store.definitions.save(changes)

    def add_module(self, name: str, **fields: Any) -> Module:
        """A module that copies `numbers`; fields override."""
        given = {"source": "src", "dest": "dst", "query": "SELECT id, name FROM numbers", "strategy": "full"}
        module = Module(name=name, **{"dest_table": name, **given, **fields})
        self.save(module)
        return module

    def add_group(self, name: str, *layers: tuple[str, ...], **fields: Any) -> Group:
        """A group of modules."""
        group = Group(name=name, layers=layers, **fields)
        self.save(group)
        return group

    @staticmethod
    def sql(path: Path, text: str) -> list[Any]:
        """Run SQL on one of the two databases."""
        connection = sqlite3.connect(path, timeout=60)
        try:
            rows = connection.execute(text).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()

    def rows(self, table: str) -> list[Any]:
        """All rows of a destination table."""
        return self.sql(self.dest, f'SELECT * FROM "{table}" ORDER BY 1')


def kind_of(record: Record) -> str:
    kinds = {Connection: "connections", Module: "modules", Group: "groups", Schedule: "schedules", Trigger: "triggers"}
    return kinds.get(type(record), "drivers")
