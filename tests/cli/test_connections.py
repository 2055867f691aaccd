"""connections list and test: what answered, and why something did not."""

from __future__ import annotations

from pipekit_engine.jrunner.errors import JRunnerError
from tests.cli.conftest import Project


def test_an_unknown_host_is_said_to_be_one(project: Project) -> None:
    """PostgreSQL's driver says only that the connection attempt failed. The name is none that a resolver is asked for."""
    project.write(
        "c.yaml", 'connections: {far: {driver: postgresql, jdbc_url: "jdbc:postgresql://a..b/x", username: me}}'
    )
    assert project.look("apply", "c.yaml").status == 0
    done = project("connections", "test", "far")
    assert done.status == 1
    assert "unknown host a..b" in done.err


def test_a_cause_that_says_nothing_new_is_left_out() -> None:
    cause = ("Connection refused",)
    assert str(JRunnerError("Connection to h refused.", code="connect", causes=cause)) == "Connection to h refused."
    said = str(JRunnerError("It failed.", code="connect", causes=("a", "unknown host h"), sqlstate="08001"))
    assert said == "It failed. (SQLState 08001): unknown host h"
    assert str(JRunnerError("It failed.", code="sql", causes=("x y",))) == "It failed."


def test_a_wrong_path_of_an_sqlite_source_is_told(project: Project) -> None:
    """SQLite makes an empty database of any path, so that all that is said is that there is no such table."""
    project.write(
        "c.yaml",
        """\
        connections: {typo: {driver: sqlite, jdbc_url: "jdbc:sqlite:scr.db"}}
        modules: {t: {source: typo, dest: dw, query: SELECT id FROM items, dest_table: t, strategy: full}}
        """,
    )
    assert project.look("apply", "c.yaml").status == 0
    done = project("run", "t")
    assert done.status == 1
    assert "no such table: items" in done.err
    assert f"The database {project.folder / 'scr.db'} is an empty file: is its path right?" in done.err
