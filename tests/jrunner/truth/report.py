"""Writes docs/types.md from the table that the truth suite checks:  python -m tests.jrunner.truth.report > docs/types.md"""

from __future__ import annotations

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect
from tests.jrunner.truth.data import KINDS, NAMES, SHAPES, Shape

HEAD = """# What survives a migration

Made from the table that the tests check against real databases (`tests/jrunner/truth`); not to be edited by hand:
`python -m tests.jrunner.truth.report > docs/types.md`

The rule is one for all pairs: a value arrives exactly, or the migration fails with an error of code `value` that names the
column and the row, and the destination is as it was. Nothing is rounded, cut, or moved to another time zone. NULL arrives as
NULL in every type. Each pair below was tried in both directions with each value, with the JVM's process in a time zone whose
clocks change.

- **exact**: the same value in the same kind of type.
- **wider**: the destination has no such type of its own; the value is held whole in a wider one (named in the second table),
  and comes back exactly.
- **refuses**: held by the source, but not by the destination: an error.

## How rows travel

| destination | path | when |
|---|---|---|
| PostgreSQL | `copy-raw` | the source is PostgreSQL, too, and each column has the same type or one that holds all of it |
| PostgreSQL | `copy-binary` | every destination type has a binary form that jrunner knows |
| PostgreSQL | `copy-text` | otherwise: arrays, enums, ranges, types of extensions |
| MariaDB, MySQL | `load-data` | driver and server allow LOAD DATA LOCAL; any warning of the server fails the load |
| DuckDB | `appender` | always: the driver's appender, which writes columns; its prepared inserts take a hundred times as long |
| all others | `batch` | otherwise, or when asked for: prepared inserts in batches, in one transaction |

A path can be forced by a request's `path` (`--path`); the result says which one was taken and why.

## Between types

Columns need not be of one family. What is exact goes: integers into wider integers, into decimals, and into floating point as
far as its digits reach; decimals into integers when nothing stands behind the point; `0` and `1` into booleans and back; text
that is a number, a date or a UUID, letter by letter, into such a column; every number, date and time into text; a date into a
timestamp at midnight, and back from midnight only. A timestamp with time zone goes into one without as the time that clocks
in UTC show; one without is taken as UTC. Binary and text never become each other.

- **Decimals** into floating point and back go by their shortest text: `0.1` is `0.1` on both sides. A decimal with more digits
  than the number holds is refused.
- **Text** counts in characters, in H2, Derby, HSQLDB and SQL Server in UTF-16 units, and is refused when longer than the
  column. Oracle makes NULL of `''`, so `''` is refused there.
- **SQL Server**: a character that the code page of a `char`, `varchar` or `text` column lacks is refused (`nvarchar` has all); a
  `datetime` counts in 1/300 s, a `smalldatetime` in minutes: what they would round is refused.
- **CHAR** columns pad with blanks, which databases add and drop as they like. The request's `trim` takes them off the source's
  fixed-length columns; the flag `-t` takes trailing blanks off every text.
- **SQLite** types each cell, not the column: each cell is read as what it is, and refused if the destination's type cannot
  hold that. Numbers in a date column are refused: convert them in the query, e.g. `datetime(x, 'unixepoch')`. Between two
  SQLite files cells keep their storage class.
- **Zeros**: text such as `007` is no number, and refused in one; -0.0 is refused where it would become 0: in
  MariaDB, MySQL, SQLite, H2, Derby and Oracle (`x + 0` in the query).
- **Intervals** of H2, HSQLDB and Oracle go with their unit and sign into PostgreSQL's `interval`, into each other's columns, and
  into text (`INTERVAL '-14' MONTH`); what a column's fields cannot say is refused.
- **MariaDB** and MySQL: zero dates and times beyond a day go among them and into text as they are, and are refused elsewhere
  (`NULLIF(day, 0)` makes them NULL); `TIMESTAMP` columns are instants, read
  and written in UTC, from 1970 to 2038: in a table that a run makes, instants of other kinds become a `DATETIME` with the time in
  UTC, which goes to 9999 (`dest_type` names another type); the 0 of an AUTO_INCREMENT column stays 0, that of a `YEAR`
  too, which is refused the numbers from 1 to 99.
- **Splitting** (`split_by` a key, `parallel` connections) reads ranges of 50,000 rows side by side. PostgreSQL, SQLite,
  MariaDB and MySQL give all of them one moment; other sources should not change meanwhile. Row numbers in errors then count
  the order of arrival.
"""


def cell(shape: Shape, source: str, dest: str) -> str:
    """What happens to the shape's values from `source` to `dest`."""
    held = "wider" if dest in shape.wider and source not in shape.wider else "exact"
    refused = [value.shown for value in shape.values if dest in value.lacks and source not in value.lacks]
    return f"{held}; refuses {', '.join(dict.fromkeys(refused))}" if refused else held


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def report() -> str:
    """The whole page."""
    lines = [HEAD, "## The pairs", ""]
    for shape in SHAPES:
        lines += [f"### {shape.name}", ""]
        if shape.note:
            lines += [shape.note, ""]
        lines.append("| from \\ to | " + " | ".join(NAMES[kind] for kind in KINDS) + " |")
        lines.append("|---" * (len(KINDS) + 1) + "|")
        for source in KINDS:
            cells = [_escape(cell(shape, source, dest)) for dest in KINDS]
            lines.append(f"| {NAMES[source]} | " + " | ".join(cells) + " |")
        lines += [
            "",
            "Tried with: " + ", ".join(dict.fromkeys(f"`{_plain(value.shown)}`" for value in shape.values)),
            "",
        ]
    lines += ["## The columns that were used", ""]
    lines.append("| type | " + " | ".join(NAMES[kind] for kind in KINDS) + " |")
    lines.append("|---" * (len(KINDS) + 1) + "|")
    for shape in SHAPES:
        types = []
        for kind in KINDS:
            wider = shape.wider.get(kind, "")
            types.append(
                f"{shape.types[kind]}{f' (holds {wider})' if wider and wider.lower() != shape.types[kind].lower() else ''}"
            )
        lines.append(f"| {shape.name} | " + " | ".join(types) + " |")
    lines += ["", *created()]
    return "\n".join(lines) + "\n"


#: Columns of a source of no known kind: what a run makes of them in a new table.
SOURCES = tuple(
    Column.from_json({"name": name, "family": family, "precision": precision, "scale": scale})
    for name, family, precision, scale in (
        ("boolean", "boolean", 0, 0), ("int16", "int16", 0, 0), ("int32", "int32", 0, 0), ("int64", "int64", 0, 0),
        ("decimal(12,2)", "decimal", 12, 2), ("decimal(38,10)", "decimal", 38, 10),
        ("decimal, unconstrained", "decimal", 0, 0), ("float32", "float32", 0, 0), ("float64", "float64", 0, 0),
        ("text", "text", 0, 0), ("varchar(10)", "text", 10, 0), ("binary", "binary", 0, 0), ("date", "date", 0, 0),
        ("time(6)", "time", 6, 0), ("timetz(6)", "timetz", 6, 0), ("timestamp(6)", "timestamp", 6, 0),
        ("timestamptz(6)", "timestamptz", 6, 0), ("uuid", "uuid", 0, 0), ("json", "json", 0, 0), ("xml", "xml", 0, 0),
        ("interval", "interval", 0, 0), ("array", "array", 0, 0), ("other", "other", 0, 0),
    )
)  # fmt: skip


def created() -> list[str]:
    """The types that a run gives to the columns of a table that it makes."""
    source = get_dialect("generic")
    lines = [
        "## The columns that a run makes",
        "",
        "For a source of another kind; between two databases of one kind the source's own type is kept where it can be.",
        "",
        "| family | " + " | ".join(NAMES[kind] for kind in KINDS) + " |",
        "|---" * (len(KINDS) + 1) + "|",
    ]
    for column in SOURCES:
        types = [get_dialect(kind).map_type(column, source).sql for kind in KINDS]
        lines.append(f"| {column.name} | " + " | ".join(types) + " |")
    return lines


def _plain(text: str) -> str:
    return (
        text if text.isprintable() and len(text) <= 60 and "`" not in text else repr(text[:40])[1:-1].replace("`", "'")
    )


if __name__ == "__main__":
    print(report(), end="")
