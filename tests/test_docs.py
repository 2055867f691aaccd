"""The pages under docs/ are true: their Python runs as it stands."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", [page.name for page in DOCS.glob("*.md") if "```python" in page.read_text("utf-8")])
def test_the_examples_of_a_page_run_one_after_the_other(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java: str
) -> None:
    assert os.access(java, os.X_OK)
    monkeypatch.chdir(tmp_path)
    text = (DOCS / page).read_text("utf-8")
    names: dict[str, object] = {"__name__": "docs"}
    blocks = list(_BLOCK.finditer(text))
    assert blocks
    for block in blocks:
        # Blank lines before it: a failure is told with the page's own line number.
        before = text[: block.start(1)].count("\n")
        exec(compile("\n" * before + block[1], str(DOCS / page), "exec"), names)
