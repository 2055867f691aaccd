"""Bad input of every sort: a clear error that names the thing and the fix, and nothing is changed."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.config import Config, load_config
from pipekit_engine.errors import (
    ConfigurationError,
    ConnectError,
    DestinationError,
    MergeError,
    NotFoundError,
    SourceError,
    StagingError,
    StoreError,
)
from pipekit_engine.models import Driver
from pipekit_engine.operations.doctor import run_checks
from tests.running.workbench import Workbench


@pytest.fixture
def filled(main_bench: Workbench) -> Workbench:
    main_bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    main_bench.fill("t", [(1, "a"), (2, "b")])
    return main_bench


def test_a_destination_that_is_a_view(any_bench: Workbench) -> None:
    any_bench.source("CREATE TABLE t (id INTEGER)")
    any_bench.fill("t", [(1,)])
    any_bench.execute(
        "CREATE TABLE base (id INTEGER)", "INSERT INTO base VALUES (7)", "CREATE VIEW t AS SELECT id FROM base"
    )
    any_bench.module()
    with pytest.raises(DestinationError, match=r"The destination .* is a view"):
        any_bench.run()
    assert any_bench.rows("SELECT id FROM base") == [("7",)]


def test_a_query_with_a_syntax_error(filled: Workbench) -> None:
    filled.module(query="SELEC * FROM t")
    with pytest.raises(
        SourceError, match=r'(?s)query of module m failed on connection src: .*near "SELEC".*in: SELEC \* FROM t'
    ):
        filled.run()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_wrong_password(bench: Workbench, kind: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(kind)
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.connect("shut", kind, server.jdbc_url("x"), server.user, "not-the-password")
    bench.module(dest="shut")
    with pytest.raises(ConnectError, match="Connection 'shut'") as caught:
        bench.run()
    assert "not-the-password" not in str(caught.value)
    assert f"The login was {server.user}. The password is $" in str(caught.value)
    login = next(check for check in run_checks(bench.config) if check.name == "connection shut")
    assert login.ok is False
    assert login.fix


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_a_host_that_does_not_answer_fails_within_the_connect_timeout(
    bench: Workbench, kind: str, silent_port: int
) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.connect("deaf", kind, f"jdbc:{kind}://127.0.0.1:{silent_port}/x", "me", "pw")
    bench.module(dest="deaf")
    bench.engine.config = bench.config.model_copy(update={"connect_timeout_s": 2})
    started = time.monotonic()
    with pytest.raises(ConnectError, match="Connection 'deaf'"):
        bench.run()
    assert time.monotonic() - started < 25, "PostgreSQL's driver by itself waits for ever, MariaDB's for 30 s"


def test_no_right_to_make_the_staging_schema(pg_bench: Workbench, postgresql: Any) -> None:
    url = pg_bench.store.definitions.connection("dst").jdbc_url
    database = url.rsplit("/", 1)[1].split("?")[0]
    role = f"poor_{time.monotonic_ns()}"
    postgresql.sql(
        database, f"CREATE ROLE {role} LOGIN PASSWORD 'pw'; CREATE TABLE t (id int); GRANT ALL ON t TO {role}"
    )
    try:
        pg_bench.source("CREATE TABLE t (id INTEGER)")
        pg_bench.connect("poor", "postgresql", url, role, "pw")
        pg_bench.module(dest="poor")
        with pytest.raises(
            StagingError, match=r"(?s)schema 'pipekit_staging'.*could not be made.*SQLState 42501.*Ask for the right"
        ):
            pg_bench.run()
        postgresql.sql(database, f"CREATE SCHEMA stage AUTHORIZATION {role}")
        pg_bench.connect("poor", "postgresql", url, role, "pw", staging_schema="stage")
        assert pg_bench.run().status == "success"
    finally:
        postgresql.sql(database, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_a_query_without_columns(pg_bench: Workbench) -> None:
    pg_bench.execute("CREATE TABLE nothing ()")
    pg_bench.module(source="dst", query="SELECT * FROM nothing")
    with pytest.raises(SourceError, match="gives no columns"):
        pg_bench.run()


def test_an_unknown_kind_of_driver(bench: Workbench) -> None:
    bench.save(Driver(name="odd", kind="postgre"))
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.connect("other", "odd", "jdbc:odd:x")
    bench.module(dest="other")
    with pytest.raises(NotFoundError, match=r"no driver kind 'postgre'\. Did you mean 'postgresql'"):
        bench.run()
    assert bench.store.leases.all() == []


@contextmanager
def store_connections_that(bench: Workbench, pragma: str) -> Iterator[None]:
    """For the block, each connection of the state store begins with a pragma."""
    pool = bench.store._database._pool
    connect = pool._connect

    def prepared() -> Any:
        connection = connect()
        connection.execute(pragma)
        return connection

    pool.close()
    pool._connect = prepared
    try:
        yield
    finally:
        pool.close()
        pool._connect = connect


def test_a_full_disk_under_the_state_store(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module()
    started = bench.store.runs.start("m", triggered_by="manual")
    assert started is not None
    # The file cannot grow any more: SQLite answers as it does on a full disk.
    with (
        store_connections_that(bench, "PRAGMA max_page_count = 1"),
        pytest.raises(StoreError, match=r"disk of the state store is full .*Free some space"),
    ):
        bench.store.runs.append_log(started[0], "x" * 900_000)
    assert bench.store.runs.get(started[0]).live_log == ""
    assert bench.store.leases.held("module", "m", started[1])


def test_a_read_only_state_store(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module()
    with (
        store_connections_that(bench, "PRAGMA query_only = ON"),
        pytest.raises(StoreError, match=r"The state store is read-only .*Give this user write access"),
    ):
        bench.run()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("databse: x.db\n", r"pipekit\.yaml: databse: unknown key; did you mean 'database'\?"),
        ("alerts: {webhok: x}\n", r"pipekit\.yaml: alerts\.webhok: unknown key; did you mean 'webhook'\?"),
        ("alerts: {mail: {hots: x, sender: a, to: [b]}}\n", r"alerts\.mail\.hots: unknown key; did you mean 'host'\?"),
        ("port: many\n", r"pipekit\.yaml: port: Input should be a valid integer"),
        ("retention: {runs: 3 months}\n", r"retention\.runs: String should match pattern"),
        ("- a\n", r"pipekit\.yaml: must hold `key: value` pairs"),
        ("a: [\n", r"pipekit\.yaml: cannot be read as YAML"),
    ],
)
def test_a_configuration_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "pipekit.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_config(tmp_path / "pipekit.yaml")


def test_a_configuration_that_is_named_but_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEKIT_CONFIG", str(tmp_path / "no.yaml"))
    with pytest.raises(ConfigurationError, match="PIPEKIT_CONFIG names"):
        load_config()


def test_doctor_without_a_store(tmp_path: Path) -> None:
    checks = {check.name: check for check in run_checks(Config(database=str(tmp_path / "none.db")))}
    assert checks["java"].ok is True
    assert checks["state store"].ok is False
    assert "pipekit init" in checks["state store"].detail


def test_doctor_finds_stale_locks_and_open_secrets(bench: Workbench) -> None:
    from pipekit_engine.common.processes import ProcessName
    from pipekit_engine.store import schema

    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module()
    started = bench.store.runs.start("m", triggered_by="manual")
    assert started is not None
    me = ProcessName.current()
    with bench.store._database.write() as connection:
        dead = ProcessName(me.host, me.boot, me.pid, "1")
        connection.execute(schema.module.update().values(running_owner=str(dead)))
    bench.config.secrets_file.write_text("A=b\n")
    bench.config.secrets_file.chmod(0o644)
    checks = {check.name: check for check in run_checks(bench.config)}
    assert checks["lock of m"].ok is None
    assert checks["secrets"].ok is False
    assert "chmod" in (checks["secrets"].fix or "")
    assert checks["connection src"].ok is True
    assert bench.store.leases.all() == []
    assert bench.store.runs.get(started[0]).status == "error"


def test_a_label_that_the_destinations_enum_lacks(pg_bench: Workbench) -> None:
    """The column, the row and what can be done about it."""
    bench = pg_bench
    bench.execute("CREATE TYPE mood AS ENUM ('happy')", "CREATE TABLE t (id int, m mood)")
    bench.source("CREATE TABLE t (id INTEGER, m TEXT)")
    bench.fill("t", [(1, "happy"), (2, "sad")])
    bench.module()
    with pytest.raises(StagingError, match=r"(?s)enum mood: \"sad\".*column 'm', row 2.*ALTER TYPE .* ADD VALUE.*CASE"):
        bench.run()


def test_why_an_upsert_failed_is_not_guessed(main_bench: Workbench) -> None:
    """Rows that share a key, written by somebody else; a column without a default that the query lacks."""
    bench = main_bench
    bench.source("CREATE TABLE t (id INTEGER, n INTEGER)")
    bench.fill("t", [(1, 1), (2, 2)])
    bench.execute("CREATE TABLE t (id int, n int)", "INSERT INTO t VALUES (1, 0), (1, 0)")
    bench.module(strategy="upsert", merge_key="id")
    with pytest.raises(MergeError, match=r"(?is)changed 2 rows, expected 1.*share a key: SELECT .id. FROM .*HAVING"):
        bench.run()
    bench.execute("CREATE TABLE extra (id int, n int, more int NOT NULL)")
    bench.module("extra", dest_table="extra", strategy="upsert", merge_key="id", on_schema_change="ignore")
    with pytest.raises(MergeError, match=r"(?is)more.*does not give that column.*default") as refused:
        bench.run("extra")
    assert "exchange" not in str(refused.value)


def test_a_derby_database_with_the_order_of_a_language(bench: Workbench) -> None:
    """Its catalogue compares with no literal, and its texts of other case may be equal: refused, for new tables and others."""
    url = f"jdbc:derby:{bench.folder}/order;create=true;territory=de_DE;collation=TERRITORY_BASED:PRIMARY"
    bench.connect("order", "derby", url)
    bench.execute('CREATE TABLE own ("id" INTEGER, "name" VARCHAR(9))', connection="order")
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    for table, error in (("new", StagingError), ("own", DestinationError)):
        bench.module(table, dest="order", dest_table=table)
        with pytest.raises(error, match=r"(?s)TERRITORY_BASED.*anew with collation=UCS_BASIC"):
            bench.run(table)


def test_a_login_that_may_make_no_staging_table(pg_bench: Workbench) -> None:
    bench = pg_bench
    own = bench.store.definitions.connection("dst")
    bench.execute(
        "CREATE ROLE keeps_to_itself LOGIN PASSWORD 'pw-of-a-test'", "CREATE TABLE t (id int)",
        "GRANT ALL ON t TO keeps_to_itself", "CREATE SCHEMA pipekit_staging",
    )  # fmt: skip
    bench.connect("narrow", "postgresql", own.jdbc_url, "keeps_to_itself", "pw-of-a-test")
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module(dest="narrow")
    try:
        with pytest.raises(StagingError, match=r"(?s)permission denied for schema pipekit_staging.*`staging_schema`"):
            bench.run()
    finally:
        bench.execute("REVOKE ALL ON t FROM keeps_to_itself", "DROP ROLE keeps_to_itself")


@pytest.mark.parametrize(("type_", "value"), [("INTEGER", "x"), ("DECIMAL(10,2)", "1,5"), ("DATE", "soon")])
def test_a_text_in_a_typed_column_of_sqlite(pg_bench: Workbench, type_: str, value: str) -> None:
    """The way out is named: another type at the destination."""
    pg_bench.source(f"CREATE TABLE t (v {type_})")
    pg_bench.fill("t", [(value,)])
    pg_bench.module()
    with pytest.raises(StagingError, match=rf"'{value}' is not a .*dest_type for text.*column 'v', row 1"):
        pg_bench.run()


def test_from_mariadb_into_postgresql_and_back(pg_bench: Workbench, request: pytest.FixtureRequest) -> None:
    """Types that only MariaDB has come back as they were; and repeated keys name the collation that takes them for equal."""
    bench, server = pg_bench, request.getfixturevalue("mariadb")
    values = (
        "(1, b'1', b'10100101', '01234567-89ab-cdef-fedc-ba9876543210', '2001:db8::1'), (2, b'0', NULL, NULL, '::')"
    )
    with server.fresh_database() as database:
        staging = f"{database}_staging"
        bench.connect("my", "mariadb", server.jdbc_url(database), server.user, server.password, staging_schema=staging)
        made = "(id int primary key, b1 bit(1), b8 bit(8), u uuid, i inet6)"
        bench.execute(
            f"CREATE TABLE s {made}", f"INSERT INTO s VALUES {values}", f"CREATE TABLE own {made}", connection="my"
        )
        bench.module("there", source="my", query="SELECT * FROM s", dest_table="s")
        for table in ("own", "new"):
            bench.module(f"back_{table}", source="dst", dest="my", query="SELECT * FROM s", dest_table=table)
        for module in ("there", "back_own", "back_new"):
            bench.run(module)
        original = bench.rows("SELECT * FROM s", "my")
        assert bench.rows("SELECT * FROM own", "my") == bench.rows("SELECT * FROM new", "my") == original
        ci = "CREATE TABLE ci (k varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci, n int)"
        bench.execute(ci, connection="my")
        bench.source("CREATE TABLE t (k TEXT, n INTEGER)")
        bench.fill("t", [("a", 1), ("a", 2)])
        bench.module("ci", dest="my", dest_table="ci", strategy="upsert", merge_key="k")
        with pytest.raises(StagingError, match=r"1 staged row repeats .*Column k .*the collation utf8mb4_general_ci"):
            bench.run("ci")
        server.sql(database, f"DROP DATABASE IF EXISTS `{staging}`")
