"""A read over several connections gives each row once, whatever the key, and ends as a whole."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.common.progress import Progress
from pipekit_engine.jrunner import ColumnPair, JRunnerCancelled, JRunnerError, MigrateRequest, MigrateResult, Session
from tests.jrunner.conftest import mariadb_request, postgresql_request, sqlite_request
from tests.jrunner.splitting import split_request
from tests.jrunner.test_intervals import embedded
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until

KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgresql),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    "h2",
    "hsqldb",
]


class Source:
    """The connection `source` of some kind with the table `t (k, v)`, and a file `dest` with `d (v)`."""

    def __init__(self, session: Session, kind: str) -> None:
        self.session = session
        self.kind = kind

    def table(self, key: str, *rows: Sequence[str], more: str = "") -> None:
        """Make `t (key, v)`, v being the number of the row."""
        listed = [f"({', '.join(row)}, {number})" for number, row in enumerate(rows)]
        inserts = [f"INSERT INTO t VALUES {', '.join(listed[at : at + 500])}" for at in range(0, len(listed), 500)]
        self.session.execute("source", ["DROP TABLE IF EXISTS t", f"CREATE TABLE t ({key}, v INT) {more}", *inserts])

    def read(
        self, by: Sequence[str] = ("k",), *, rows: int = 7, lanes: int = 3, sql: str = "SELECT * FROM t", **more: Any
    ) -> MigrateResult:
        """The rows of `t` into `d`, in ranges."""
        split = split_request(self.session, "source", self.kind, sql, by, rows=rows, lanes=lanes)
        name = "V" if self.kind in ("h2", "hsqldb") else "v"
        request = MigrateRequest("source", sql, "dest", "d", columns=[ColumnPair(name, "v")], clear=True, split=split)
        return self.session.migrate(request, **more)

    def check(self, rows: int) -> None:
        """Each of so many rows is there once."""
        found = self.session.query("dest", "SELECT count(*), count(DISTINCT v), min(v), max(v) FROM d").rows
        assert found == ((str(rows), str(rows), "0", str(rows - 1)),)


@pytest.fixture
def open_source(session: Session, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Source]]:
    with ExitStack() as databases:

        def opened(kind: str) -> Source:
            if kind in ("postgresql", "mariadb"):
                server = request.getfixturevalue(kind)
                make: Any = postgresql_request if kind == "postgresql" else mariadb_request
                session.open(make("source", server, databases.enter_context(server.fresh_database())))
            elif kind == "sqlite":
                session.open(sqlite_request("source", tmp_path / "source.db"))
            else:
                session.open(embedded(kind, "source", tmp_path))
            session.open(sqlite_request("dest", tmp_path / "dest.db"))
            session.execute("dest", ["CREATE TABLE d (v INTEGER)"])
            return Source(session, kind)

        yield opened
        if session.alive:
            session.close()


def quoted(*texts: str) -> list[str]:
    return ["'" + text.replace("'", "''") + "'" for text in texts]


DAYS = [f"{year}-{month:02}-{day:02}" for year in (1900, 1999, 2024) for month in (1, 2, 12) for day in (1, 17, 28)]
TIMES = [
    f"{day} {clock}" for day in DAYS[::3] for clock in ("00:00:00", "02:30:00.5", "23:59:59.999999", "12:00:00.000001")
]
UUIDS = [
    f"{high:08x}-0000-4000-{low:04x}-00000000000a"
    for high in (0, 1, 0x7FFFFFFF, 0xF0000000)
    for low in (0x8000, 0xBFFF, 0x9ABC)
]
INTEGERS = [str(sign * 10**power + step) for power in range(19) for sign in (-1, 1) for step in (0, 1)]
DECIMALS = [
    f"{sign}{number}"
    for sign in ("", "-")
    for number in ("0.00001", "1.5", "12345678901234.56789", "99999999999999.99999", "2")
]
TEXTS = [
    "it's",
    "''",
    '"',
    "a",
    "A",
    "ä",
    "Z",
    "z ",
    " ",
    "",
    "😀",
    "ж",
    "漢字",
    "%_",
    "-- x",
    "{}",
    "$$",
    "?",
    "b'; DROP TABLE t",
    "ﬁ",
    "ß",
    "SS",
]
#: Each is the last bound: what follows is one range.
UNSAFE = ["a\\b", "tab\there", "line\nbreak", "\\", "\x7f"]

FAMILIES: dict[str, tuple[dict[str, str], list[str]]] = {
    "integers": ({"*": "BIGINT"}, INTEGERS),
    "decimals": ({"*": "DECIMAL(20,5)"}, DECIMALS),
    "texts": ({"*": "VARCHAR(40)"}, quoted(*TEXTS)),
    "characters": ({"*": "CHAR(20)"}, quoted(*(text.rstrip() for text in TEXTS))),
    "dates": ({"*": "DATE"}, quoted(*DAYS)),
    "timestamps": ({"*": "TIMESTAMP(6)", "mariadb": "DATETIME(6)"}, quoted(*TIMES)),
    "instants": (
        {"*": "TIMESTAMP WITH TIME ZONE", "mariadb": "TIMESTAMP(6) NULL"},
        quoted(*(f"2024-{text[5:]}" for text in TIMES if text[5:10] != "12-28")),
    ),
    "uuids": ({"*": "UUID", "sqlite": "UUID"}, quoted(*UUIDS)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_each_row_once_by_any_key(open_source: Callable[[str], Source], kind: str, family: str) -> None:
    """Values that come often and values that are missing, too."""
    source = open_source(kind)
    types, values = FAMILIES[family]
    if kind in ("h2", "hsqldb") and family == "instants":
        zone = "+00:00" if kind == "h2" else "+0:00"
        values = [f"TIMESTAMP{' WITH TIME ZONE' if kind == 'h2' else ''} '{value[1:-1]}{zone}'" for value in values]
    if kind == "hsqldb" and family in ("dates", "timestamps", "uuids"):
        word = {"dates": "DATE ", "timestamps": "TIMESTAMP "}.get(family)
        values = [f"{word}{value}" if word else f"UUID({value})" for value in values]
    rows = [(value,) for value in values for _ in range(3)] + [("NULL",)] * 9 + [(values[len(values) // 2],)] * 60
    more = "CHARACTER SET utf8mb4" if kind == "mariadb" else ""
    source.table(f"k {types.get(kind, types['*'])}", *rows, more=more)
    result = source.read()
    source.check(len(rows))
    assert result.split is not None
    assert result.split.lanes == 3
    assert result.split.ranges > len(values) * 3 // 8 / 2, "the ranges follow the values"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unsafe", UNSAFE, ids=ascii)
def test_what_is_not_safely_written_ends_the_ranges(
    open_source: Callable[[str], Source], kind: str, unsafe: str
) -> None:
    source = open_source(kind)
    written = [f"a{n}" for n in range(20)] + [f"b{n}{unsafe}" for n in range(20)]
    escaped = [text.replace("\\", "\\\\") if kind == "mariadb" else text for text in written]
    source.table("k VARCHAR(40)", *((text,) for text in quoted(*escaped)))
    result = source.read(rows=5)
    source.check(40)
    assert result.split is not None
    assert result.split.ranges == 6, "four, one that is open, and one of rows without a value"


@pytest.mark.parametrize("kind", KINDS)
def test_skewed_keys(open_source: Callable[[str], Source], kind: str) -> None:
    """One value in nine of ten rows, and gaps of 10^15: the ranges go by the rows, not by the values."""
    source = open_source(kind)
    common = [("5",)] * 900
    rare = [(str(number * 10**15),) for number in range(100)]
    source.table("k BIGINT", *common, *rare)
    result = source.read(rows=10, lanes=4)
    source.check(1000)
    assert result.split is not None
    assert 10 <= result.split.ranges <= 13


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_table_is_read_over_one_connection(open_source: Callable[[str], Source], kind: str) -> None:
    source = open_source(kind)
    source.table("k BIGINT", *((str(number),) for number in range(6)), ("NULL",))
    result = source.read()
    source.check(7)
    assert result.split is not None
    assert (result.split.lanes, result.split.ranges, result.split.one_moment) == (1, 1, True)
    source.table("k BIGINT")
    assert source.read().rows_read == 0


def test_cells_of_any_type_in_a_column_of_sqlite(open_source: Callable[[str], Source]) -> None:
    """Numbers among texts, texts among numbers, blobs among both: each cell compares by its own type."""
    source = open_source("sqlite")
    cells = [
        "1",
        "2.5",
        "'12'",
        "'x'",
        "x'61'",
        "'0x61'",
        "-3",
        "'Z'",
        "x''",
        "''",
        "1e300",
        "'1e3'",
        "9007199254740993",
    ]
    for declared in ("INTEGER", "TEXT", "DECIMAL(10,2)", "DATE", "UUID", "TEXT COLLATE NOCASE"):
        source.table(f"k {declared}", *((cell,) for cell in cells for _ in range(5)), ("NULL",))
        for rows in (1, 4, 11):
            source.read(rows=rows)
            source.check(66)


COLLATIONS = {
    "mariadb": ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_bin", "utf8mb4_nopad_bin", "latin1_swedish_ci"],
    "sqlite": ["NOCASE", "RTRIM", "BINARY"],
    "postgresql": ['"C"', "ci", "ignoring"],
}


@pytest.mark.parametrize(
    ("kind", "collation"),
    [
        pytest.param(kind, name, marks=[] if kind == "sqlite" else getattr(pytest.mark, kind))
        for kind, names in COLLATIONS.items()
        for name in names
    ],
)
def test_collations(open_source: Callable[[str], Source], kind: str, collation: str) -> None:
    """Values that are equal and yet not the same are in one range."""
    source = open_source(kind)
    if kind == "postgresql":
        for name, strength in (("ci", "level2"), ("ignoring", "level1")):
            made = f"CREATE COLLATION {name} (provider = icu, locale = 'und-u-ks-{strength}', deterministic = false)"
            source.session.execute("source", [made])
    texts = [
        text
        for text in TEXTS
        if not collation.startswith("latin1") or text.encode("latin1", "ignore").decode("latin1") == text
    ]
    texts += [f"{text}{ending}" for text in ("e", "E", "é", "É", "e ") for ending in ("", "a", "A", "x")]
    charset = f"CHARACTER SET {collation.partition('_')[0]} " if kind == "mariadb" else ""
    source.table(f"k VARCHAR(40) {charset}COLLATE {collation}", *((text,) for text in quoted(*texts) for _ in range(4)))
    for rows in (1, 5):
        source.read(rows=rows)
        source.check(len(texts) * 4)


@pytest.mark.parametrize("kind", KINDS)
def test_several_columns(open_source: Callable[[str], Source], kind: str) -> None:
    """NULL in any of them; without row values the first alone counts."""
    source = open_source(kind)
    some = [*quoted("a", "b", "c'"), "NULL"]
    source.table("a VARCHAR(9), b INT", *((a, b) for a in some for b in ["NULL", *map(str, range(20))]))
    result = source.read(("a", "b"), rows=6)
    source.check(84)
    assert result.split is not None
    compares = kind in ("sqlite", "postgresql", "mariadb")
    assert result.split.ranges == (12 if compares else 5)


def slow_source(source: Source) -> None:
    """Rows that each take a while to read."""
    if source.kind == "postgresql":
        source.session.execute("source", ["CREATE TABLE t AS SELECT g AS k, g AS v FROM generate_series(0, 9999) g"])
    else:
        source.session.execute("source", ["CREATE TABLE t AS SELECT seq AS k, seq AS v FROM seq_0_to_9999"])
    source.session.execute("source", ["CREATE INDEX t_k ON t (k)"])


SLOW = {
    "postgresql": "SELECT k, v, pg_sleep(0.01)::text AS s FROM t",
    "mariadb": "SELECT k, v, SLEEP(0.01) AS s FROM t",
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgresql", "mariadb")]
)
def test_a_cancel_ends_every_lane(
    open_source: Callable[[str], Source], kind: str, request: pytest.FixtureRequest
) -> None:
    source = open_source(kind)
    slow_source(source)
    source.session.execute("dest", ["INSERT INTO d VALUES (-1)"])
    cancel = threading.Event()
    threading.Timer(1, cancel.set).start()
    with pytest.raises(JRunnerCancelled):
        source.read(rows=500, sql=SLOW[kind], cancel=cancel)
    assert source.session.query("dest", "SELECT v FROM d").rows == (("-1",),)
    left = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
        "mariadb": "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE()",
    }[kind]
    wait_until(lambda: source.session.query("source", left).first == "1", "the end of the other connections")


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgresql", "mariadb")]
)
@pytest.mark.parametrize("victim", ["first", "last"])
def test_a_connection_that_is_killed_ends_all(
    open_source: Callable[[str], Source], kind: str, victim: str, request: pytest.FixtureRequest
) -> None:
    source = open_source(kind)
    slow_source(source)
    source.session.execute("dest", ["INSERT INTO d VALUES (-1)"])
    server = request.getfixturevalue(kind)
    database = source.session.query(
        "source", "SELECT current_database()" if kind == "postgresql" else "SELECT DATABASE()"
    ).first
    killed = threading.Event()
    order = "DESC" if victim == "last" else "ASC"

    def kill(progress: Progress) -> None:
        if killed.is_set() or progress.phase != "migrate":
            return
        killed.set()
        if kind == "postgresql":
            lanes = f"FROM pg_stat_activity WHERE datname = '{database}' AND query LIKE '%pg_sleep%'"
            ids = f"SELECT pid {lanes} ORDER BY backend_start {order} LIMIT 1"
            server.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM ({ids}) q")
        else:
            lanes = f"FROM information_schema.processlist WHERE db = '{database}' AND info LIKE '%SLEEP%'"
            ids = f"SELECT id {lanes} ORDER BY id {order} LIMIT 1"
            server.sql("mysql", f"KILL {server.sql('mysql', ids)[0][0]}")

    with pytest.raises(JRunnerError) as error:
        source.read(rows=500, sql=SLOW[kind], on_progress=kill)
    assert killed.is_set()
    assert error.value.phase == "read"
    assert source.session.query("dest", "SELECT v FROM d").rows == (("-1",),)


@pytest.mark.postgresql
def test_an_error_in_a_late_range_is_told_and_leaves_the_destination(open_source: Callable[[str], Source]) -> None:
    source = open_source("postgresql")
    slow_source(source)
    source.session.execute("dest", ["INSERT INTO d VALUES (-1)"])
    with pytest.raises(JRunnerError, match="division by zero") as error:
        source.read(rows=100, sql="SELECT k, 1 / (k - 9990) AS v FROM t")
    assert error.value.phase == "read"
    assert source.session.query("dest", "SELECT v FROM d").rows == (("-1",),)
    assert source.read(rows=100).rows_read == 10_000


def test_more_lanes_than_ranges(open_source: Callable[[str], Source]) -> None:
    source = open_source("sqlite")
    source.table("k BIGINT", *((str(number),) for number in range(20)))
    result = source.read(rows=10, lanes=16)
    source.check(20)
    assert result.split is not None
    assert result.split.ranges == 4


class Mover(threading.Thread):
    """Moves rows from one end of a key's order to the other, one at a time, until it is stopped."""

    def __init__(self, move: Callable[[int], None]) -> None:
        super().__init__(daemon=True)
        self._move = move
        self._stopped = threading.Event()
        self.moved = 0

    def run(self) -> None:
        while not self._stopped.wait(0.002):
            self._move(self.moved)
            self.moved += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def mover(source: Source, rows: int, folder: Path, request: pytest.FixtureRequest) -> Mover:
    """Each row jumps behind all others, or before them: whoever reads at two moments misses it or has it twice."""
    move = f"UPDATE t SET k = CASE WHEN k > {rows} THEN k - {rows} * 10 ELSE k + {rows} * 10 END WHERE v = {{}}"
    if source.kind == "sqlite":
        other = sqlite3.connect(folder / "source.db", isolation_level=None, timeout=60, check_same_thread=False)
        return Mover(lambda number: other.execute(move.format(number * 7 % rows)))
    if source.kind == "postgresql":
        database = source.session.query("source", "SELECT current_database()").first
        server: PostgreSQLServer = request.getfixturevalue("postgresql")
        return Mover(lambda number: server.sql(database, move.format(number * 7 % rows)))
    source.session.open(
        mariadb_request(
            "other", request.getfixturevalue("mariadb"), str(source.session.query("source", "SELECT DATABASE()").first)
        )
    )
    return Mover(lambda number: source.session.execute("other", [move.format(number * 7 % rows)]))


@pytest.mark.parametrize(
    "kind",
    ["sqlite", *(pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgresql", "mariadb"))],
)
def test_all_lanes_see_one_moment_while_rows_move(
    open_source: Callable[[str], Source], kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = open_source(kind)
    rows = 3000
    if kind == "sqlite":
        source.session.execute("source", ["PRAGMA journal_mode = WAL"], transaction=False)
    source.table("k BIGINT", *((str(number),) for number in range(rows)))
    source.session.execute("source", ["CREATE INDEX t_k ON t (k)"])
    if kind == "sqlite":
        source.session.open(sqlite_request("source", tmp_path / "source.db", read_only=True))
    moving = mover(source, rows, tmp_path, request)
    moving.start()
    try:
        wait_until(lambda: moving.moved > 3, "rows that move")
        for _ in range(5):
            before = moving.moved
            result = source.read(rows=50, lanes=4)
            assert result.split is not None
            assert result.split.one_moment, result.split.why
            assert result.split.ranges > 50
            source.check(rows)
            wait_until(lambda before=before: moving.moved > before, "rows that move")  # type: ignore[misc]
    finally:
        moving.stop()


def test_a_journal_without_wal_keeps_writers_out(open_source: Callable[[str], Source], tmp_path: Path) -> None:
    source = open_source("sqlite")
    source.table("k BIGINT", *((str(number),) for number in range(2000)))
    source.session.open(sqlite_request("source", tmp_path / "source.db", read_only=True))
    other = sqlite3.connect(tmp_path / "source.db", isolation_level=None, timeout=60, check_same_thread=False)
    moving = Mover(lambda number: other.execute(f"UPDATE t SET k = -k WHERE v = {number % 2000}"))
    moving.start()
    try:
        for _ in range(3):
            result = source.read(rows=50, lanes=4)
            assert result.split is not None
            assert result.split.one_moment, result.split.why
            source.check(2000)
    finally:
        moving.stop()


@pytest.mark.mariadb
def test_without_the_right_to_lock_it_is_said(
    open_source: Callable[[str], Source], mariadb: MariaDBServer, request: pytest.FixtureRequest
) -> None:
    source = open_source("mariadb")
    source.table("k BIGINT", *((str(number),) for number in range(100)))
    database = str(source.session.query("source", "SELECT DATABASE()").first)
    mariadb.sql(
        "mysql", f"CREATE USER '{database}'@'%' IDENTIFIED BY 'x'; GRANT SELECT ON `{database}`.* TO '{database}'@'%'"
    )
    try:
        source.session.open(replace(mariadb_request("source", mariadb, database), user=database, password="x"))
        result = source.read()
        source.check(100)
        assert result.split is not None
        assert not result.split.one_moment
        assert "RELOAD" in result.split.why
        assert source.session.query("source", "SELECT @@lock_wait_timeout > 60, @@wait_timeout > 60").rows == (
            ("1", "1"),
        )
    finally:
        mariadb.sql("mysql", f"DROP USER '{database}'@'%'")


@pytest.mark.mariadb
def test_a_lock_that_does_not_come_is_not_waited_for(
    open_source: Callable[[str], Source], mariadb: MariaDBServer
) -> None:
    """And nobody else is kept waiting afterwards."""
    source = open_source("mariadb")
    source.table("k BIGINT", *((str(number),) for number in range(100)))
    database = str(source.session.query("source", "SELECT DATABASE()").first)
    slow = threading.Thread(target=mariadb.sql, args=(database, "UPDATE t SET k = k + SLEEP(6) WHERE v = 99"))
    slow.start()
    try:
        wait_until(
            lambda: (
                mariadb.sql("mysql", "SELECT count(*) FROM information_schema.processlist WHERE state = 'User sleep'")
                == [("1",)]
            ),
            "a statement that writes",
        )
        began = time.monotonic()
        result = source.read()
        assert time.monotonic() - began < 5
        source.check(100)
        assert result.split is not None
        assert "in the way of a lock for 2 s" in result.split.why
    finally:
        slow.join()
    result = source.read()
    assert result.split is not None
    assert result.split.one_moment


@pytest.mark.mariadb
def test_the_lock_is_gone_before_the_rows_are_read(
    open_source: Callable[[str], Source], mariadb: MariaDBServer, request: pytest.FixtureRequest
) -> None:
    source = open_source("mariadb")
    slow_source(source)
    database = str(source.session.query("source", "SELECT DATABASE()").first)
    mariadb.sql(database, "CREATE TABLE other (a INT)")
    cancel = threading.Event()
    took: list[float] = []

    def write(progress: Progress) -> None:
        began = time.monotonic()
        mariadb.sql(database, "INSERT INTO other VALUES (1)")
        took.append(time.monotonic() - began)
        cancel.set()

    with pytest.raises(JRunnerCancelled):
        source.read(rows=500, sql=SLOW["mariadb"], on_progress=write, cancel=cancel)
    assert took[0] < 2


@pytest.mark.mariadb
def test_connections_that_the_source_refuses_are_the_source_s_failure(
    open_source: Callable[[str], Source], mariadb: MariaDBServer
) -> None:
    source = open_source("mariadb")
    source.table("k BIGINT", *((str(number),) for number in range(100)))
    database = str(source.session.query("source", "SELECT DATABASE()").first)
    limits = f"CREATE USER '{database}'@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 2"
    mariadb.sql("mysql", f"{limits}; GRANT SELECT ON `{database}`.* TO '{database}'@'%'")
    try:
        source.session.open(replace(mariadb_request("source", mariadb, database), user=database, password="x"))
        with pytest.raises(JRunnerError, match="max_user_connections") as error:
            source.read()
        assert error.value.phase == "read"
        assert source.read(lanes=2).rows_read == 100
    finally:
        mariadb.sql("mysql", f"DROP USER '{database}'@'%'")
