"""Templates, and how values look in them. Everything that a template shows is escaped as text.

Names, remarks, errors and rows come from whoever may write in a source: besides HTML, characters that reorder or hide what a
person reads are shown as what they are (`common.visible`).
"""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from pipekit_engine._version import __version__
from pipekit_engine.common.text import counted, first_line
from pipekit_engine.common.visible import visible
from pipekit_engine.operations import figures

#: Characters of a SQL text or log that a page shows; the whole is a click away.
SHOWN_CHARS = 40_000
#: Characters up to which SQL is coloured: longer ones are lists of values.
_COLOURED_CHARS = 20_000


@lru_cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("pipekit_web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "changes": figures.changes,
        "count": figures.count,
        "counted": counted,
        "exact": escape,
        "first_line": first_line,
        "part": part,
        "seconds": figures.seconds,
        "size": figures.size,
        "sql": coloured_sql,
        "time": time_tag,
    }
    made.globals |= {"version": __version__}
    return made


def part(text: object) -> str:
    """A text as a part of an address."""
    return quote(str(text), safe="")


def render(template: str, **values: Any) -> str:
    """A template's text with these values."""
    return _environment().get_template(template).render(**values)


def _finalized(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    return "" if value is None else visible(str(value))


def time_tag(moment: datetime | None, empty: str = "") -> Markup | str:
    """A moment, which the page's script shows in the reader's own time zone; UTC without it."""
    if moment is None:
        return empty
    utc = moment.astimezone(timezone.utc)
    shown = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), shown)


def coloured_sql(text: str) -> Markup:
    """SQL with its keywords, strings, numbers and comments marked for the style sheet."""
    shown = visible(text)
    if len(shown) > _COLOURED_CHARS:
        cut = shown[:SHOWN_CHARS]
        return escape(cut + ("\n… cut here" if len(shown) > len(cut) else ""))
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers.sql import SqlLexer  # type: ignore[import-untyped]

    # Pygments escapes what it marks.
    return Markup(highlight(shown, SqlLexer(stripnl=False), HtmlFormatter(nowrap=True)).rstrip("\n"))  # noqa: S704
