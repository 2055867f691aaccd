"""What is known to be wrong, in plain words: whoever mends it takes its line away, or the strict xfail fails."""

from __future__ import annotations

from typing import Any

import pytest

Known = dict[tuple[str, ...], str]


#: Source, destination, pair of keys of test_keys.ALIKE.
KEYS: Known = {}
#: Case of test_keys.COARSE, source, strategy.
OWN_TABLES: Known = {}
#: Case of test_keys.SAME, destination, strategy.
SAME_KEY: Known = {}

#: Source, destination, name of the type in torture.SHAPES.
TYPES: Known = {}
#: Set, source, destination.
SETS: Known = {}
#: Source, destination.
STRATEGIES: Known = {}

#: Group of test_silence, case.
SILENCE: Known = {}


def mark(known: Known, case: tuple[str, ...]) -> list[Any]:
    """The strict xfail of a case, if it is known; `*` stands for any part."""
    for pattern, reason in known.items():
        if all(want in ("*", part) for want, part in zip(pattern, case, strict=True)):
            return [pytest.mark.xfail(strict=True, reason=reason)]
    return []
