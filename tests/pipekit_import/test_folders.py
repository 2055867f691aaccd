"""Ten folders of scripts in varied style, each with the definitions that are expected of it.

`folders/NAME` holds the scripts, `expected/NAME` what is made of them, which was read and judged by a person. After a change that
is meant, `PIPEKIT_WRITE_EXPECTED=1 pytest tests/pipekit_import/test_folders.py` writes them anew: read the difference.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.definitions.apply import plan_apply
from pipekit_engine.lint import lint_files
from pipekit_engine.store import Change, Store
from pipekit_import import files_of, import_folder
from tests.cli.conftest import Project

HERE = Path(__file__).parent
FOLDERS = sorted(path.name for path in (HERE / "folders").iterdir())
#: Folder -> how many of its modules are complete, and how many need a person.
COUNTS = {
    "csv_prices": (1, 0),
    "db2_orders": (1, 0),
    "function_library": (2, 0),
    "loop_dimensions": (3, 0),
    "mysql_events": (1, 0),
    "nightly_master": (3, 0),
    "not_understood": (0, 2),
    "oracle_invoices": (1, 0),
    "sqlite_args": (2, 0),
    "sqlserver_customers": (1, 0),
}
#: Every password that stands in the scripts.
SENTINELS = ("Wint3r-2019", "geheim123", "hunter2hunter2")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    url = f"sqlite:///{tmp_path / 'pipekit.db'}"
    Store.init(url)
    opened = Store.open(url)
    opened.definitions.save([Change("create", "drivers", driver.name, driver) for driver in builtin_drivers()])
    return opened


def _write(files: dict[str, str], folder: Path) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_there_are_ten_of_them() -> None:
    assert sorted(COUNTS) == FOLDERS
    assert len(FOLDERS) == 10


@pytest.mark.parametrize("name", FOLDERS)
def test_the_expected_definitions_are_made(name: str) -> None:
    result = import_folder(HERE / "folders" / name)
    files = files_of(result)
    expected = HERE / "expected" / name
    if os.environ.get("PIPEKIT_WRITE_EXPECTED"):
        shutil.rmtree(expected, ignore_errors=True)
        _write(files, expected)
    there = {str(path.relative_to(expected)): path.read_text("utf-8") for path in expected.rglob("*") if path.is_file()}
    assert files == there
    assert (len(result.complete), len(result.incomplete)) == COUNTS[name]


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_said_to_be_complete_can_be_applied(name: str, tmp_path: Path, store: Store) -> None:
    result = import_folder(HERE / "folders" / name)
    folder = _write(files_of(result), tmp_path / "definitions")
    if not result.complete:
        assert not list(folder.rglob("*.yaml"))
        return
    with store:
        applied = plan_apply(store, folder)
    assert {change.name for change in applied.plan.changes if change.kind == "modules"} == {
        p.name for p in result.complete
    }
    assert applied.warnings == ()
    errors = [item for item in lint_files(folder, Config(database=str(tmp_path / "none.db"))) if item.level == "error"]
    assert errors == []


@pytest.mark.parametrize("name", FOLDERS)
def test_no_password_is_copied_and_each_is_told(name: str) -> None:
    result = import_folder(HERE / "folders" / name)
    texts = "".join(files_of(result).values())
    assert not [sentinel for sentinel in SENTINELS if sentinel in texts]
    written = {
        (str(path.relative_to(HERE / "folders" / name)), number)
        for path in (HERE / "folders" / name).rglob("*")
        if path.is_file()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if any(sentinel in line for sentinel in SENTINELS)
    }
    assert {(secret.spot.file, secret.spot.line) for secret in result.secrets} == written


def test_all_folders_at_once_stay_apart(tmp_path: Path, store: Store) -> None:
    result = import_folder(HERE / "folders")
    names = [proposal.name for proposal in result.proposals]
    assert len(set(names)) == len(names) == sum(sum(counts) for counts in COUNTS.values())
    assert {"customers", "sqlserver_customers", "orders", "sqlite_args_orders"} <= set(names)
    # DW_PW is a name in three folders; one secret must not become the password of two logins.
    accounts: dict[str, set[tuple[str, str | None]]] = {}
    for connection in result.connections.found.values():
        if connection.password:
            host = re.split(r"[:/;]", connection.jdbc_url.split("//")[-1])[0]
            accounts.setdefault(connection.password, set()).add((host, connection.username))
    assert {reference: logins for reference, logins in accounts.items() if len(logins) > 1} == {}
    folder = _write(files_of(result), tmp_path / "definitions")
    with store:
        assert len([c for c in plan_apply(store, folder).plan.changes if c.kind == "modules"]) == len(result.complete)


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(os, "system", refuse)
    for name in FOLDERS:
        import_folder(HERE / "folders" / name)
    (tmp_path / "in").mkdir()
    script = f"touch {tmp_path}/ran\nX=$(touch {tmp_path}/ran)\necho x > {tmp_path}/ran\neval 'touch {tmp_path}/ran'\n"
    (tmp_path / "in" / "a.sh").write_text(script)
    import_folder(tmp_path / "in")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def _rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def test_an_imported_folder_runs(tmp_path: Path, java: str) -> None:
    """From scripts to two good runs with the real command: the second one moves what changed, and only once."""
    assert java
    project = Project(tmp_path)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop, shop:
        shop.execute("CREATE TABLE customers (id INTEGER, name TEXT, changed_at TEXT)")
        shop.execute("CREATE TABLE orders (order_id INTEGER, customer INTEGER, total DECIMAL(10, 2), changed_at TEXT)")
        shop.execute(
            "INSERT INTO customers VALUES (1, 'Ada', '2024-01-01 10:00:00'), (2, 'Bob', '2024-01-02 10:00:00')"
        )
        shop.execute(
            "INSERT INTO orders VALUES (10, 1, 12.50, '2024-01-01 11:00:00'), (11, 2, 3, '2024-01-03 09:00:00')"
        )
    assert project("init").status == 0
    made = project("import-scripts", str(HERE / "folders" / "sqlite_args"), "--output", "definitions")
    assert (made.status, "2 of 2 modules complete." in made.err) == (0, True)
    applied = project("apply", "definitions")
    assert applied.status == 0, applied.err
    first = project("run-group", "load", "--json")
    assert first.status == 0, first.err
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop, shop:
        shop.execute("UPDATE orders SET total = 4, changed_at = '2024-01-04 08:00:00' WHERE order_id = 11")
        shop.execute("INSERT INTO orders VALUES (12, 1, 7, '2024-01-04 08:30:00')")
    second = project("run-group", "load", "--json")
    assert second.status == 0, second.err
    assert _rows(tmp_path / "warehouse.db", "SELECT * FROM orders ORDER BY order_id") == _rows(
        tmp_path / "shop.db", "SELECT * FROM orders ORDER BY order_id"
    )
    assert _rows(tmp_path / "warehouse.db", "SELECT count(*) FROM customers") == [(2,)]
    reads = {run["module"]: run["rows_read"] for run in second.json["runs"]}
    assert reads == {"customers": 1, "orders": 2}


@pytest.mark.skipif(not shutil.which("sqlite3"), reason="the script itself needs the sqlite3 program")
def test_pipekit_gives_the_rows_that_the_script_gave(tmp_path: Path, java: str) -> None:
    """The script itself, run for real with jrunner's flags on one copy; what was imported from it, on another."""
    assert java
    setup = [
        "CREATE TABLE orders (order_id INTEGER, customer INTEGER, total DECIMAL(10, 2), changed_at TEXT)",
        "INSERT INTO orders VALUES (10, 1, 12.5, '2024-01-01 11:00:00'), (11, 2, 3, '2024-01-03 09:00:00'), (12, 2, 4, NULL)",
    ]
    change = [
        "UPDATE orders SET total = 4, changed_at = '2024-01-04 08:00:00' WHERE order_id = 11",
        "INSERT INTO orders VALUES (13, 1, 7, '2024-01-03 09:00:00')",
    ]
    for name in ("script", "pipekit"):
        shutil.copytree(HERE / "folders" / "sqlite_args", tmp_path / name)
        _execute(tmp_path / name / "shop.db", setup)
        tables = [setup[0], setup[0].replace("orders", "stage_orders")]
        _execute(tmp_path / name / "warehouse.db", tables if name == "script" else tables[:1])
    programs = tmp_path / "bin"
    programs.mkdir()
    start = "from pipekit_engine.jrunner.launch import main; main()"
    (programs / "jrunner").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{start}' \"$@\"\n")
    (programs / "jrunner").chmod(0o755)
    project = Project(tmp_path / "pipekit")
    environment = project.environment(PATH=f"{programs}:{os.environ['PATH']}")
    assert project.look("init").status == 0
    assert project.look("import-scripts", ".", "--output", "definitions").status == 0
    assert project.look("apply", "definitions").status == 0
    for statements in ([], change):
        for name in ("script", "pipekit"):
            _execute(tmp_path / name / "shop.db", statements)
        command = ["sh", "load.sh", "orders", "order_id"]
        done = subprocess.run(
            command, cwd=tmp_path / "script", env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert project("run", "orders").status == 0
        rows = "SELECT * FROM orders ORDER BY order_id"
        assert _rows(tmp_path / "pipekit" / "warehouse.db", rows) == _rows(tmp_path / "script" / "warehouse.db", rows)
    assert len(_rows(tmp_path / "pipekit" / "warehouse.db", "SELECT * FROM orders")) == 3


def _execute(path: Path, statements: list[str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("name", FOLDERS)
def test_line_ends_of_windows_make_no_difference(name: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(HERE / "folders" / name, copy)
    for path in copy.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert files_of(import_folder(copy)) == files_of(import_folder(HERE / "folders" / name))


def test_reports_name_file_and_line(tmp_path: Path) -> None:
    text = files_of(import_folder(HERE / "folders" / "not_understood"))["import-report.md"]
    assert "- sync.sh:12: **to decide:** perl is not read: it may move rows or change them" in text
    for match in re.finditer(r"^- (\S+):(\d+): ", text, re.MULTILINE):
        lines = (HERE / "folders" / "not_understood" / match[1]).read_text().splitlines()
        assert 1 <= int(match[2]) <= len(lines)
