"""Setting up: init, configuration, secrets, passwords, drivers, connections."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, Project
from tests.waiting import LIMIT

SENTINEL = "s3ntinel-pa55"


def test_init_starts_from_nothing_and_is_safe_to_run_twice(empty: Project) -> None:
    first = empty("init")
    assert first.status == 0, first.err
    assert "Wrote pipekit.yaml." in first.out
    assert "Created the state store" in first.out
    assert "postgresql" in first.out
    (empty.folder / "pipekit.yaml").write_text("database: pipekit.db\n# mine\n")
    second = empty("init")
    assert (second.status, "is up to date" in second.out) == (0, True)
    assert (empty.folder / "pipekit.yaml").read_text() == "database: pipekit.db\n# mine\n"


def test_without_a_store_the_message_says_init(empty: Project) -> None:
    done = empty("run", "x")
    assert done.status == 2
    assert "Run `pipekit init`" in done.err
    assert done.out == ""


@pytest.mark.parametrize("age", ["99999999d", "99999999999999d", "soon"])
def test_a_retention_that_is_no_age_is_refused_when_it_is_read(empty: Project, age: str) -> None:
    empty.write("pipekit.yaml", f"database: pipekit.db\nretention: {{runs: {age}}}\n")
    done = empty("init")
    assert done.status == 2
    assert "retention.runs" in done.err
    assert not (empty.folder / "pipekit.db").exists()


def test_the_configuration_is_found_by_option_and_by_variable(empty: Project, tmp_path: Path) -> None:
    other = empty.write("other/config.yaml", "database: state.db\n")
    assert empty.look("--config", str(other), "init").status == 0
    assert (tmp_path / "other" / "state.db").exists()
    assert not (tmp_path / "pipekit.yaml").exists()
    assert empty.look("modules", PIPEKIT_CONFIG=str(other)).status == 0
    missing = empty.look("--config", "nowhere.yaml", "modules")
    assert (missing.status, "nowhere.yaml" in missing.err) == (2, True)
    empty.write("other/config.yaml", "databse: state.db\n")
    misspelt = empty.look("--config", str(other), "modules")
    assert (misspelt.status, "did you mean 'database'?" in misspelt.err) == (2, True)


def test_secrets_come_from_a_pipe_and_never_out_again(shared: Project) -> None:
    assert shared.look("secrets", "set", "DW_PASSWORD", stdin=SENTINEL + "\n").status == 0
    path = shared.folder / "secrets.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == f"DW_PASSWORD={SENTINEL}\n"
    listed = shared.look("secrets", "list")
    assert "DW_PASSWORD" in listed.out
    assert SENTINEL not in listed.out + listed.err
    assert shared.look("secrets", "list", "--json").json == [{"key": "DW_PASSWORD", "set": True, "connections": []}]
    assert shared.look("secrets", "set", "OTHER", "a 'quoted' $value").status == 0
    assert shared.look("secrets", "unset", "OTHER").status == 0
    wrong = shared.look("secrets", "unset", "DW_PASSWORT")
    assert (wrong.status, "Did you mean 'DW_PASSWORD'?" in wrong.err) == (2, True)
    assert shared.look("secrets", "unset", "DW_PASSWORD").status == 0
    assert shared.look("secrets", "set", "not-a-name", "x").status == 2


def test_a_secret_is_asked_for_without_echo(shared: Project) -> None:
    terminal, other = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "secrets", "set", "TYPED"],
        cwd=shared.folder,
        env=shared.environment(),
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    seen = _until(terminal, "TYPED: ")
    # Twice different, then twice the same.
    for prompt, text in (("again: ", SENTINEL), ("TYPED: ", "typo"), ("again: ", SENTINEL), ("is set", SENTINEL)):
        os.write(terminal, text.encode() + b"\n")
        seen += _until(terminal, prompt)
    assert process.wait(LIMIT) == 0
    os.close(terminal)
    assert SENTINEL not in seen
    assert "They differ" in seen
    assert f"TYPED={SENTINEL}" in (shared.folder / "secrets.env").read_text()
    shared.look("secrets", "unset", "TYPED")


def _until(terminal: int, text: str) -> str:
    seen = ""
    limit = time.monotonic() + LIMIT
    while text not in seen:
        assert select.select([terminal], [], [], max(0, limit - time.monotonic()))[0], f"no {text!r} in {seen!r}"
        seen += os.read(terminal, 4096).decode()
    return seen


def test_set_password_from_a_pipe(project: Project) -> None:
    pytest.importorskip("dagster")
    done = project.look("set-password", "ann", stdin=SENTINEL + "\n")
    assert done.status == 0, done.err
    assert SENTINEL not in done.out + done.err
    assert project.look("set-password", "bob", "--role", "king", stdin=SENTINEL + "\n").status == 2
    assert project.look("set-password", "ann", "--remove").status == 0
    assert project.look("set-password", "ann", "--remove").status == 2


def test_connections_are_listed_and_tested_for_real(shared: Project) -> None:
    assert [item["name"] for item in shared.look("connections", "list", "--json").json] == ["src", "dw"]
    tested = shared("connections", "test")
    assert tested.status == 0, tested.err
    assert tested.out.count("ok") == 2
    assert "SQLite" in tested.out
    assert shared.look("connections", "test", "scr").status == 2


def test_a_connection_that_fails_says_why_without_the_password(project: Project) -> None:
    project.look("secrets", "set", "PW", stdin=SENTINEL)
    project.write(
        "more.yaml",
        """
        connections:
          gone: {driver: postgresql, jdbc_url: "jdbc:postgresql://127.0.0.1:1/x", username: u, password: $PW}
          unset: {driver: postgresql, jdbc_url: "jdbc:postgresql://127.0.0.1:1/x", username: u, password: $UNSET_PW}
        """,
    )
    assert project.look("apply", "more.yaml").status == 0
    tested = project("connections", "test", "gone", "unset")
    assert tested.status == 1
    assert "127.0.0.1:1" in tested.err
    assert "$UNSET_PW is not set" in tested.err
    assert SENTINEL not in tested.out + tested.err
    answers = project("connections", "test", "gone", "src", "--json")
    assert (answers.status, [item["ok"] for item in answers.json]) == (1, [False, True])
    listed = {
        item["key"]: (item["set"], item["connections"]) for item in project.look("secrets", "list", "--json").json
    }
    assert listed == {"PW": (True, ["gone"]), "UNSET_PW": (False, ["unset"])}


def test_drivers_are_listed_and_registered(project: Project) -> None:
    listed = {item["name"]: item for item in project.look("drivers", "list", "--json").json}
    assert listed["sqlite"]["found"]
    assert "sqlite" in project.look("drivers", "list").out
    jar = listed["sqlite"]["found"][0]
    done = project.look("drivers", "register", "mine", "--kind", "sqlite", "--jar", jar, "--class", "org.sqlite.JDBC")
    assert done.status == 0, done.err
    assert {item["name"]: item["class"] for item in project.look("drivers", "list", "--json").json}[
        "mine"
    ] == "org.sqlite.JDBC"
    unknown = project.look("drivers", "register", "x", "--kind", "postgres", "--jar", jar)
    assert (unknown.status, "Did you mean 'postgresql'?" in unknown.err) == (2, True)
    missing = project.look("drivers", "register", "x", "--kind", "generic", "--jar", "/nowhere/x.jar")
    assert (missing.status, "/nowhere/x.jar" in missing.err) == (2, True)
    # Nothing that is built in is written to an export, but what somebody registered is.
    assert "mine:" in project.look("export", "-").out
    assert "postgresql:" not in project.look("export", "-").out


def test_doctor_says_what_is_wrong_and_the_fix(project: Project) -> None:
    well = project("doctor", "--json")
    assert [check for check in well.json if check["ok"] is False] == []
    assert well.status == 0
    project.write(
        "more.yaml",
        """
        connections:
          gone: {driver: postgresql, jdbc_url: "jdbc:postgresql://127.0.0.1:1/x", username: u, password: $UNSET_PW}
        """,
    )
    assert project.look("apply", "more.yaml").status == 0
    ill = project("doctor")
    assert ill.status == 2
    assert "problem" in ill.out
    assert "gone" in ill.out
    assert "pipekit secrets set UNSET_PW" in ill.out


@pytest.mark.parametrize("content", [b"no database at all" * 200, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_damaged_state_file_wants_a_restore(empty: Project, content: bytes) -> None:
    """It said that the file "cannot be made or opened", and `init` was what people tried."""
    assert empty("init").status == 0
    for suffix in ("-wal", "-shm"):
        (empty.folder / f"pipekit.db{suffix}").unlink(missing_ok=True)
    (empty.folder / "pipekit.db").write_bytes(content)
    for command in ("modules", "init"):
        done = empty(command)
        assert done.status == 2
        assert "is damaged" in done.err
        assert "`pipekit restore BACKUP`" in done.err


def test_an_empty_pipe_sets_no_secret(empty: Project) -> None:
    empty("init")
    done = empty.look("secrets", "set", "DW", stdin="\n")
    assert (done.status, "Nothing came through the pipe: DW is as it was" in done.err) == (2, True)
    assert not (empty.folder / "secrets.env").exists()


def test_a_port_that_is_none(empty: Project) -> None:
    empty("init")
    done = empty("serve", "--port", "99999")
    assert done.status == 2
    assert "65535" in done.err
    assert "Traceback" not in done.err
