"""Messages of several lines where only one is shown: their first line, and what follows it."""

from __future__ import annotations

#: Characters that a line of a log or table bears.
LINE = 200


def first_line(text: object, limit: int = LINE) -> str:
    """The first line of a text or error, cut to `limit` characters; of an error without a message, its type."""
    whole = "" if text is None else str(text).strip()
    if not whole and isinstance(text, BaseException):
        whole = type(text).__name__
    line = next(iter(whole.splitlines()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def other_lines(text: object) -> str:
    """What stands below the first line."""
    return "\n".join(str(text).strip().splitlines()[1:])
