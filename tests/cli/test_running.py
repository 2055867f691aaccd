"""run, run-group, cancel, unlock: what they print, what they do, and their exit statuses."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time

import pytest

from tests.cli.conftest import COMMAND, ROWS, TIMEOUT_S, Project
from tests.waiting import LIMIT


def test_a_run_moves_rows_and_says_so(project: Project) -> None:
    first = project("run", "items")
    assert first.status == 0, first.err
    assert first.out.startswith("success  items  ")
    assert f"{ROWS} read, {ROWS} inserted" in first.out
    assert "\x1b" not in first.out + first.err
    assert project.rows("SELECT count(*) FROM items") == [(ROWS,)]
    second = project("run", "items", "--json").json
    counts = [second[f"rows_{name}"] for name in ("read", "inserted", "updated", "unchanged")]
    assert (second["status"], counts) == ("success", [1, 0, 0, 1])
    assert second["watermarks"]["since"] == {"value": "2024-01-01 00:00:49", "origin": "resolver"}
    assert second["duration_s"] > 0
    backfill = project("run", "items", "--set", "since=2024-01-01 00:00:40", "--json").json
    assert backfill["rows_read"] == 10
    assert backfill["watermarks"]["since"] == {"value": "2024-01-01 00:00:40", "origin": "override"}


def test_a_dry_run_prints_the_sql_and_moves_nothing(project: Project) -> None:
    done = project("run", "copy", "--dry-run")
    assert done.status == 0
    assert "SELECT id, name FROM items" in done.out
    assert "INSERT INTO" in done.out
    assert project.rows("SELECT count(*) FROM sqlite_master WHERE name = 'copy'") == [(0,)]
    as_json = project("run", "copy", "--dry-run", "--json").json
    assert as_json["status"] == "dry_run"
    assert "INSERT INTO" in as_json["plan"]


def test_a_failed_run_names_the_sql_and_exits_1(project: Project) -> None:
    done = project("run", "broken")
    assert done.status == 1
    assert "SELECT nope FROM items" in done.err
    assert "no such column" in done.err
    assert "pipekit runs show 1" in done.err
    assert done.out == ""
    as_json = project("run", "broken", "--json")
    assert as_json.status == 1
    assert (as_json.json["status"], as_json.json["error_type"]) == ("error", "SourceError")


def test_what_is_asked_wrongly_exits_2(project: Project) -> None:
    wrong = project("run", "item")
    assert (wrong.status, "Did you mean 'items'?" in wrong.err) == (2, True)
    refused = project.look("run", "item", "--json")
    assert (refused.status, refused.json["status"], refused.json["exit_status"]) == (2, "refused", 2)
    assert project.look("run", "items", "--set", "since").status == 2
    assert project.look("run", "items", "--set", "sinse=1").status == 2
    assert project.look("run-group", "goood").status == 2
    assert "use `pipekit run-group good`" in project.look("run", "good").err
    assert "use `pipekit run copy`" in project.look("run-group", "copy").err
    assert project.look("cancel", "99").status == 2
    assert project.look("unlock", "item").status == 2


def test_ctrl_c_cancels_cleanly(project: Project) -> None:
    with project.start("run", "endless", "--json") as command:
        command.wait_for_run()
        command.send(signal.SIGINT)
        done = command.end()
    assert done.status == 130
    assert done.json["status"] == "cancelled"
    assert "Cancelling" in done.err
    assert project.look("unlock", "endless").err == "endless was not locked.\n"
    assert project.rows("SELECT count(*) FROM sqlite_master") == [(0,)]


@pytest.mark.parametrize("command_line", ["run-group slow", "run endless"])
@pytest.mark.parametrize("pause_s", [0, 0.0005, 0.003])
@pytest.mark.sample(3)
def test_a_second_signal_stops_at_once(project: Project, command_line: str, pause_s: float) -> None:
    in_time = False
    while not in_time:
        with project.start(*command_line.split()) as command:
            command.wait_for_run("stage")
            began = time.monotonic()
            command.send(signal.SIGTERM)
            time.sleep(pause_s)
            command.send(signal.SIGINT)
            # A busy machine may make the pause so long that the command has ended by the first signal alone.
            in_time = time.monotonic() - began < pause_s + 0.02
            command.process.wait(TIMEOUT_S)
            if in_time:
                assert command.end().status == 130
    assert {run["status"] for run in project.look("runs", "list", "endless", "--json").json} == {"cancelled"}


def test_a_second_run_is_locked_out_and_a_third_process_cancels_the_first(project: Project) -> None:
    with project.start("run", "endless") as command:
        run = command.wait_for_run()
        locked = project("run", "endless")
        assert (locked.status, "is being run by process" in locked.err) == (3, True)
        assert project("run", "endless", "--json").json["status"] == "locked"
        assert project.look("unlock", "endless").status == 3
        assert project.look("runs", "list", "--status", "running").out.count("endless") == 1
        with project.start("runs", "tail") as tail:
            cancelled = project("cancel", str(run))
            assert (cancelled.status, cancelled.err) == (0, f"Run {run} of endless: cancelled.\n")
            followed = tail.end()
        assert (followed.status, followed.err) == (0, f"Run {run} of endless: cancelled.\n")
        assert f"run {run} of module endless" in followed.out
        assert command.end().status == 130
    assert project("cancel", str(run)).err == f"Run {run} has ended already: cancelled.\n"


def test_the_lock_of_a_killed_run_is_freed(project: Project) -> None:
    with project.start("run", "endless") as command:
        run = command.wait_for_run()
        command.send(signal.SIGKILL)
        assert command.end().status == -signal.SIGKILL
    done = project.look("unlock", "endless")
    assert (done.status, "endless is free" in done.err) == (0, True)
    shown = project.look("runs", "show", str(run))
    assert "interrupted" in shown.out


def test_a_group_runs_all_members(project: Project) -> None:
    done = project("run-group", "good")
    assert done.status == 0, done.err
    assert "group good: success" in done.out
    assert "sleeping is skipped: it is disabled" in done.err
    as_json = project("run-group", "good", "--json").json
    assert as_json["status"] == "success"
    assert [(run["module"], run["status"]) for run in as_json["runs"]] == [("items", "success"), ("copy", "success")]
    assert as_json["skipped"] == ["sleeping"]
    planned = project("run-group", "good", "--dry-run", "--json").json
    assert planned["status"] == "dry_run"
    assert all("INSERT INTO" in run["plan"] for run in planned["runs"])


def test_a_cancelled_group_points_at_no_run_of_a_module_by_its_own_number(project: Project) -> None:
    project.write("definitions/endless_group.yaml", "groups:\n  endless_group: {members: [endless]}\n")
    assert project.look("apply").status == 0
    with project.start("run-group", "endless_group") as command:
        command.wait_for_run()
        command.send(signal.SIGINT)
        done = command.end()
    assert done.status == 130
    assert "was cancelled" in done.err
    assert "runs show" not in done.err


def test_a_failed_member_does_not_stop_the_others(project: Project) -> None:
    done = project("run-group", "mixed")
    assert done.status == 1
    assert done.err.count("no such column") == 1
    assert project.rows("SELECT count(*) FROM copy") == [(ROWS,)]
    as_json = project("run-group", "mixed", "--json")
    assert as_json.status == 1
    assert [run["status"] for run in as_json.json["runs"]] == ["error", "success"]


def test_a_terminal_shows_live_progress(project: Project) -> None:
    terminal, other = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "run", "endless"],
        cwd=project.folder,
        env=project.environment(TERM="xterm-256color", NO_COLOR=""),
        stdin=other,
        stdout=other,
        stderr=other,
        start_new_session=True,
    )
    os.close(other)
    seen = ""
    until = time.monotonic() + LIMIT
    # The line in place shows the phase, rows and speed; Ctrl-C comes from the terminal itself.
    while "rows/s" not in seen and time.monotonic() < until:
        seen += os.read(terminal, 4096).decode(errors="replace")
    assert "stage" in seen
    os.killpg(process.pid, signal.SIGINT)
    try:
        while True:
            seen += os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        pass  # the terminal's other side is closed: the command has ended
    os.close(terminal)
    assert process.wait(LIMIT) == 130
    assert "was cancelled" in seen
    assert "\x1b[?25h" in seen  # the cursor is back
