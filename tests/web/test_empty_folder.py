"""`pipekit web`, like `pipekit serve`, begins a project where nothing is, and nowhere else."""

from __future__ import annotations

import subprocess
import urllib.request
from pathlib import Path

from tests.ports import lasting_port
from tests.web.serving import PAGES, pages_environment, serving_pages


def test_a_project_begins_in_an_empty_folder(tmp_path: Path, java: str) -> None:
    with (
        serving_pages(tmp_path / "pipekit.yaml") as url,
        urllib.request.urlopen(url + "connections", timeout=10) as page,
    ):
        assert "No connection is defined" in page.read().decode()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix in (".yaml", ".db")) == [
        "pipekit.db",
        "pipekit.yaml",
    ]


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("x")
    ended = subprocess.run(
        [*PAGES, "--port", str(lasting_port())], env=pages_environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode != 0
    assert "There is no pipekit state" in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
