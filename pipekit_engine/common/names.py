"""Names that differ in case alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def find_name(name: str, among: Iterable[str]) -> str | None:
    """The same name, or the only one that differs in case alone; None for none or several."""
    names = list(among)
    if name in names:
        return name
    alike = [other for other in names if other.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None
