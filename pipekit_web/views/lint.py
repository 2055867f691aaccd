"""What lint says of all definitions: asked once for each state of them, for a thousand modules take a second."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.lint import LEVELS, lint_store
from pipekit_web.views.paging import page_of

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.lint import Finding
    from pipekit_engine.store import Store

PER_PAGE = 200
_guard = threading.Lock()
#: The findings of the definitions that were looked at last, by the store's address and their fingerprint.
_last: dict[tuple[str, str], list[Finding]] = {}


@dataclass(frozen=True)
class LintPage:
    """A page of the findings of a level, of `found` that hold some words; `counts` are of all."""

    findings: Sequence[Finding]
    counts: Mapping[str, int]
    found: int
    page: int
    pages: int
    level: str
    words: str


def lint_page(store: Store, config: Config, level: str, words: str, page: int) -> LintPage:
    """The worst first."""
    everything = _findings(store, config)
    fitting = [
        item
        for item in everything
        if level in ("", item.level) and words.casefold() in f"{item.code} {item.record} {item.message}".casefold()
    ]
    shown, page, pages = page_of(fitting, page, PER_PAGE)
    counts: dict[str, int] = {level: sum(item.level == level for item in everything) for level in LEVELS}
    return LintPage(shown, counts, len(fitting), page, pages, level, words)


def _findings(store: Store, config: Config) -> list[Finding]:
    key = (config.database_url, store.definitions.fingerprint())
    # Whoever asks meanwhile waits for the same answer instead of working for it, too.
    with _guard:
        if key not in _last:
            _last.clear()
            _last[key] = sorted(lint_store(config), key=lambda item: LEVELS.index(item.level))
        return _last[key]
