"""docs/types.md says what the tests check."""

from __future__ import annotations

from pathlib import Path

from tests.jrunner.truth.report import report

PAGE = Path(__file__).parents[3] / "docs" / "types.md"


def test_the_page_is_current() -> None:
    fix = "run: python -m tests.jrunner.truth.report > docs/types.md"
    assert PAGE.read_text(encoding="utf-8") == report(), fix
