"""How a check ends: it held, the database or pipekit refused in so many words, or something is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipekit_engine.common.text import first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipekit_engine.certify.bench import Bench

Outcome = Literal["held", "refused", "broken"]


class Refused(Exception):
    """An error was told and nothing was changed: less than one would like, but no rows are wrong."""


class Broken(Exception):
    """Rows are wrong, a promise was not kept, or something failed that has to work."""


@dataclass(frozen=True)
class Check:
    """One question. `run` returns a remark, raises Refused or Broken; a quick certification asks the `quick` ones alone."""

    subject: str
    name: str
    run: Callable[[Bench], str | None]
    quick: bool = False


@dataclass(frozen=True)
class Finding:
    """How a check ended."""

    subject: str
    name: str
    outcome: Outcome
    detail: str = ""


def cause(error: BaseException | None) -> str:
    """An error in one line."""
    return "it ended without an error" if error is None else first_line(str(error), 300) or type(error).__name__
