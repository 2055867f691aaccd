"""`[ ... ]`, `[[ ... ]]` and `test`: which variable is asked for being empty, and which tests only look for trouble."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipekit_import import syntax

_VARIABLE = re.compile(r"\"?x?\$\{?(\w+)\}?\"?")


@dataclass(frozen=True)
class EmptyTest:
    """A test whether variable `name` is empty (or, with `empty` False, whether it is not)."""

    name: str
    empty: bool


def empty_test(node: syntax.Node) -> EmptyTest | None:
    """`[ -z "$X" ]`, `[ "$X" = "" ]`, `[ "x$X" = "x" ]` and their opposites; else None."""
    words = _words(node)
    if len(words) == 2 and words[0] in ("-z", "-n"):
        match = _VARIABLE.fullmatch(words[1])
        return EmptyTest(match[1], words[0] == "-z") if match else None
    if len(words) == 3 and words[1] in ("=", "==", "!=") and words[2].strip("\"'") in ("", "x"):
        match = _VARIABLE.fullmatch(words[0])
        return EmptyTest(match[1], words[1] != "!=") if match else None
    return None


def is_harmless_test(node: syntax.Node) -> bool | None:
    """True for a test of an exit status or of files, which pipekit does by itself; False for any other; None for no test."""
    words = _words(node)
    if not words:
        return None
    text = " ".join(words)
    return bool(
        re.search(r"\$\?|\$(?:\{?(?:rc|RC|ret|RET|status|STATUS)\b)", text) or re.match(r"(?:! )?-[efsrdwx] ", text)
    )


def _words(node: syntax.Node) -> list[str]:
    if not isinstance(node, syntax.Simple) or not node.words:
        return []
    words = [word.raw for word in node.words]
    if words[0] in ("[", "[["):
        return words[1:-1] if words[-1] in ("]", "]]") else []
    return words[1:] if words[0] == "test" else []
