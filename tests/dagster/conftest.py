"""Fixtures of the Dagster tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dagster.project import Project


@pytest.fixture
def project(tmp_path: Path, java: str) -> Project:
    """A pipekit project in a folder of its own."""
    return Project(tmp_path)
