"""What is known to be wrong, in plain words: whoever mends it takes its line away, or the strict xfail fails."""

from __future__ import annotations

from typing import Any

import pytest

KEYS: dict[tuple[str, ...], str] = {}
OWN_TABLES: dict[tuple[str, ...], str] = {}
SAME_KEY: dict[tuple[str, ...], str] = {}
SILENCE: dict[tuple[str, ...], str] = {}
SETS: dict[tuple[str, ...], str] = {}
STRATEGIES: dict[tuple[str, ...], str] = {}
TYPES: dict[tuple[str, ...], str] = {}


def mark(known: dict[tuple[str, ...], str], case: tuple[str, ...]) -> list[Any]:
    """The strict xfail of a case, if it is known; `*` stands for any part."""
    for pattern, reason in known.items():
        if all(want in ("*", part) for want, part in zip(pattern, case, strict=True)):
            return [pytest.mark.xfail(strict=True, reason=reason)]
    return []
