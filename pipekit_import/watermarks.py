"""Values that scripts put into their queries, as watermarks: results of queries, and dates near the run's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipekit_engine.common.validation import field_problems
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.models import Watermark
from pipekit_engine.sql.text import as_subquery
from pipekit_import.events import Note
from pipekit_import.logins import syntax_of
from pipekit_import.values import Date, QueryResult, Spot, Value, shown, unknowns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipekit_import.values import Login

_COALESCE = re.compile(
    r"\b(?:coalesce|ifnull|nvl|isnull)\s*\((?:[^()]|\([^()]*\))*?,\s*(?:(?:date|timestamp)\s*)?(?:'([^']*)'|(-?[\d.]+))"
    r"(?:::[\w ]+)?\s*\)",
    re.IGNORECASE,
)
#: Codes of `date` that the kinds of databases know how to write.
_DATE_CODES = frozenset({"%Y", "%m", "%d", "%y", "%j"})


def watermarks_of(
    query: Value, resolve: Callable[[Login, Spot], str | None], dest: str, dest_kind: str, notes: list[Note]
) -> list[Watermark]:
    """The watermarks of a query, each name once. What cannot become one is a blocking note."""
    found: dict[str, Watermark] = {}
    for part in query:
        if isinstance(part, QueryResult):
            name = part.name or "value"
            if name in found:
                continue
            for unknown in unknowns(part.sql):
                notes.append(Note(part.spot, f"watermark {name}: {shown((unknown,))} is not known", blocking=True))
            connection = resolve(part.login, part.spot)
            if connection is None:
                continue
            sql = as_subquery(shown(part.sql), syntax_of(part.login)).strip()
            default = part.default if part.default not in (None, "") else _default_in(sql)
            if default is None and re.search(r"\b(?:max|min)\s*\(", sql, re.IGNORECASE):
                notes.append(
                    Note(part.spot, f"watermark {name} has no default: the first run into an empty table needs one")
                )
            _add(found, name, connection, sql, default, part.spot, notes)
        elif isinstance(part, Date):
            name = part.name or "day"
            if name in found:
                continue
            expression = date_sql(part, dest_kind)
            if expression is None:
                what = f"watermark {name}: `date +{part.format}` has no counterpart for {dest_kind or 'that database'}"
                notes.append(Note(part.spot, what, blocking=True))
                continue
            notes.append(
                Note(part.spot, f"watermark {name} is a day by the destination's clock, no longer by the script's")
            )
            _add(found, name, dest, expression, None, part.spot, notes)
    return list(found.values())


def _add(
    found: dict[str, Watermark],
    name: str,
    connection: str,
    sql: str,
    default: str | None,
    spot: Spot,
    notes: list[Note],
) -> None:
    try:
        found[name] = Watermark(name=name, connection=connection, resolver_sql=sql, default=default)
    except ValidationError as error:
        notes.append(Note(spot, f"watermark {name}: {field_problems(error)[0].message}", blocking=True))


def _default_in(sql: str) -> str | None:
    """What the query itself gives when there is nothing: the second argument of coalesce."""
    match = _COALESCE.search(sql)
    return (match[1] if match[1] is not None else match[2]) if match else None


def date_sql(date: Date, kind: str) -> str | None:
    """A query that gives the date; None for a format or a database for which it is not known here."""
    parts = re.findall(r"%\w|[^%]+", date.format)
    if any(part.startswith("%") and part not in _DATE_CODES for part in parts):
        return None
    if "'" in date.format or re.search(r"[A-Za-z]", "".join(part for part in parts if not part.startswith("%"))):
        return None
    return get_dialect(kind).day_sql(date.days, date.format) if kind in kinds() else None
