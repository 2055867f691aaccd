"""Messages for people: the first line of several, what follows it, and numbers of things."""

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


def counted(number: int, thing: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def other_lines(text: object) -> str:
    """What stands below the first line."""
    return "\n".join(str(text).strip().splitlines()[1:])
