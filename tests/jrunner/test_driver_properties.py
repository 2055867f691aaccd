"""Every property that a kind gives to a driver is one that the driver, in its pinned version, says that it knows."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import JdbcDriver, catalogue, get_dialect
from pipekit_engine.jrunner.locate import find_jar
from tests.conftest import unavailable
from tests.jars import pinned_jar

#: Properties of the database, which the driver takes and does not tell.
UNTOLD = {"hsqldb": {"hsqldb.write_delay"}}
DRIVERS = [
    pytest.param(dialect.kind, driver, id=f"{driver.artifact}-{driver.version}") for dialect, driver in catalogue()
]


@pytest.fixture(scope="module")
def classes(java: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled program."""
    folder = tmp_path_factory.mktemp("properties")
    javac = shutil.which("javac") or unavailable("no JDK to compile the program with")
    subprocess.run(
        [javac, "-cp", str(find_jar()), "-d", str(folder), str(Path(__file__).with_name("UnknownProperties.java"))],
        check=True,
    )
    return folder


def properties(java: str, classes: Path, kind: str, driver: JdbcDriver) -> tuple[dict[str, str], set[str]]:
    """What the kind gives to the driver, and the names that the driver knows."""
    command = [java, "-cp", f"{classes}:{find_jar()}:{pinned_jar(driver)}", "UnknownProperties"]
    # DuckDB's driver opens the database to tell: one in memory.
    url = "jdbc:duckdb:" if kind == "duckdb" else driver.url
    done = subprocess.run(
        [*command, kind, driver.class_name, url], capture_output=True, text=True, check=False, cwd=classes
    )
    assert done.returncode == 0, done.stderr
    given, _, known = (part.splitlines() for part in done.stdout.partition("known\n"))
    return dict(line.split("=", 1) for line in given), set(known)


@pytest.mark.parametrize(("kind", "driver"), DRIVERS)
def test_a_drivers_properties_exist(java: str, classes: Path, kind: str, driver: JdbcDriver) -> None:
    given, known = properties(java, classes, kind, driver)
    # Letter case does not count: jTDS tells them in capitals.
    assert {name.lower() for name in given.keys() - UNTOLD.get(kind, set())} <= {name.lower() for name in known}


def test_a_time_goes_to_sql_server_with_its_fraction(java: str, classes: Path) -> None:
    """As a datetime, which is the driver's default, 23:59:59.999999 became 00:00:00."""
    given, _ = properties(java, classes, "sqlserver", get_dialect("sqlserver").drivers[0])
    assert given["sendTimeAsDatetime"] == "false"
    assert "useBulkCopyForBatchInsert" not in given


def test_db2_for_i_gives_every_date_and_text(java: str, classes: Path) -> None:
    """In the job's own format a date outside 1940 to 2039 is NULL; text without a character set (CCSID 65535) is bytes."""
    given, known = properties(java, classes, "db2", get_dialect("db2").drivers[0])
    assert {name: given[name] for name in ("date format", "time format", "translate binary", "errors", "prompt")} == {
        "date format": "iso", "time format": "iso", "translate binary": "true", "errors": "full", "prompt": "false",
    }  # fmt: skip
    # Left to its defaults, by which tables of a library without a journal can be read; docs/guarantees.md says what that means.
    assert not {"transaction isolation", "true autocommit"} & given.keys()
    assert {"transaction isolation", "true autocommit"} <= known


WITH_TLS = [
    pytest.param(dialect.kind, driver, id=driver.artifact)
    for dialect, driver in catalogue()
    if driver.class_name in dialect.ways_in
]


@pytest.mark.parametrize(("kind", "driver"), WITH_TLS)
def test_the_settings_of_tls_and_tunnels_exist(java: str, classes: Path, kind: str, driver: JdbcDriver) -> None:
    """Of one variant all: a setting that a driver does not know would leave the connection without encryption."""
    ways = get_dialect(kind).ways_in[driver.class_name]
    known = {name.lower() for name in properties(java, classes, kind, driver)[1]}
    variants = [{name for part in (*each.modes.values(), each.ca, each.key) for name in part} for each in ways.tls]
    untold = any(each.untold for each in ways.tls)
    assert untold or any({name.lower() for name in names} <= known for names in variants)
    for name in (ways.socket_factory, ways.host_name):
        assert name is None or name.lower() in known
