"""Rules on strategies and watermarks: what would be lost, or come twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipekit_engine.databases.names import split_name
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sql.text import spans
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from pipekit_engine.lint.subject import ReadModule
    from pipekit_engine.sql.comparisons import Use

#: 2013-01-01 outside of quotes is 2011 to a database.
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[ T].*)?|\d{1,2}:\d{2}(?::\d{2})?")
_WINDOW = "Use a half-open window: `>= {since} AND < {until}`."


def check_strategy(read: ReadModule) -> None:
    """How strategy and watermarks go together."""
    module = read.module
    if not read.readable:
        return
    strategy = STRATEGIES[module.strategy]
    if strategy.replaces_table and read.uses:
        message = f"strategy {strategy.name} with watermark {read.uses[0].name}: what the window leaves out is deleted."
        read.report("PK201", message, "Use incremental or upsert, or leave the watermark out.", loc=("strategy",))
    if not strategy.rereads and not read.uses:
        message = f"strategy {strategy.name} without a watermark: every run adds all rows again."
        read.report("PK202", message, "Filter by a watermark, or use full or upsert.", loc=("strategy",))
    _bounds(read)
    for i, watermark in enumerate(module.watermarks):
        _default(read, i, watermark.default, watermark.resolver_sql)
    for use in read.uses:
        default = next(w.default for w in module.watermarks if w.name == use.name)
        if not use.quoted and default is not None and _DATE.fullmatch(default.strip()):
            message = (
                f"{{{use.name}}} stands outside of quotes, and its default is {default}: a database reads arithmetic."
            )
            read.report("PK208", message, f"Write '{{{use.name}}}'.", position=use.position)


def _bounds(read: ReadModule) -> None:
    strategy = STRATEGIES[read.module.strategy]
    if strategy.replaces_table:
        return
    upper = any(use.operator in ("<", "<=", "and") for use in read.uses)
    between: set[str] = set()
    for use in read.uses:
        if use.operator == ">":
            _open_below(read, use)
        elif use.operator == ">=" and not strategy.rereads and not upper and not _steps_on(read, use.name):
            message = (
                f"{strategy.name} from `>= {{{use.name}}}` without an upper bound: "
                "the newest rows come again with each run."
            )
            read.report("PK205", message, _WINDOW, position=use.position)
        elif use.operator in ("between", "<=", "and"):
            if use.operator == "and" and between:
                continue
            between.add(use.name)
            shape = f"`<= {{{use.name}}}`" if use.operator == "<=" else "BETWEEN"
            if not strategy.rereads:
                message = f"{shape} closes the window: rows on the boundary come again with the next run."
                read.report("PK206", message, _WINDOW, position=use.position)
            else:
                message = f"{shape} closes the window: rows on the boundary are read twice."
                read.report("PK207", message, f"The merge key keeps them single. {_WINDOW}", position=use.position)


def _open_below(read: ReadModule, use: Use) -> None:
    if not STRATEGIES[read.module.strategy].rereads:
        message = f"`> {{{use.name}}}` misses rows that get the same value after the run has read it."
        fix = f"It is right for a unique, growing number alone. Else: {_WINDOW[0].lower()}{_WINDOW[1:]}"
        read.report("PK204", message, fix, position=use.position)
    elif not _steps_on(read, use.name):
        message = f"`> {{{use.name}}}` misses rows that get the same value after the run has read it."
        fix = "Write `>=`: rows that are read twice are replaced by their key."
        read.report("PK203", message, fix, position=use.position)


def _steps_on(read: ReadModule, name: str) -> bool:
    """True when the resolver itself moves the value on or back (max(id) + 1, max(at) - interval): its choice stands."""
    watermark = next(w for w in read.module.watermarks if w.name == name)
    syntax = read.subject.syntax(watermark.connection)
    code = "".join(span.text for span in spans(watermark.resolver_sql, syntax) if span.kind == "code")
    return (
        re.search(r"[+-]|\b(?:DATE_?(?:ADD|SUB)|ADD_MONTHS|TIMESTAMPADD|INTERVAL)\b", code, re.IGNORECASE) is not None
    )


def _default(read: ReadModule, index: int, default: str | None, resolver: str) -> None:
    module = read.module
    if default is not None or read.module.watermarks[index].connection != module.dest:
        return
    try:
        table = split_name(module.dest_table)[-1].text
    except ConfigurationError:
        return
    text = "".join(
        span.text for span in spans(resolver, read.subject.syntax(module.dest)) if span.kind in ("code", "name")
    )
    if re.search(rf"(?<!\w){re.escape(table)}(?!\w)", text, re.IGNORECASE):
        name = module.watermarks[index].name
        message = f"watermark {name} is read from {module.dest_table}, which is missing or empty in the first run."
        read.report("PK209", message, "Give it a `default`.", loc=("watermarks", index))
