"""The SQL of a watermark: the condition in the source query, and the resolver that asks the destination how far it has come.

The two databases need not understand each other's times. What travels between them is text in one form, in UTC where the
column has a time zone: `2024-05-31 12:00:00.123456`, `2024-05-31`, or a whole number. The resolver writes that form in the
destination's own SQL, the condition reads it in the source's.

The condition is `>=`, never `>`: rows that share the newest value are read again, and replaced by their key. Only `append`,
which has no key, takes `>`. A lag moves the lower bound back, for rows that were committed late with an older value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Strategy
    from pipekit_engine.wizard.proposals import Candidate

#: Before any time that a database can hold; SQL Server's older types are converted to datetime2 first.
FIRST_TIMESTAMP = "0001-01-01 00:00:00"
FIRST_DATE = "0001-01-01"

_LAG = re.compile(r"(\d+)\s*(s|m|h|d)?")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


@dataclass(frozen=True)
class Lag:
    """How far the lower bound is moved back: an amount of `unit`s, or a plain number when `unit` is None."""

    amount: int = 0
    unit: str | None = None

    @classmethod
    def parse(cls, text: str) -> Lag:
        """`90s`, `10m`, `2h`, `1d`; `1000` for a column of numbers; `0` for none. Raises ConfigurationError."""
        match = _LAG.fullmatch(text.strip().lower())
        if match is None:
            raise ConfigurationError(
                f"{text!r} is no lag: write 10m, 2h or 1d for a time, 1000 for a number, 0 for none."
            )
        amount = int(match[1])
        return cls(amount, _UNITS[match[2]] if match[2] and amount else None)

    def __str__(self) -> str:
        return f"{self.amount}{self.unit[0] if self.unit else ''}"

    @property
    def words(self) -> str:
        """`10 minutes`, or the plain number."""
        if self.unit is None:
            return f"{self.amount:,}"
        return f"{self.amount} {self.unit}{'s' if self.amount != 1 else ''}"

    def check(self, mark: Candidate) -> None:
        """Raise ConfigurationError when the lag cannot be taken from such a watermark."""
        if not self.amount:
            return
        if mark.kind == "number" and self.unit is not None:
            raise ConfigurationError(f"{mark.column} is a number: give the lag as a number, such as 1000, not {self}.")
        if mark.kind != "number" and self.unit is None:
            raise ConfigurationError(
                f"{mark.column} is a {mark.kind}: give the lag as a time, such as 10m or 1d, not {self}."
            )
        if mark.kind == "text":
            raise ConfigurationError(
                f"{mark.column} keeps times as text, from which no lag can be taken: give --lag 0, or a query that converts it."
            )
        if mark.kind == "date" and self.unit != "day":
            raise ConfigurationError(f"{mark.column} is a date: give the lag in days, such as 1d, not {self}.")


def default_lag(mark: Candidate, strategy: Strategy) -> Lag:
    """Ten minutes: longer than most transactions last. A date's newest day is read again anyway.

    Numbers are handed out before they are committed, so the last thousand are read again. `append` cannot read twice.
    """
    if strategy == "append" or mark.kind in ("date", "text"):
        return Lag()
    return Lag(1000) if mark.kind == "number" else Lag(10, "minute")


def default_value(mark: Candidate, smallest: str | None = None) -> str:
    """Value for the first run, at or below everything that is there; `smallest` is the least number in the table now."""
    if mark.kind == "number":
        return smallest if smallest is not None and smallest.lstrip().startswith("-") else "0"
    return FIRST_DATE if mark.kind == "date" else FIRST_TIMESTAMP


@dataclass(frozen=True)
class Window:
    """The condition for the source query, with `{since}` in it (and `{until}`), and what resolves these."""

    condition: str
    since: str
    until: str | None = None


def window(
    mark: Candidate,
    *,
    strategy: Strategy,
    source: Dialect,
    source_column: str,
    described: Column,
    dest: Dialect,
    dest_table: str,
    dest_column: str,
    dest_family: str,
    lag: Lag,
    source_table: str | None = None,
    bounded: bool = False,
    zeros: bool = False,
) -> Window:
    """The watermark's SQL. `*_column` and `*_table` are SQL texts in their own database.

    `dest_family` is the family of the destination's column. With `bounded` the window is half-open: it ends at the source's
    clock (or beyond its greatest number), so that a run reads the same rows however long it takes. `zeros`: the column
    holds zero dates of MariaDB, which stand for no time and come before all others. Raises ConfigurationError when the
    destination cannot take the lag, or the bound cannot be had.
    """
    lag.check(mark)
    greatest = f"max({dest_column})"
    if mark.kind == "number":
        value = greatest if not lag.amount else f"{_signed(greatest, dest, described)} - {lag.amount}"
    elif mark.kind == "text":
        value = greatest
    else:
        value = _RESOLVERS.get(dest.kind, _plain)(greatest, dest_family, lag, source.kind == "sqlite")
    sign = ">" if strategy == "append" else ">="
    condition = f"{source_column} {sign} {_literal(source, described, mark, 'since')}"
    until = None
    if bounded:
        until = _until(mark, source, described, source_column, source_table)
        condition += f" AND {source_column} < {_literal(source, described, mark, 'until')}"
    if mark.nullable and strategy != "append":
        # A row without a time would never be found.
        condition = f"({condition})" if bounded else condition
        condition += f" OR {source_column} IS NULL"
    if zeros and strategy != "append":
        condition = f"({condition})" if bounded and not mark.nullable else condition
        condition += f" OR {source_column} < '{FIRST_DATE}'"
    return Window(condition, f"SELECT {value} FROM {dest_table}", until)


# How a source reads the text.


def _literal(source: Dialect, column: Column, mark: Candidate, name: str) -> str:
    """SQL of the source for the value of `{name}`, comparable with the column and without a conversion of the column."""
    slot = f"{{{name}}}"
    if mark.kind == "number":
        return slot
    if mark.kind == "text" or source.kind == "sqlite":
        return f"'{slot}'"
    zoned = column.family == "timestamptz"
    if mark.kind == "date":
        if source.kind in ("db2", "derby"):
            return f"DATE('{slot}')"
        return f"DATE '{slot}'" if source.kind in ("oracle", "h2", "hsqldb") else f"'{slot}'"
    if source.kind == "oracle" and column.type_name.upper() == "DATE":
        # A timestamp would turn the column into one, past its index.
        return f"TO_DATE('{slot}', 'YYYY-MM-DD HH24:MI:SS')"
    if zoned and source.kind in _ZONED:
        return _ZONED[source.kind].format(slot)
    return _TIMESTAMPS.get(source.kind, "'{}'").format(slot)


_TIMESTAMPS: Mapping[str, str] = {
    # A plain string would be read by the login's language: 2024-05-06 may be the 5th of June.
    "sqlserver": "CONVERT(datetime2, '{}', 121)",
    "oracle": "TIMESTAMP '{}'",
    "h2": "TIMESTAMP '{}'",
    "hsqldb": "TIMESTAMP '{}'",
    "db2": "TIMESTAMP('{}')",
    "derby": "TIMESTAMP('{}')",
}
_ZONED: Mapping[str, str] = {
    "postgresql": "'{}+00'",
    "oracle": "TIMESTAMP '{} +00:00'",
    "h2": "TIMESTAMP WITH TIME ZONE '{}+00:00'",
    "hsqldb": "TIMESTAMP '{}+0:00'",
}

# How a destination says its greatest value. `coarse` asks for whole seconds: SQLite compares times as text, where
# `12:00:00` comes before `12:00:00.000000`.


def _plain(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    if lag.amount:
        raise ConfigurationError(
            "This kind of destination cannot take a lag from its greatest value in plain SQL: use --lag 0, or write the "
            "resolver by hand."
        )
    return greatest


def _postgresql(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    if family == "date":
        return f"{greatest} - {lag.amount}" if lag.amount else greatest
    value = f"{greatest} - interval '{lag.words}'" if lag.amount else greatest
    if family != "timestamptz":
        return value
    return f"({value}) AT TIME ZONE 'UTC'" if lag.amount else f"{value} AT TIME ZONE 'UTC'"


def _mariadb(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    value = f"{greatest} - INTERVAL {lag.amount} {(lag.unit or '').upper()}" if lag.amount else greatest
    if coarse and family != "date":
        return f"date_format({value}, '%Y-%m-%d %H:%i:%s')"
    # A TIMESTAMP is read as a moment, with an offset behind it; sessions are in UTC.
    return f"CAST({value} AS datetime(6))" if family == "timestamptz" else value


def _sqlite(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    function = "date" if family == "date" else "datetime"
    if lag.amount:
        return f"{function}({greatest}, '-{lag.words}')"
    return f"datetime({greatest})" if family == "timestamptz" else greatest


def _sqlserver(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    value = f"DATEADD({lag.unit}, -{lag.amount}, {greatest})" if lag.amount else greatest
    if family == "date":
        return f"CONVERT(varchar(10), {value}, 23)"
    if family == "timestamptz":
        value = f"CONVERT(datetime2, SWITCHOFFSET({value}, '+00:00'))"
    return f"CONVERT(varchar({19 if coarse else 27}), {value}, 121)"


def _oracle(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    if family == "date":
        return f"TO_CHAR({greatest}{f' - {lag.amount}' if lag.amount else ''}, 'YYYY-MM-DD')"
    moved = f" - NUMTODSINTERVAL({lag.amount}, '{(lag.unit or '').upper()}')" if lag.amount else ""
    value = f"SYS_EXTRACT_UTC({greatest})" if family == "timestamptz" else f"CAST({greatest} AS TIMESTAMP)"
    return f"TO_CHAR({value}{moved}, 'YYYY-MM-DD HH24:MI:SS{'' if coarse else '.FF6'}')"


def _db2(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    return f"{greatest} - {lag.amount} {(lag.unit or '').upper()}S" if lag.amount else greatest


def _h2(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    value = f"DATEADD({(lag.unit or '').upper()}, -{lag.amount}, {greatest})" if lag.amount else greatest
    return f"CAST({value} AT TIME ZONE 'UTC' AS TIMESTAMP)" if family == "timestamptz" else value


def _hsqldb(greatest: str, family: str, lag: Lag, coarse: bool) -> str:
    value = f"{greatest} - INTERVAL '{lag.amount}' {(lag.unit or '').upper()}(9)" if lag.amount else greatest
    if lag.amount and lag.unit == "second":
        value = f"{greatest} - INTERVAL '{lag.amount}' SECOND(9)"
    zone = "AT TIME ZONE INTERVAL '0:00' HOUR TO MINUTE"
    return f"CAST(({value}) {zone} AS TIMESTAMP)" if family == "timestamptz" else value


_RESOLVERS: Mapping[str, Callable[[str, str, Lag, bool], str]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "mysql": _mariadb,
    "sqlite": _sqlite,
    "sqlserver": _sqlserver,
    "oracle": _oracle,
    "db2": _db2,
    "h2": _h2,
    "hsqldb": _hsqldb,
}


def _signed(greatest: str, dest: Dialect, column: Column) -> str:
    """MariaDB refuses a negative result of an unsigned column, which a destination of the same kind would have."""
    if dest.kind in ("mariadb", "mysql") and "unsigned" in column.type_name.lower():
        return f"CAST({greatest} AS SIGNED)"
    return greatest


# The end of a half-open window, asked of the source.

#: Now, in the zone in which a column without a zone is most likely kept (the session's), and in UTC for one with a zone.
_CLOCKS: Mapping[str, tuple[str, str]] = {
    "postgresql": ("localtimestamp", "now() AT TIME ZONE 'UTC'"),
    "mariadb": ("now(6)", "utc_timestamp(6)"),
    "mysql": ("now(6)", "utc_timestamp(6)"),
    "sqlite": ("datetime('now')", "datetime('now')"),
    "sqlserver": ("CONVERT(varchar(27), SYSDATETIME(), 121)", "CONVERT(varchar(27), SYSUTCDATETIME(), 121)"),
    "oracle": (
        "TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS')",
        "TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS')",
    ),
    "db2": ("CURRENT TIMESTAMP", "CURRENT TIMESTAMP - CURRENT TIMEZONE"),
    "derby": ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
    "h2": ("LOCALTIMESTAMP", "CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS TIMESTAMP)"),
    "hsqldb": ("LOCALTIMESTAMP", "CAST(CURRENT_TIMESTAMP AT TIME ZONE INTERVAL '0:00' HOUR TO MINUTE AS TIMESTAMP)"),
}


def _until(mark: Candidate, source: Dialect, column: Column, source_column: str, source_table: str | None) -> str:
    if mark.kind == "number":
        if source_table is None:
            raise ConfigurationError("A half-open window on a number needs a table to ask, not a query.")
        return f"SELECT max({source_column}) + 1 FROM {source_table}"
    clocks = _CLOCKS.get(source.kind)
    if clocks is None or mark.kind == "date":
        raise ConfigurationError(
            f"A half-open window on {mark.column} cannot be proposed: {source.label} has no clock for a {mark.kind}."
        )
    one_row = " FROM SYSIBM.SYSDUMMY1" if source.kind == "derby" else source.capabilities.one_row_from
    return f"SELECT {clocks[column.family == 'timestamptz']}{one_row}"
