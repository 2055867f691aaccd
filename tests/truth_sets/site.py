"""A project of pipekit between two databases: definitions in YAML, `pipekit apply`, runs, and what came of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipekit_engine import Engine
from pipekit_engine.config import load_config
from pipekit_engine.errors import PipekitError
from tests.cli.conftest import Done, Project
from tests.jars import jar
from tests.truth_sets.readers import Database, SQLite


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its error's text, or None after a success."""

    error: str | None
    counts: tuple[int | None, ...] = ()

    def refuses(self, *words: str) -> bool:
        """Whether it failed with a message that has all the words."""
        return self.error is not None and all(re.search(word, self.error, re.IGNORECASE) for word in words)


class Site:
    """A project with connections `src` and `dst`, in a folder of its own."""

    def __init__(self, folder: Path, source: Database, dest: Database) -> None:
        self.project = Project(folder)
        self.source, self.dest = source, dest
        done = self.project.look("init")
        assert done.status == 0, done.err
        connections = {}
        for name, database in (("src", source), ("dst", dest)):
            fields: dict[str, Any] = {"driver": database.kind, "jdbc_url": database.url}
            if database.user:
                fields["username"] = database.user
            if database.password:
                assert self.project.look("secrets", "set", f"{name.upper()}_PW", stdin=database.password).status == 0
                fields["password"] = f"${name.upper()}_PW"
            if database.kind == "mariadb" and name == "dst":
                fields["staging_schema"] = f"{database.name}_staging"  # type: ignore[attr-defined]
            connections[name] = fields
        # Debian has no package of DuckDB's driver, so a new project knows none.
        drivers = {"duckdb": {"kind": "duckdb", "jar": jar("duckdb")}} if "duckdb" in (source.kind, dest.kind) else {}
        # An SQLite file that says which run it is: `{run}` in a query picks that run's rows.
        connections["clock"] = {"driver": "sqlite", "jdbc_url": f"jdbc:sqlite:{folder / 'clock.db'}"}
        self.define("connections", {"drivers": drivers, "connections": connections})

    def define(self, file: str, definitions: Mapping[str, Any]) -> None:
        """Write a file of definitions; `apply` follows."""
        self.project.write(f"definitions/{file}.yaml", yaml.safe_dump(dict(definitions), allow_unicode=True))

    def apply(self) -> None:
        """`pipekit apply`, which must succeed."""
        done = self.project.look("apply")
        assert done.status == 0, done.err

    def modules(self, modules: Mapping[str, Mapping[str, Any]], file: str = "modules") -> None:
        """Define and apply modules from `src` to `dst`; `dest_table` is the module's name and `strategy` full unless said."""
        common = {"source": "src", "dest": "dst", "strategy": "full"}
        whole = {name: {**common, "dest_table": name, **fields} for name, fields in modules.items()}
        self.define(file, {"modules": whole})
        self.apply()

    def run(self, modules: Iterable[str]) -> dict[str, Outcome]:
        """Run modules one after the other in one warm process, gone when this returns."""
        outcomes = {}
        with Engine(load_config(self.project.folder / "pipekit.yaml")) as engine, engine.session_pool() as pool:
            for name in modules:
                try:
                    record = engine.run(name, sessions=pool).record
                    outcomes[name] = Outcome(
                        None, (record.rows_read, record.rows_inserted, record.rows_updated, record.rows_deleted)
                    )
                except PipekitError as error:
                    outcomes[name] = Outcome(str(error))
        return outcomes

    def set_clock(self, run: int) -> None:
        """Make it the run of that number: `SELECT run FROM clock` on connection `clock`."""
        clock = SQLite(self.project.folder / "clock.db")
        clock.execute(
            "DROP TABLE IF EXISTS clock", "CREATE TABLE clock (run INTEGER)", f"INSERT INTO clock VALUES ({run})"
        )

    def wizard(self, *flags: str) -> Done:
        """The wizard in batch mode: `pipekit wizard --source src --dest dst ... --yes`."""
        self.apply()
        return self.project.look("wizard", "--source", "src", "--dest", "dst", *flags, "--yes")
