"""What pydantic found wrong with a value, for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field. `str()` is `path: message`, or the message alone for the value as a whole.

    `type`, `given` and `context` are pydantic's: the kind of problem, the value, and what it was held against.
    """

    loc: tuple[str | int, ...]
    message: str
    type: str
    given: Any
    context: Mapping[str, Any]

    def __str__(self) -> str:
        path = ".".join(map(str, self.loc))
        return f"{path}: {self.message}" if path else self.message


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """All that a validation found, in the order of the fields."""
    return [
        FieldProblem(
            item["loc"], item["msg"].removeprefix("Value error, "), item["type"], item.get("input"), item.get("ctx", {})
        )
        for item in error.errors(include_url=False)
    ]


def describe(error: ValidationError, *, whole: str = "") -> str:
    """All that a validation found, in one line. `whole` names the value itself, where it is what is wrong."""
    return "; ".join(f"{whole}: {item}" if whole and not item.loc else str(item) for item in field_problems(error))
