"""runs list, show, tail, prune: every run can be read afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipekit_engine.config import parse_age
from pipekit_engine.errors import ConfigurationError
from tests.cli.conftest import Project


def test_list(shared: Project) -> None:
    lines = shared.look("runs", "list").out.splitlines()
    assert lines[0].split() == ["RUN", "MODULE", "STATUS", "STARTED", "TOOK", "READ", "CHANGED", "BY", "ERROR"]
    assert lines[1].split()[:3] == ["2", "broken", "error"]
    assert lines[2].split()[:3] == ["1", "items", "success"]
    assert [run["id"] for run in shared.look("runs", "list", "--limit", "1", "--json").json] == [2]
    assert [run["id"] for run in shared.look("runs", "list", "items", "--json").json] == [1]
    assert [run["id"] for run in shared.look("runs", "list", "--status", "error", "--json").json] == [2]
    assert shared.look("runs", "list", "--status", "bad").status == 2
    assert shared.look("runs", "list", "itmes").status == 2


def test_show(shared: Project) -> None:
    out = shared.look("runs", "show", "1").out
    for text in (
        "Run 1 of items: success",
        "rows read      50",
        "rows inserted  50",
        "{since}        2000-01-01  (default)",
        "SELECT id, name, at FROM items WHERE at >= '2000-01-01'",
        "INSERT INTO",
        "stage ",
        "pipekit runs tail 1",
    ):
        assert text in out
    newest = shared.look("runs", "show").out
    assert "Run 2 of broken: error" in newest
    assert "no such column" in newest
    record = shared.look("runs", "show", "1", "--json").json
    assert record["rows_inserted"] == 50
    assert "run 1 of module items" in record["live_log"]
    assert shared.look("runs", "show", "99").status == 2


def test_tail_of_a_finished_run(shared: Project) -> None:
    done = shared.look("runs", "tail", "1")
    assert "50 rows read" in done.out
    assert done.err == "Run 1 of items: success.\n"


def test_prune(project: Project) -> None:
    assert project("run", "copy").status == 0
    assert project.look("runs", "prune", "--older-than", "90d").err == "Deleted 0 runs older than 90d.\n"
    assert project.look("runs", "prune", "--older-than", "0h").err == "Deleted 1 run older than 0h.\n"
    assert project.look("runs", "list", "--json").json == []
    assert project.look("runs", "show").status == 2
    unsaid = project.look("runs", "prune")
    assert (unsaid.status, "--older-than 90d" in unsaid.err) == (2, True)


def test_age() -> None:
    assert (parse_age("90d"), parse_age("2w"), parse_age("48 h")) == (
        timedelta(days=90),
        timedelta(weeks=2),
        timedelta(hours=48),
    )
    for wrong in ("", "90", "d", "1y", "-1d", "9" * 20 + "w"):
        with pytest.raises(ConfigurationError):
            parse_age(wrong)


def test_a_narrow_terminal_shows_errors_below_their_runs(shared: Project) -> None:
    lines = shared.terminal("runs", "list", "broken", columns=80).splitlines()
    assert lines[0].split()[-1] == "BY"
    assert "broken" in lines[1]
    assert lines[2].startswith("    The query of module broken failed on connection src")
    wide = shared.terminal("runs", "list", "broken", columns=200).splitlines()
    assert wide[0].split()[-1] == "ERROR"
    assert len(wide) == 2


def test_a_pipe_gets_the_whole_first_line_of_an_error(shared: Project) -> None:
    """It was cut just before its cause."""
    error = shared.look("runs", "list", "broken", "--json").json[0]["error"].splitlines()[0]
    assert len(error) > 100
    assert shared.look("runs", "list", "broken").out.splitlines()[1].endswith(error)
