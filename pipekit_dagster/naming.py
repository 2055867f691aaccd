"""Names that Dagster accepts, made from names that pipekit accepts.

pipekit allows letters, digits, `_`, `-` and `.`; Dagster allows letters, digits and `_`, and refuses Python's keywords and some
words of its own. A name changes only where it must, and a schedule keeps its name however it is edited: Dagster keeps the state
of a schedule (on, off, last tick) by its name.
"""

from __future__ import annotations

import hashlib
import keyword
import re
from collections.abc import Callable, Iterable

#: Dagster's own reserved words.
_RESERVED = frozenset(
    [
        "context",
        "conf",
        "config",
        "meta",
        "arg_dict",
        "dict",
        "input_arg_dict",
        "output_arg_dict",
        "int",
        "str",
        "float",
        "bool",
        "input",
        "output",
        "type",
    ]
)


def dagster_name(name: str) -> str:
    """The nearest name that Dagster accepts: `nightly-2am` becomes `nightly_2am`, `class` becomes `class_`."""
    clean = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"{clean}_" if clean in _RESERVED or keyword.iskeyword(clean) else clean


def distinct_names(names: Iterable[str], translate: Callable[[str], str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Translate all names, so that no two of them meet and none meets those `taken`.

    Of names that would meet, the one that needed no change keeps its name; the others get a short hash of their own name. That
    depends on nothing but the set of names.
    """
    used = set(taken)
    result: dict[str, str] = {}
    for name in sorted(names, key=lambda item: (translate(item) != item, item)):
        plain = candidate = translate(name)
        digest = hashlib.sha256(name.encode()).hexdigest()
        length = 6
        while candidate in used:
            candidate = f"{plain}_{digest[:length]}"
            length += 2
        used.add(candidate)
        result[name] = candidate
    return result
