"""Kind `db2` by IBM's jcc, as far as Derby's network server speaks DRDA with it: that of version 10.8; later ones refuse jcc."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.dialects.db2 import DB2LUW
from pipekit_engine.demo.local_server import HOST, ServerProcess, listens
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Driver
from tests.conftest import unavailable
from tests.databases.jars.test_drivers import DRIVERS
from tests.jars import PINNED, pinned_jar
from tests.ports import lasting_port
from tests.running.workbench import Workbench

pytestmark = pytest.mark.slow
VERSION = "10.8.3.0"
#: The server has no MERGE yet, by which an upsert updates.
STRATEGIES = ("full", "append", "incremental")
JARS = {
    "derby": "8b08e4f487c31b11a0b8162acf92f119bf7ebe43fffd1abdfc1a602317797903",
    "derbynet": "34cbab76ed241e9242c9a0d68511af58893d6a47ad519925b4250a3f5180b16e",
}
MAKE = (
    "public class Make { public static void main(String[] a) throws Exception { new org.apache.derby.jdbc.EmbeddedDriver()"
    '.connect("jdbc:derby:dw;create=true", new java.util.Properties()).close(); } }'
)


@pytest.fixture(scope="module")
def classpath(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The server's jars, from Maven by their coordinates."""
    mvn = shutil.which("mvn") or unavailable("no Maven (mvn) to get Derby's network server with")
    # Not beside the drivers, whose jars are looked for by name.
    folder = PINNED.with_name("servers")
    for artifact, sha256 in JARS.items():
        jar = folder / f"{artifact}-{VERSION}.jar"
        if not jar.is_file():
            coordinate = f"org.apache.derby:{artifact}:{VERSION}"
            got = tmp_path_factory.mktemp(artifact)
            command = [mvn, "-q", "-B", "dependency:copy", f"-Dartifact={coordinate}", f"-DoutputDirectory={got}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
            if done.returncode:
                unavailable(f"the jar {coordinate} could not be had: {done.stdout[-300:]}")
            folder.mkdir(exist_ok=True)
            shutil.move(got / jar.name, jar)
        assert hashlib.sha256(jar.read_bytes()).hexdigest() == sha256
    return ":".join(str(folder / f"{artifact}-{VERSION}.jar") for artifact in JARS)


@pytest.fixture
def bench(
    tmp_path: Path, pool: SessionPool, classpath: str, java: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workbench]:
    """From SQLite into a database that jcc takes for DB2, but for the SQLStates by which it says that a table is missing."""
    states = get_dialect("derby").capabilities.missing_table_states
    known = replace(DB2LUW.capabilities, missing_table_states=DB2LUW.capabilities.missing_table_states | states)
    monkeypatch.setattr(DB2LUW, "capabilities", known)
    home = tmp_path / "derby"
    home.mkdir()
    (home / "Make.java").write_text(MAKE)
    made = [java, f"-Dderby.system.home={home}", "-cp", classpath, str(home / "Make.java")]
    subprocess.run(made, check=True, capture_output=True, timeout=120)
    port = lasting_port()
    server = ServerProcess(
        [java, f"-Dderby.system.home={home}", "-cp", classpath, "org.apache.derby.drda.NetworkServerControl", "start",
         "-h", HOST, "-p", str(port), "-noSecurityManager"],
        log=tmp_path / "log", answers=lambda: listens(port),
    )  # fmt: skip
    driver = next(item.values[1] for item in DRIVERS if item.values[1].artifact == "jcc")  # type: ignore[union-attr]
    bench = Workbench(tmp_path, pool)
    bench.save(Driver(name="jcc", kind="db2", jar=pinned_jar(driver)))  # type: ignore[arg-type]
    # In clear: the server does not know how later versions of the driver encrypt a password.
    bench.connect(
        "dst",
        "jcc",
        f"jdbc:db2://{HOST}:{port}/dw",
        "APP",
        "secret",
        options={"securityMechanism": "3"},
        staging_schema="APP",
    )
    yield bench
    bench.close()
    server.stop()


def test_strategies_twice(bench: Workbench) -> None:
    """Into a table of one's own, and back; a key of text; what the catalogue of a DB2 tells, this server does not have."""
    bench.source("CREATE TABLE S (ID INTEGER, NAME VARCHAR(40), AMOUNT DOUBLE PRECISION)")
    bench.fill("S", [(1, "a", 1.5), (2, "it's ж", None), (3, None, -0.25)])
    for strategy in STRATEGIES:
        bench.execute(f"CREATE TABLE {strategy}_T (ID INTEGER NOT NULL, NAME VARCHAR(40), AMOUNT DECIMAL(12, 2))")
        key = {"merge_key": ("ID",)} if strategy == "incremental" else {}
        bench.module(
            f"m_{strategy}",
            query="SELECT * FROM S",
            dest_table=f"{strategy}_T",
            strategy=strategy,
            cascades="allow",
            **key,
        )
        assert bench.run(f"m_{strategy}").rows_inserted == 3
    bench.source(
        "UPDATE S SET NAME = 'b' WHERE ID = 1", "DELETE FROM S WHERE ID = 3", "INSERT INTO S VALUES (4, 'new', 0)"
    )
    now = [("1", "b"), ("2", "it's ж"), ("4", "new")]
    then = [("1", "a"), ("2", "it's ж"), ("3", None)]
    for strategy in STRATEGIES:
        assert bench.run(f"m_{strategy}").status == "success"
        expected = {"full": now, "append": then + now}.get(strategy, [*now, ("3", None)])
        found = bench.rows(f"SELECT ID, NAME FROM {strategy}_T")
        assert found == sorted(expected, key=lambda row: (row[0], row[1] or "")), strategy


def test_a_table_is_made_and_read_back(bench: Workbench) -> None:
    bench.source("CREATE TABLE S (CODE VARCHAR(20), AT TIMESTAMP, DAY DATE, N DECIMAL(20, 4))")
    bench.fill("S", [("a", "2024-02-29 12:34:56.123456", "1900-01-01", 1.25), ("b", None, "2200-12-31", None)])
    types = {"CODE": None, "AT": "TIMESTAMP", "DAY": "DATE", "N": "DECIMAL(20, 4)"}
    columns = tuple({"source_name": name, "dest_type": sql_type} for name, sql_type in types.items())
    bench.module(
        query="SELECT * FROM S",
        dest_table="MADE",
        strategy="incremental",
        merge_key=("CODE",),
        cascades="allow",
        columns=columns,
    )
    for _ in range(2):
        assert bench.run().status == "success"
    expected = [("a", "2024-02-29 12:34:56.123456", "1900-01-01", "1.2500"), ("b", None, "2200-12-31", None)]
    assert bench.rows("SELECT * FROM MADE") == expected
