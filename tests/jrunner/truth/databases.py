"""The seven databases of the suite: how a canonical value is written as SQL in each, and how each prints it back.

Reading back goes through the database's own conversion to text wherever it has one, so that a mistake in how jrunner
writes a type is not undone by the same mistake in how it reads it.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from tests.jrunner.truth.data import Shape, Value


def literal(kind: str, shape: Shape, value: Value) -> str:
    """SQL text of `value` in a database of `kind`."""
    return _LITERALS[shape.form](kind, shape, value.text)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _boolean(kind: str, shape: Shape, text: str) -> str:
    return {"true": "1", "false": "0"}[text] if kind == "sqlite" else text


def _integer(kind: str, shape: Shape, text: str) -> str:
    if kind == "derby":
        # Its CAST from text goes through a double; its grammar knows no smallest number.
        return f"{text[:-1]}7 - 1" if text == "-9223372036854775808" else text
    return f"CAST('{text}' AS {shape.types[kind]})" if kind in {"h2", "hsqldb"} else text


def _decimal(kind: str, shape: Shape, text: str) -> str:
    if kind in {"derby", "h2", "hsqldb"}:
        return f"CAST('{text}' AS {shape.types[kind]})"
    return f"'{text}'" if kind != "sqlite" or shape.types[kind] == "TEXT" else text


def _float(kind: str, shape: Shape, text: str) -> str:
    special = "n" in text.lower()
    if kind == "sqlite":
        # A float there is a double: the exact one.
        if special:
            return "9e999" if text == "Infinity" else "-9e999"
        return repr(_as_float32(text)) if shape.form == "float32" else text
    if kind == "derby":
        return (
            f"CAST({text} AS {shape.types[kind]})"
            if shape.form == "float32"
            else f"{text}E0"
            if "e" not in text
            else text
        )
    if kind == "mariadb":
        return repr(_as_float32(text)) if shape.form == "float32" else text
    if kind == "hsqldb" and shape.form == "float32":
        return f"CAST('{text if special else repr(_as_float32(text))}' AS DOUBLE)"
    return f"CAST('{text}' AS {shape.types[kind]})"


def _as_float32(text: str) -> float:
    return float(struct.unpack("f", struct.pack("f", float(text)))[0])


def _text(kind: str, shape: Shape, text: str) -> str:
    if kind == "mariadb":
        return f"CONVERT(x'{text.encode().hex()}' USING utf8mb4)"
    if kind == "sqlite":
        return f"CAST(x'{text.encode().hex()}' AS TEXT)"
    if kind == "postgresql":
        kept = shape.types[kind]
        return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')::{kept}"
    if kind in {"h2", "hsqldb"} and "\0" in text:
        return "U&'" + text.replace("\0", "\\0000") + "'"
    if kind == "duckdb":
        return f"decode(unhex('{text.encode().hex()}'))"
    if kind == "derby" and len(text) > 30_000:
        # Longer literals are not allowed.
        return " || ".join(f"CAST({_quoted(text[at : at + 30_000])} AS CLOB)" for at in range(0, len(text), 30_000))
    return _quoted(text)


def _binary(kind: str, shape: Shape, text: str) -> str:
    if kind == "postgresql":
        return f"decode('{text}', 'hex')"
    if kind == "duckdb":
        return f"unhex('{text}')"
    return f"CAST(X'{text}' AS BLOB)" if kind == "derby" else f"X'{text}'"


def _temporal(kind: str, shape: Shape, text: str) -> str:
    if kind == "sqlite":
        return f"'{text}'"
    if shape.form == "timestamptz" and kind in {"mariadb", "derby"}:
        text = _instant(text).strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    if kind == "derby":
        return f"{shape.types[kind]}('{text}')"
    if kind == "h2" and text.endswith(" BC"):
        # Astronomical years: 1 BC is year 0.
        year, rest = text[:4], text[4:-3]
        text = f"-{int(year) - 1:04}{rest}"
    if kind == "duckdb" and text.endswith(" BC"):
        day, _, rest = text[:-3].partition(" ")
        text = f"{day} (BC) {rest}".strip()
    if kind in {"mariadb", "postgresql", "duckdb"}:
        return f"'{text}'"
    if shape.form == "timestamptz":
        return f"TIMESTAMP{' WITH TIME ZONE' if kind == 'h2' else ''} '{text}'"
    return f"{shape.form.upper()} '{text}'"


def _uuid(kind: str, shape: Shape, text: str) -> str:
    return f"UUID('{text}')" if kind == "hsqldb" else f"UUID '{text}'" if kind == "h2" else f"'{text}'"


def _json(kind: str, shape: Shape, text: str) -> str:
    return f"JSON {_quoted(text)}" if kind == "h2" else _text(kind, shape, text)


_LITERALS: dict[str, Callable[[str, Shape, str], str]] = {
    "boolean": _boolean,
    "integer": _integer,
    "decimal": _decimal,
    "float32": _float,
    "float64": _float,
    "text": _text,
    "binary": _binary,
    "date": _temporal,
    "time": _temporal,
    "timestamp": _temporal,
    "timestamptz": _temporal,
    "uuid": _uuid,
    "json": _json,
}


def probe(kind: str, shape: Shape) -> str:
    """An SQL expression over column `v` that gives the database's own text of it."""
    if kind == "postgresql":
        return "encode(v, 'hex')" if shape.form == "binary" else "v::text"
    if kind == "sqlite":
        # hex(NULL) is '' there.
        return "CASE WHEN v IS NOT NULL THEN hex(v) END" if shape.form == "binary" else "v"
    if kind == "mariadb":
        if shape.form == "binary":
            return "hex(v)"
        if shape.form == "float32":
            return "v + 0e0"
        return "CAST(v AS CHAR)" if shape.form in _TEMPORAL else "v"
    if kind == "h2":
        if shape.form == "binary":
            return "RAWTOHEX(v)"
        return "CAST(v AS VARCHAR)" if shape.form in _TEMPORAL else "v"
    if kind == "duckdb":
        return "hex(v)" if shape.form == "binary" else "CAST(v AS VARCHAR)"
    if kind == "hsqldb":
        return "CAST(v AS VARCHAR(64))" if shape.form in _TEMPORAL else "v"
    return "CHAR(v)" if shape.form in _TEMPORAL else "v"


_TEMPORAL = {"date", "time", "timestamp", "timestamptz"}


def normal(shape: Shape, text: str | None) -> object:
    """What `text`, as printed by any of the databases, means: equal values give equal results."""
    if text is None:
        return None
    return _NORMAL[shape.form](text)


def _instant(text: str) -> datetime:
    moment, fraction, offset = re.fullmatch(r"([\d-]+ [\d:]+)(\.\d+)?\s*([+-][\d:]+)?", text).groups()  # type: ignore[union-attr]
    micros = round(float(fraction or 0) * 1_000_000)
    shift = timedelta()
    if offset:
        hours, _, minutes = offset[1:].partition(":")
        shift = timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if offset[0] == "-" else 1)
    naive = datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return naive + timedelta(microseconds=micros) - shift


def _moment(text: str) -> str:
    """ISO text without zeros at the end of a fraction, and years before Christ as PostgreSQL writes them."""
    text = re.sub(r"(\.\d*?)0+(?=\D|$)", r"\1", text.replace("T", " ")).strip()
    text = re.sub(r"\.(?=\D|$)", "", text)
    text = re.sub(r"^\d:", r"0\g<0>", text)
    before = re.fullmatch(r"-(\d+)(-.*)", text)
    if before:
        text = f"{int(before[1]) + 1:04}{before[2]} BC"
    if " (BC)" in text:
        text = text.replace(" (BC)", "") + " BC"
    return text.lstrip("+") if text[:1] == "+" else text


def _zoned(text: str) -> object:
    return text if "infinity" in text else _instant(text)


def _number(text: str) -> object:
    value = float(text)
    return "NaN" if math.isnan(value) else value


def _single(text: str) -> object:
    value = float(text)
    return "NaN" if math.isnan(value) else value if math.isinf(value) else _as_float32(text)


def _exact(text: str) -> object:
    value = Decimal(text)
    return "NaN" if value.is_nan() else value


_NORMAL: dict[str, Callable[[str], object]] = {
    "boolean": lambda text: {"1": "true", "0": "false"}.get(text.lower(), text.lower()),
    "integer": int,
    "decimal": _exact,
    "float32": _single,
    "float64": _number,
    "text": str,
    "binary": lambda text: text.lower().removeprefix("0x"),
    "date": _moment,
    "time": _moment,
    "timestamp": _moment,
    "timestamptz": _zoned,
    "uuid": lambda text: text.strip().lower(),
    "json": lambda text: json.loads(text, parse_float=Decimal),
}
