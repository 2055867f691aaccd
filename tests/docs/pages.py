"""Reads the pages under docs/: their fenced blocks, headings and links.

What the info string of a block says:

- `console`: commands after `$ `, run one after the other in one shell; the lines below a command are what it prints. `...`
  stands for any text, alone on a line for any lines. Output that is not shown is not compared.
- `yaml FILE`, `python FILE`, `ini FILE`: the file is written into the folder where the commands run.
- `yaml`: definitions or configuration, which must load.
- `python`: run in one namespace, page by page.
- `sh`, `text`, `json`, `sql`, `ini`: shown only: what needs root, another machine or another database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in (ROOT / "README.md", *DOCS.rglob("*.md")))
KINDS = {"console", "yaml", "python", "sh", "text", "json", "sql", "ini"}

_BLOCK = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it names, its text, and the line of the page where the text begins."""

    page: str
    line: int
    language: str
    file: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def read(page: str) -> str:
    """A page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    text = read(page)
    for match in _BLOCK.finditer(text):
        language, _, file = match["info"].strip().partition(" ")
        indent = match["indent"]
        body = "".join(line.removeprefix(indent) for line in match["body"].splitlines(keepends=True))
        yield Block(page, text.count("\n", 0, match.start("body")) + 1, language, file.strip() or None, body)


def without_blocks(text: str, *, spans: bool = False) -> str:
    """The text without its blocks and, unless `spans` is true, without its code spans."""
    text = _BLOCK.sub("", text)
    return text if spans else re.sub(r"`[^`\n]*`", "", text)


def links(page: str) -> list[str]:
    """Where the page links to."""
    return [match["target"] for match in _LINK.finditer(without_blocks(read(page)))]


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for match in _HEADING.finditer(_BLOCK.sub("", read(page))):
        text = re.sub(r"[^\w\- ]", "", match["text"].strip().lower()).replace(" ", "-")
        found.add(text)
    return found
