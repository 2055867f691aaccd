"""Drivers whose classes are in the class-data archive: taken from there, for a connection that names the very same file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipekit_engine.databases import class_archive
from pipekit_engine.databases.class_archive import make_class_archive
from pipekit_engine.jrunner import JRunnerError, OpenRequest, Session, archive, jvm
from pipekit_engine.jrunner.locate import Java, find_jar, find_java
from tests.jars import jar

LOADS = "-Xlog:class+load:stderr"


@pytest.fixture
def java() -> Java:
    found = find_java()
    if found.feature < archive.OLDEST_JAVA:
        pytest.skip("this Java makes no archives")
    return found


@pytest.fixture
def own_jar(tmp_path: Path) -> Path:
    """A copy of jrunner's jar, which has no archive yet."""
    return Path(shutil.copy(find_jar(), tmp_path / "jrunner.jar"))


def h2(path: Path | str) -> OpenRequest:
    return OpenRequest("h2", "jdbc:h2:mem:", [str(path)], kind="h2")


def origins(own_jar: Path, driver: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Where the JVM says that it has H2's driver from, for a session that opens a connection with this jar."""
    plain = jvm.flags
    lines: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(jvm, "flags", lambda *of: [*plain(*of), LOADS])
        with Session(jar=own_jar, on_stderr=lines.append) as session:
            session.open(h2(driver))
    return [line.partition("source: ")[2].strip() for line in lines if " org.h2.Driver source" in line]


def test_a_driver_comes_from_the_archive(own_jar: Path, java: Java, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Path(jar("h2"))
    made = archive.make(own_jar, java, drivers=[driver])
    found = jvm.find_archive(own_jar, java)
    assert found is not None
    assert (found.path, found.drivers) == (made, (driver,))
    assert origins(own_jar, driver, monkeypatch) == ["shared objects file (top)"]


def test_another_file_of_the_driver_is_loaded_as_it_is(
    own_jar: Path, java: Java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.make(own_jar, java, drivers=[Path(jar("h2"))])
    other = Path(shutil.copy(jar("h2"), tmp_path / "h2-other.jar"))
    assert origins(own_jar, other, monkeypatch) == [f"file:{other}"]


def test_a_driver_that_changed_ends_the_archive(own_jar: Path, java: Java, tmp_path: Path) -> None:
    driver = Path(shutil.copy(jar("h2"), tmp_path / "h2.jar"))
    archive.make(own_jar, java, drivers=[driver])
    driver.touch()
    assert jvm.find_archive(own_jar, java) is None
    with Session(jar=own_jar) as session:
        session.open(h2(driver))
        assert session.query("h2", "SELECT 1").rows == (("1",),)
    driver.unlink()
    assert jvm.find_archive(own_jar, java) is None
    with Session(jar=own_jar) as session, pytest.raises(JRunnerError, match="driver jar not found"):
        session.open(h2(driver))
    assert make_class_archive(own_jar, [tmp_path]) is not None
    assert jvm.find_archive(own_jar, java) is not None


def test_a_driver_that_came_later_is_added_once(own_jar: Path, java: Java, tmp_path: Path) -> None:
    make_class_archive(own_jar, [])
    empty = jvm.find_archive(own_jar, java)
    assert empty is not None
    assert empty.drivers == ()
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    driver = Path(shutil.copy(jar("h2"), tmp_path / "old" / "h2-1.jar"))
    make_class_archive(own_jar, [tmp_path / "old"])
    found = jvm.find_archive(own_jar, java)
    assert found is not None
    assert found.drivers == (driver,)
    shutil.copy(driver, tmp_path / "new" / "h2-2.jar")
    stamp = found.path.stat().st_mtime_ns
    make_class_archive(own_jar, [tmp_path / "new"])
    kept = jvm.find_archive(own_jar, java)
    assert kept == found
    assert kept.path.stat().st_mtime_ns == stamp


def test_debian_s_driver_gives_way(own_jar: Path, java: Java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project's own is what its sessions load, although Debian's was there first."""
    (tmp_path / "debian").mkdir()
    (tmp_path / "own").mkdir()
    monkeypatch.setattr(class_archive, "DEBIAN_JARS", tmp_path / "debian")
    debian = Path(shutil.copy(jar("h2"), tmp_path / "debian" / "h2.jar"))
    own = Path(shutil.copy(debian, tmp_path / "own" / "h2-2.jar"))
    for folders, expected in (["debian"], debian), (["debian", "own"], own), (["debian"], own):
        make_class_archive(own_jar, [tmp_path / name for name in folders])
        found = jvm.find_archive(own_jar, java)
        assert found is not None
        assert found.drivers == (expected,)
