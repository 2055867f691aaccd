"""The independent comparer: what a value means, and whether two tables hold the same rows.

It shares no code with pipekit. A value's *form* follows from the source's column alone; the text that the destination gives
back is read by that form, so a wider type of the destination is no difference, and another value is one.

The forms, and what counts as equal (docs/types.md is where users read it):

| form | equal when |
|---|---|
| number | the same decimal number; `NaN` is NaN |
| boolean | true, t, 1 are one; false, f, 0 are the other |
| bit | the same digits; one bit is a boolean, too |
| float32 | the same number after rounding to 32 bits; -0.0 is not 0.0 |
| float64 | the same 64 bits; every NaN is NaN; -0.0 is not 0.0 |
| text | the same characters |
| char | the same characters without the blanks at the end: they are padding |
| bytes | the same bytes |
| date, time, timestamp | the same fields; zeros at the end of a fraction do not count; a date in a timestamp is its midnight |
| timestamptz | the same instant; where the destination has no zone, it holds UTC |
| timetz | the same clock and the same offset |
| interval | the same months, days and microseconds, in whatever notation |
| uuid | the same hexadecimal digits |
| json | the same document, members in their order, numbers as decimals |
| cell | SQLite without a declared type: number or text, whichever the cell is |
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation

from tests.truth_sets.readers import Column, Row, Table

_COMMON = {
    **dict.fromkeys(
        ("smallint", "integer", "int", "bigint", "tinyint", "mediumint", "decimal", "numeric", "year"), "number"
    ),
    **dict.fromkeys(("boolean", "bool", "tinyint(1)"), "boolean"),
    **dict.fromkeys(("double precision", "double"), "float64"),
    **dict.fromkeys(("character", "char"), "char"),
    **dict.fromkeys(("date", "timestamp", "uuid", "json"), ""),
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "time": "time",
    "time without time zone": "time",
    "time with time zone": "timetz",
}
_OWN = {
    "postgresql": {"real": "float32", "bytea": "bytes", "jsonb": "json", "interval": "interval"},
    "mariadb": {
        "float": "float32",
        "datetime": "timestamp",
        "timestamp": "timestamptz",
        "bit": "bit",
        **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "bytes"),
        "json": "json",
    },
    # A declared type there says how a cell may be meant, not what it is.
    "sqlite": {"real": "float64", "blob": "bytes", "": "cell", "char": "text", "character": "text",
               **dict.fromkeys(("timestamptz", "timestamp", "datetime"), "timestamptz")},
    "h2": {
        "real": "float32",
        "decfloat": "number",
        **dict.fromkeys(("binary", "binary varying", "binary large object", "varbinary", "blob"), "bytes"),
    },
    "derby": {
        "real": "float32",
        **dict.fromkeys(("char () for bit data", "varchar () for bit data", "long varchar for bit data", "blob"), "bytes"),
    },
    "hsqldb": {"bit": "bit", "real": "float64", "float": "float64", "varbinary": "bytes", "binary": "bytes", "blob": "bytes"},
    "duckdb": {
        "float": "float32", "blob": "bytes", "interval": "interval",
        **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint", "hugeint", "uhugeint", "bignum"), "number"),
        **dict.fromkeys(("timestamp_s", "timestamp_ms", "timestamp_ns"), "timestamp"),
        "time_ns": "time",
    },
}  # fmt: skip


def form_of(kind: str, column: Column) -> str:
    """The form of a source's column; text where nothing else is known."""
    name = column.type
    if name.startswith("interval") and name != "interval":
        return name
    form = _OWN[kind].get(name, _COMMON.get(name))
    return name if form == "" else form or "text"


def _exact(text: str) -> object:
    # Decimal.normalize() would round to the context's digits.
    text = text.strip().replace("+Inf", "Inf")
    value = Decimal(text)
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return "NaN" if value.is_nan() else str(value)
    number = int("".join(map(str, digits)))
    while number and number % 10 == 0:
        number, exponent = number // 10, exponent + 1
    return (-number if sign else number, exponent if number else 0)


def _boolean(text: str) -> object:
    return {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}.get(text.strip().lower(), text)


def _float64(text: str) -> object:
    value = float(text)
    return "NaN" if math.isnan(value) else value.hex()


def _float32(text: str) -> object:
    value = float(text)
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else value.hex()
    return float(struct.unpack("f", struct.pack("f", value))[0]).hex()


def _moment(text: str) -> str:
    """ISO text: a blank before the time, two-digit hours, no zeros at a fraction's end, years before Christ with BC."""
    text = re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", text.strip().replace("T", " "))
    text = re.sub(r"\.(?=\D|$)", "", text)
    text = re.sub(r"^\d:", r"0\g<0>", text).removeprefix("+")
    if " (BC)" in text:
        text = text.replace(" (BC)", "") + " BC"
    before = re.fullmatch(r"-(\d+)(-.*)", text)
    return f"{int(before[1]) + 1:04}{before[2]} BC" if before else text


def _date(text: str) -> str:
    return _moment(text).removesuffix(" 00:00:00")


def _timestamp(text: str) -> str:
    text = re.sub(r"[+-]00(:?00)?$| ?UTC$|Z$", "", _moment(text))
    return f"{text} 00:00:00" if re.fullmatch(r"[\d-]+", text) else text


def _instant(text: str) -> object:
    """Nanoseconds since the year 1, or the text where it is none."""
    found = re.fullmatch(
        r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d?):(\d\d)(?::(\d\d)(\.\d+)?)?)? ?(Z|[+-][\d:]+)?", text.strip()
    )
    if not found:
        return _timestamp(re.sub(r"[+]00(:00)?", "", text))  # a year BC is written with either, or none
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    moment = datetime(year, month, day, hour, minute) - datetime(1, 1, 1)
    nanoseconds = (moment.days * 86400 + moment.seconds + second) * 10**9
    nanoseconds += int(((found[7] or "").lstrip(".") + "000000000")[:9])
    offset = found[8] or "Z"
    if offset != "Z":
        hours, _, rest = offset[1:].partition(":")
        minutes, _, seconds = rest.partition(":")
        shift = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
        nanoseconds -= (-shift if offset[0] == "-" else shift) * 10**9
    return nanoseconds


def _timetz(text: str) -> object:
    """The same clock and the same offset."""
    clock, sign, offset = re.fullmatch(r"(.*?)([+-])([\d:]+)", text.strip()).groups()  # type: ignore[union-attr]
    hours, _, minutes = offset.partition(":")
    return (_moment(clock), sign if int(hours) or int(minutes or 0) else "+", int(hours), int(minutes or 0))


_UNITS = {"year": (12, 0, 0), "mon": (1, 0, 0), "month": (1, 0, 0), "week": (0, 7, 0), "day": (0, 1, 0),
          "hour": (0, 0, 3_600_000_000), "minute": (0, 0, 60_000_000), "min": (0, 0, 60_000_000),
          "second": (0, 0, 1_000_000), "sec": (0, 0, 1_000_000)}  # fmt: skip


def _interval(text: str, form: str) -> object:
    """(months, microseconds, days apart) of PostgreSQL's, H2's and HSQLDB's notations; `form` may name the fields."""
    standard = re.fullmatch(r"INTERVAL\s+(-?)'([^']*)'\s+(.*)", text.strip(), re.IGNORECASE)
    if standard:
        sign, text, fields = standard.groups()
        text, form = sign + text, f"interval {fields.lower()}"
    fields_text = re.sub(r"\(.*?\)", "", form.removeprefix("interval")).strip()
    text = text.strip()
    # A clock of three parts is PostgreSQL's notation; elsewhere the days stand before it.
    if (
        fields_text
        and not re.search("[a-z]", text, re.IGNORECASE)
        and not re.fullmatch(r"[+-]?\d+:\d\d:\d\d(\.\d+)?", text)
    ):
        return _by_fields(text, fields_text)
    months = days = micros = 0
    clock = re.search(r"([+-]?)(\d+):(\d\d)(?::(\d\d)(\.\d+)?)?", text)
    if clock:
        sign_, hours, minutes, seconds, fraction = clock.groups()
        amount = (int(hours) * 3600 + int(minutes) * 60 + int(seconds or 0)) * 1_000_000
        amount += round(Decimal(fraction or 0) * 1_000_000)
        micros += -amount if sign_ == "-" else amount
        text = text.replace(clock[0], "")
    for count, unit in re.findall(r"([+-]?[\d.]+)\s*([a-z]+)", text, re.IGNORECASE):
        month, day, micro = _UNITS[unit.lower().removesuffix("s")]
        months, days, micros = (
            months + int(Decimal(count) * month), days + int(Decimal(count) * day), micros + round(Decimal(count) * micro),
        )  # fmt: skip
    return (months, micros + days * 86_400_000_000)


def _by_fields(text: str, fields: str) -> object:
    first = fields.split(" to ")[0]
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("+-").strip()
    if first in ("year", "month"):
        parts = [int(part) for part in text.split("-")]
        months = parts[0] * 12 + (parts[1] if len(parts) > 1 else 0) if first == "year" else parts[0]
        return (sign * months, 0)
    days, _, clock = text.partition(" ") if first == "day" else ("0", "", text)
    total = Decimal(int(days or 0)) * 86400
    place = {"day": 3600, "hour": 3600, "minute": 60, "second": 1}[first]
    for part in [part for part in clock.split(":") if part]:
        total += Decimal(part) * place
        place //= 60
    return (0, sign * round(total * 1_000_000))


def _json(text: str) -> object:
    return json.loads(text, parse_float=_exact, parse_int=_exact, object_pairs_hook=lambda pairs: ("object", pairs))


def _cell(text: str) -> object:
    try:
        return _exact(text)
    except (InvalidOperation, ValueError):
        return text


def _bit(text: str) -> object:
    return _exact({"true": "1", "t": "1", "false": "0", "f": "0"}.get(text.strip().lower(), text))


_FORMS: dict[str, Callable[[str], object]] = {
    "number": _exact,
    "boolean": _boolean,
    "bit": _bit,
    "float32": _float32,
    "float64": _float64,
    "text": str,
    "char": lambda text: text.rstrip(" "),
    "bytes": lambda text: text.lower().removeprefix("0x").removeprefix("\\x"),
    "date": _date,
    "time": _moment,
    "timestamp": _timestamp,
    "timestamptz": _instant,
    "timetz": _timetz,
    "uuid": lambda text: text.strip().lower().replace("-", ""),
    "json": _json,
    "cell": _cell,
}


def meaning(form: str, text: str | None) -> object:
    """What a text means in a form: equal values give equal results. What cannot be read is itself, and so a difference."""
    if text is None:
        return None
    try:
        return repr(_interval(text, form) if form.startswith("interval") else _FORMS[form](text))
    except (ValueError, InvalidOperation, KeyError, OverflowError, AttributeError):
        return f"unreadable: {text}"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it must be: in which table, which row, which column, and both values."""

    table: str
    key: object
    column: str | None
    source: object
    dest: object

    def __str__(self) -> str:
        where = f"{self.table}[{self.key}]" + (f".{self.column}" if self.column else "")
        return f"{where}: source {self.source!r}, destination {self.dest!r}"


MISSING, EXTRA = "the row", "no such row"


def compare(
    name: str, kind: str, source: Table, dest: Table, key: Sequence[str], forms: dict[str, str] | None = None
) -> list[Difference]:
    """The differences between a source's table and a destination's, in the order of the source's rows.

    `key` names the columns that tell rows apart, in the meaning of their forms; rows may repeat (`append`), and then count.
    Columns are found by name, without regard to case where no other column differs by case alone.
    """
    places = _places(source.columns, dest.columns)
    missing = [column.name for column, place in zip(source.columns, places, strict=True) if place is None]
    if missing:
        return [Difference(name, None, column, "a column", "no such column") for column in missing]
    form = [(forms or {}).get(column.name.lower()) or form_of(kind, column) for column in source.columns]
    if kind == "sqlite":
        form = _forms_of_cells(form, source.rows)
    at = [next(i for i, column in enumerate(source.columns) if column.name.lower() == part.lower()) for part in key]
    left = [(tuple(meaning(f, cell) for f, cell in zip(form, row, strict=True)), row) for row in source.rows]
    picked = [tuple(row[place] for place in places if place is not None) for row in dest.rows]
    right = [(tuple(meaning(f, cell) for f, cell in zip(form, row, strict=True)), row) for row in picked]
    return list(_differences(name, [column.name for column in source.columns], at, left, right))


def _forms_of_cells(forms: list[str], rows: list[Row]) -> list[str]:
    """SQLite keeps whatever it is given: a column one of whose cells its form cannot read is compared cell by cell."""
    return [
        "cell" if any(str(meaning(form, row[at])).startswith("unreadable") for row in rows) else form
        for at, form in enumerate(forms)
    ]


def _places(source: list[Column], dest: list[Column]) -> list[int | None]:
    exact = {column.name: place for place, column in enumerate(dest)}
    folded = {column.name.lower(): place for place, column in enumerate(dest)}
    return [exact.get(column.name, folded.get(column.name.lower())) for column in source]


_Meant = tuple[tuple[object, ...], Row]


def _differences(
    name: str, columns: list[str], key: list[int], left: list[_Meant], right: list[_Meant]
) -> Iterable[Difference]:
    surplus = Counter(meant for meant, _ in right)
    surplus.subtract(meant for meant, _ in left)
    lacking: dict[tuple[object, ...], list[_Meant]] = {}
    for meant, row in right:
        if surplus[meant] > 0:
            surplus[meant] -= 1
            lacking.setdefault(tuple(meant[at] for at in key), []).append((meant, row))
    for meant, row in left:
        if surplus[meant] >= 0:
            continue
        surplus[meant] += 1
        shown = tuple(row[at] for at in key)
        others = lacking.get(tuple(meant[at] for at in key))
        if not others:
            yield Difference(name, shown, None, MISSING, EXTRA)
            continue
        other, found = others.pop(0)
        for at, column in enumerate(columns):
            if meant[at] != other[at]:
                yield Difference(name, shown, column, row[at], found[at])
    for rest in lacking.values():
        for _, row in rest:
            yield Difference(name, tuple(row[at] for at in key), None, EXTRA, MISSING)
