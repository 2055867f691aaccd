"""Fixtures for definitions: a folder to write YAML into, and a store to apply it to."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipekit_engine.store import Store

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "definitions"
    path.mkdir()
    return path


@pytest.fixture
def write(folder: Path) -> Write:
    """`write("a.yaml", text)` puts dedented text into the folder and returns the folder."""

    def write_file(name: str, text: str) -> Path:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return folder

    return write_file


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'pipekit.db'}"
    Store.init(url)
    with Store.open(url) as opened:
        yield opened
