"""What is known of a shell word's value without running anything: text, query results, dates, and what stays unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple


class Spot(NamedTuple):
    """A place in a file, the file as a path relative to the folder that is imported."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Text:
    """Known text, where it is written, and the variable that holds it, if one holds just this."""

    text: str
    spot: Spot | None = None
    variable: str = ""


@dataclass(frozen=True)
class Login:
    """How a program logs in to a database: values as they were written, each possibly unknown. `url` is a JDBC URL, or empty
    for a client such as psql, whose host, port and database are `host`, `port` and `database`."""

    url: Value = ()
    user: Value = ()
    password: Value = ()
    client: str = ""
    host: Value = ()
    port: Value = ()
    database: Value = ()


@dataclass(frozen=True)
class QueryResult:
    """The first cell of a query: a watermark. `name` is the variable that holds it, `default` what it is when empty."""

    login: Login
    sql: Value
    spot: Spot
    name: str = ""
    default: str | None = None


@dataclass(frozen=True)
class Date:
    """`$(date -d yesterday +%Y-%m-%d)`: the day of the run, `days` added, in a format of `date`."""

    days: int
    format: str
    spot: Spot
    name: str = ""


@dataclass(frozen=True)
class Environment:
    """A variable that no script sets."""

    name: str
    spot: Spot


@dataclass(frozen=True)
class Unknown:
    """Something that only a run would tell."""

    raw: str
    spot: Spot


Part = Text | QueryResult | Date | Environment | Unknown
Value = tuple[Part, ...]


def plain(value: Value) -> str | None:
    """The text of a value that is known as a whole; else None."""
    if all(isinstance(part, Text) for part in value):
        return "".join(part.text for part in value if isinstance(part, Text))
    return None


def shown(value: Value) -> str:
    """The value for people: unknown parts as `${...}`, watermarks as `{name}`."""
    return "".join(_show(part) for part in value)


def _show(part: Part) -> str:
    if isinstance(part, Text):
        return part.text
    if isinstance(part, (QueryResult, Date)):
        return f"{{{part.name or 'value'}}}"
    return f"${{{part.name}}}" if isinstance(part, Environment) else part.raw


def named(value: Value, name: str) -> Value:
    """The value as held by a variable: results and lone texts get its name, unless they have one."""
    if len(value) == 1 and isinstance(value[0], Text):
        return (value[0] if value[0].variable else replace(value[0], variable=name),)
    return tuple(
        replace(part, name=name.lower()) if isinstance(part, (QueryResult, Date)) and not part.name else part
        for part in value
    )


def with_default(value: Value, default: str) -> Value:
    """The value with what to take when a query gives nothing."""
    return tuple(
        replace(part, default=default) if isinstance(part, QueryResult) and part.default is None else part
        for part in value
    )


def unknowns(value: Value) -> list[Unknown | Environment]:
    """The parts that only a run would tell."""
    return [part for part in value if isinstance(part, (Unknown, Environment))]


def joined(value: Value) -> Value:
    """Neighbouring texts put together, the first one's place kept."""
    parts: list[Part] = []
    for part in value:
        last = parts[-1] if parts else None
        if isinstance(part, Text) and isinstance(last, Text):
            parts[-1] = Text(last.text + part.text, last.spot or part.spot)
        elif not (isinstance(part, Text) and part.text == ""):
            parts.append(part)
    return tuple(parts)
