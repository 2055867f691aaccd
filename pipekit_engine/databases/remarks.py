"""Remarks on a table and its columns, carried from a source to the destination as comments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Characters that no comment needs and that some databases refuse: the control characters but tab and line ends.
_CONTROLS = {code: None for code in range(32) if chr(code) not in "\t\n\r"} | {127: None}


@dataclass(frozen=True)
class TableRemarks:
    """What a database says about a table, and about its columns by name. `names` are all its columns, said of or not."""

    table: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    names: frozenset[str] = field(default=frozenset(), compare=False)

    def __bool__(self) -> bool:
        return bool(self.table or self.columns)


def fit_comment(text: str, limit: int, *, bytes_: bool = False) -> str:
    """The text as a comment of at most `limit` characters (or bytes of UTF-8), an ellipsis for what is cut."""
    text = text.translate(_CONTROLS).strip()
    if (len(text.encode()) if bytes_ else len(text)) <= limit:
        return text
    if bytes_:
        return text.encode()[: limit - 3].decode(errors="ignore") + "…"
    return text[: limit - 1] + "…"
