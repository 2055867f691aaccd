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


TYPO = """\
connections:
  typo: {driver: sqlite, jdbc_url: "jdbc:sqlite:scr.db"}
  far: {driver: sqlite, jdbc_url: "jdbc:sqlite:no/such/folder/dw.db"}
modules:
  t: {source: typo, dest: dw, query: SELECT id FROM items, dest_table: t, strategy: full}
  f: {source: src, dest: far, query: SELECT id FROM items, dest_table: t, strategy: full}
"""


def test_a_wrong_path_of_an_sqlite_file_is_told(project: Project) -> None:
    """SQLite makes an empty database of any path: all that would be said is that there is no such table."""
    project.write("c.yaml", TYPO)
    assert project.look("apply", "c.yaml").status == 0
    path = project.folder / "scr.db"
    for command in (("run", "t"), ("run", "t", "--dry-run"), ("connections", "test", "typo"), ("lint", "--live")):
        done = project(*command)
        assert done.status == 1
        assert f"there is no file {path}. Is the path right?" in (done.out + done.err).replace("\n", " ")
        assert not path.exists()
    done = project("run", "f")
    assert (done.status, f"there is no folder {project.folder / 'no/such/folder'}" in done.err) == (1, True)
    path.touch()
    done = project("run", "t")
    assert done.status == 1
    assert "no such table: items" in done.err
    assert f"The database {path} is an empty file: is its path right?" in done.err


def test_a_new_file_of_a_destination_is_told(project: Project) -> None:
    project.write(
        "c.yaml",
        """\
        connections: {new: {driver: sqlite, jdbc_url: "jdbc:sqlite:new.db"}}
        modules: {n: {source: src, dest: new, query: SELECT id FROM items, dest_table: t, strategy: full}}
        """,
    )
    assert project.look("apply", "c.yaml").status == 0
    done = project("run", "n")
    assert done.status == 0, done.err
    assert f"{project.folder / 'new.db'} was not there and is made now, for connection new" in done.out + done.err
