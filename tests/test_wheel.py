"""What a built wheel carries: everything that a machine without the checkout needs."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.usefixtures("java")
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(ROOT)], check=True)
    (wheel,) = tmp_path.glob("pipekit-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert archive.read("pipekit_engine/demo/demo.yaml") == (ROOT / "definitions" / "demo.yaml").read_bytes()
    assert "pipekit_engine/_jrunner/jrunner.jar" in names
    written = {
        str(path.relative_to(ROOT))
        for package in ("pipekit_engine", "pipekit_dagster", "pipekit_import", "pipekit_web")
        for path in (ROOT / package).rglob("*")
        if path.suffix in {".py", ".yaml", ".mako", ".typed", ".json", ".ini", ".html", ".css", ".js"}
        and "_jrunner" not in path.parts
    }
    assert written <= names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]
