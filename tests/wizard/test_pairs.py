"""Watermarks between kinds of databases: what the wizard writes runs, and the second run moves only what is new."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects.base.watermarks import Lag
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.wizard.builder import Wishes, draft_table
from pipekit_engine.wizard.workspace import Workspace
from tests.running.conftest import EMBEDDED
from tests.running.workbench import Workbench

KINDS = ("sqlite", "postgresql", "mariadb", "h2", "derby", "hsqldb")
PAIRS = [
    *((kind, "postgresql") for kind in KINDS),
    *(("mariadb", kind) for kind in KINDS[2:]),
    ("sqlite", "mariadb"), ("sqlite", "h2"), ("postgresql", "sqlite"), ("postgresql", "mariadb"),
]  # fmt: skip
#: Enough for dates and numbers: each kind once on each side.
FEW = [("derby", "postgresql"), ("hsqldb", "postgresql"), ("postgresql", "sqlite"), ("sqlite", "mariadb"), ("mariadb", "h2"),
       ("mariadb", "derby"), ("h2", "postgresql"), ("mariadb", "hsqldb")]  # fmt: skip
#: Microseconds where a kind has them by another name.
TIMES = {"mariadb": "DATETIME(6)", "hsqldb": "TIMESTAMP(6)"}
ZONED = {
    "postgresql": "TIMESTAMP WITH TIME ZONE", "mariadb": "TIMESTAMP(6)", "h2": "TIMESTAMP WITH TIME ZONE",
    "hsqldb": "TIMESTAMP(6) WITH TIME ZONE",
}  # fmt: skip


class Pairs:
    """One workbench with a connection to each kind."""

    def __init__(self, bench: Workbench, request: pytest.FixtureRequest, stack: ExitStack) -> None:
        self.bench = bench
        self._request = request
        self._stack = stack
        self._open: set[str] = set()
        self._number = 0

    def connection(self, kind: str) -> str:
        if kind not in self._open:
            self._open.add(kind)
            if kind in EMBEDDED:
                url, user = EMBEDDED[kind]
                self.bench.connect(kind, kind, url.format(folder=self.bench.folder), user, "" if user else None)
            else:
                server = self._request.getfixturevalue(kind)
                name = self._stack.enter_context(server.fresh_database())
                self.bench.connect(kind, kind, server.jdbc_url(name), server.user, server.password)
        return kind

    def table(self, kind: str, column: str) -> str:
        """A new source table with the watermark column, named in the kind's own case."""
        self._number += 1
        name = f"t{self._number}"
        self.bench.execute(
            f"CREATE TABLE {name} (id INTEGER NOT NULL PRIMARY KEY, updated_at {column})",
            connection=self.connection(kind),
        )
        return name

    def propose(self, source: str, table: str, dest: str, wishes: Wishes) -> None:
        self.connection(dest)
        with Workspace(self.bench.engine, self.bench.pool) as workspace:
            found = workspace.browser(self.connection(source)).find(table)
            draft = draft_table(workspace, source, found, self.connection(dest), wishes)
            module = draft.module()
            assert workspace.rehearse(module).watermarks["since"].origin == "default"
        self.bench.save(module)

    def read(self, module: str) -> int:
        return self.bench.run(module).rows_read or 0


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, java: str) -> Iterator[Pairs]:
    folder: Path = tmp_path_factory.mktemp("pairs")
    with ExitStack() as stack:
        pool = stack.enter_context(SessionPool(1))
        bench = Workbench(folder, pool)
        yield Pairs(bench, request, stack)
        bench.close()


def literal(kind: str, text: str, column: str) -> str:
    if kind in ("sqlite", "postgresql", "mariadb"):
        return f"'{text}{'+00' if kind == 'postgresql' and 'ZONE' in column else ''}'"
    if kind == "derby":
        return f"TIMESTAMP('{text}')"
    zone = {"h2": "+00:00", "hsqldb": "+0:00"}[kind] if "ZONE" in column else ""
    return f"TIMESTAMP {'WITH TIME ZONE ' if zone and kind == 'h2' else ''}'{text}{zone}'"


@pytest.mark.parametrize(
    ("source", "dest", "zoned"),
    [(*pair, False) for pair in PAIRS] + [(*pair, True) for pair in PAIRS if pair[0] in ZONED],
)
@pytest.mark.sample(4)
def test_a_time_is_followed_to_the_microsecond(pairs: Pairs, source: str, dest: str, zoned: bool) -> None:
    column = ZONED[source] if zoned else TIMES.get(source, "TIMESTAMP")
    table = pairs.table(source, column)

    def insert(number: int, text: str) -> None:
        pairs.bench.execute(
            f"INSERT INTO {table} VALUES ({number}, {literal(source, text, column)})", connection=source
        )

    insert(1, "2024-03-10 01:59:59.123456")
    insert(2, "2024-03-10 02:30:00.123456")
    lag = Lag(10, "minute") if dest != "derby" else None
    pairs.propose(source, table, dest, Wishes(name=f"exact_{table}", lag=Lag(), dest_table=f"{table}_exact"))
    pairs.propose(source, table, dest, Wishes(name=f"lagging_{table}", lag=lag, dest_table=f"{table}_lag"))
    assert pairs.read(f"exact_{table}") == 2
    assert pairs.read(f"lagging_{table}") == 2
    insert(3, "2024-03-10 02:30:00.123456")  # of the same moment as the newest
    insert(4, "2024-03-10 02:21:00.000000")  # committed late
    # SQLite compares to the second: what it reads again is replaced by its key.
    assert pairs.read(f"exact_{table}") == 2
    assert pairs.read(f"lagging_{table}") == (3 if lag else 2)
    assert len(pairs.bench.rows(f"SELECT id FROM {table}_exact", dest)) == 3
    assert len(pairs.bench.rows(f"SELECT id FROM {table}_lag", dest)) == (4 if lag else 3)


@pytest.mark.parametrize(("source", "dest"), FEW)
def test_a_date_is_read_again_as_a_whole_day(pairs: Pairs, source: str, dest: str) -> None:
    table = pairs.table(source, "DATE")

    def insert(number: int, text: str) -> None:
        value = f"DATE('{text}')" if source == "derby" else f"'{text}'" if source == "sqlite" else f"DATE '{text}'"
        pairs.bench.execute(f"INSERT INTO {table} VALUES ({number}, {value})", connection=source)

    insert(1, "2024-02-28")
    insert(2, "2024-02-29")
    pairs.propose(source, table, dest, Wishes(name=f"by_date_{table}", dest_table=f"{table}_copy"))
    assert pairs.read(f"by_date_{table}") == 2
    insert(3, "2024-02-29")
    assert pairs.read(f"by_date_{table}") == 2
    assert len(pairs.bench.rows(f"SELECT id FROM {table}_copy", dest)) == 3
    if dest != "derby":
        pairs.propose(source, table, dest, Wishes(name=f"days_{table}", dest_table=f"{table}_days", lag=Lag(1, "day")))
        assert [pairs.read(f"days_{table}") for _ in range(2)] == [3, 3]


@pytest.mark.parametrize(("source", "dest"), FEW)
def test_a_number_is_followed_with_its_lag(pairs: Pairs, source: str, dest: str) -> None:
    table = pairs.table(source, "BIGINT")
    for start in range(-3, 1197, 400):
        rows = ", ".join(f"({number}, {number})" for number in range(start, start + 400))
        pairs.bench.execute(f"INSERT INTO {table} VALUES {rows}", connection=source)
    wishes = Wishes(name=f"by_number_{table}", dest_table=f"{table}_copy", watermark="updated_at")
    pairs.propose(source, table, dest, wishes)
    assert pairs.read(f"by_number_{table}") == 1200, "negative numbers are there from the first run on"
    assert pairs.read(f"by_number_{table}") == 1001
    assert len(pairs.bench.rows(f"SELECT id FROM {table}_copy", dest)) == 1200
