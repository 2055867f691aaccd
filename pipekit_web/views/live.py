"""What a form shows while it is filled in: columns of the source, a resolver's value, a connection's answer, a cron in words."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipekit_engine.common.validation import describe as describe_problems
from pipekit_engine.errors import PipekitError
from pipekit_engine.models import Connection, Schedule
from pipekit_engine.operations.figures import seconds
from pipekit_engine.operations.schedules import cron_in_words, next_times
from pipekit_engine.sql.text import sample_query
from pipekit_web.asking import asking
from pipekit_web.views.machine import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.engine import Engine
    from pipekit_web.views.forms import Form

_TIMES = 5
_LINE = re.compile(r"^line \d+: (?:[a-z]+\.[^:\s]*?\.(?=[a-z_]+)|(?=[a-z]))")


@dataclass(frozen=True)
class Described:
    """Columns of a query, or why they cannot be told."""

    columns: Sequence[Column] = ()
    problem: str = ""


@dataclass(frozen=True)
class CronTold:
    """A cron expression in words and its next times, or what is wrong with it."""

    words: str = ""
    times: list[datetime] = field(default_factory=list)
    problem: str = ""


def describe(engine: Engine, form: Form) -> Described:
    """Columns of the form's query, as its source describes them now."""
    source, query = form.text("source"), form.text("query")
    if not source or not query.strip():
        return Described(problem="Choose a source and write a query: its columns show here.")
    try:
        with asking(engine) as workspace:
            browser = workspace.browser(source)
            return Described(browser.describe(sample_query(query, browser.dialect.capabilities.syntax)))
    except PipekitError as error:
        return Described(problem=str(error))


def resolve(engine: Engine, form: Form, number: int) -> Answered:
    """The value that one of the form's resolvers gives now."""
    rows = form.rows("watermarks")
    if number >= len(rows):
        return Answered(False, "There is no such watermark.")
    row = rows[number]
    connection, sql, default = row.get("connection"), row.get("resolver_sql"), row.get("default")
    if not connection or not sql:
        return Answered(False, "It needs a connection and a resolver.")
    otherwise = f" A first run takes the default, {default}." if default is not None else ""
    try:
        with asking(engine) as workspace:
            value = workspace.browser(str(connection)).preview(str(sql), 1).first
    except PipekitError as error:
        return Answered(False, f"{error}{otherwise}")
    if value is None:
        return Answered(default is not None, f"It gives no value.{otherwise}")
    return Answered(True, f"Its value now: {value}")


def try_draft(engine: Engine, record: Connection, password: str | None) -> Answered:
    """Log in with a connection that is not saved yet; `password` is what was typed for it."""
    started = time.monotonic()
    try:
        with asking(engine) as workspace:
            answer = workspace.add_connection(record, password if record.password else None, creates=True).opened
    except PipekitError as error:
        return Answered(False, str(error))
    product, driver = f"{answer.product} {answer.product_version}", f"{answer.driver} {answer.driver_version}"
    return Answered(True, f"{product}, {driver}, in {seconds(time.monotonic() - started)}")


def cron_told(cron: str, timezone: str) -> CronTold:
    """A cron expression for a person."""
    if not cron.strip():
        return CronTold(problem="Five fields: minute hour day month weekday, such as 0 2 * * *.")
    try:
        schedule = Schedule(name="draft", group="draft", cron=cron, timezone=timezone or "UTC")
    except ValidationError as error:
        return CronTold(problem=describe_problems(error))
    return CronTold(cron_in_words(schedule.cron), next_times(schedule, _TIMES))


def without_line(problem: str) -> str:
    """A problem of a text that nobody sees: without its line, and without the record's name before the field."""
    return _LINE.sub("", problem)
