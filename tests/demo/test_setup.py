"""The set-up script on machines that lack something: what it says, and that it changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with a shell and little else: no apt, no Java, no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "dirname", "id"):
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The parts of a checkout that the script looks at, so that a slip of it can't touch the real one."""
    target = tmp_path / "checkout"
    target.mkdir()
    for name in ("scripts", "jrunner", "pyproject.toml", "constraints.txt"):
        entry = ROOT / name
        (shutil.copytree if entry.is_dir() else shutil.copy)(entry, target / name)
    return target


def setup(checkout: Path, path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(checkout / "scripts" / "setup.sh"), *(arguments or ["demo"])],
        env={"PATH": str(path), "HOME": str(checkout), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_python_it_names_the_package(checkout: Path, bare_path: Path) -> None:
    done = setup(checkout, bare_path)
    assert done.returncode == 1
    assert "Python 3.10 or newer" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_a_python_that_was_named_must_be_good(checkout: Path, bare_path: Path) -> None:
    old = bare_path / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = setup(checkout, bare_path, PYTHON=str(old))
    assert done.returncode == 1
    assert str(old) in done.stderr


def test_without_a_jdk_it_names_the_package(checkout: Path, bare_path: Path) -> None:
    done = setup(checkout, bare_path, PYTHON=sys.executable)
    assert done.returncode == 1
    assert "needs a JDK 11 or newer, and no JDK was found" in done.stderr
    assert "apt-get install default-jdk-headless" in done.stderr
    assert not (checkout / ".venv").exists()


def test_an_old_jdk_is_named_with_its_version(checkout: Path, bare_path: Path) -> None:
    javac = bare_path / "javac"
    javac.write_text("#!/bin/sh\necho javac 1.8.0_392 >&2\n")
    javac.chmod(0o755)
    done = setup(checkout, bare_path, PYTHON=sys.executable)
    assert done.returncode == 1
    assert f"{javac} is Java 8" in done.stderr


def test_a_java_runtime_alone_is_not_enough(checkout: Path, bare_path: Path) -> None:
    java = bare_path / "java"
    java.write_text("#!/bin/sh\n")
    java.chmod(0o755)
    done = setup(checkout, bare_path, PYTHON=sys.executable)
    assert "only a Java runtime was found, without a compiler" in done.stderr


def test_make_alone_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.skip("no make")
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, env=dict(os.environ)).stdout
    for target in ("demo", "test", "lint", "check", "bench"):
        assert f"make {target} " in listed


def test_the_shipped_dagster_yaml_is_the_one_that_serve_writes() -> None:
    assert (ROOT / "dagster.yaml").read_text() == (ROOT / "pipekit_dagster" / "dagster.yaml").read_text()


def test_the_drivers_are_those_of_the_dialects() -> None:
    """The script reads them from the source text; nothing is installed yet when it does."""
    from pipekit_engine.databases.dialects import catalogue

    spec = spec_from_file_location("setup_script", ROOT / "scripts" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    read = {(found.kind, found.coordinate, found.sha256, found.debian) for found in script.known_drivers()}
    assert read == {
        (dialect.kind, driver.coordinate(driver.version), driver.sha256, driver.debian)
        for dialect, driver in catalogue()
    }
