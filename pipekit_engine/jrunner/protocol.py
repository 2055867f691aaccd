"""Requests and results of jrunner's session protocol, as typed records. jrunner/README.md gives their full meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

#: The protocol version that this client speaks.
PROTOCOL_VERSION = 1


@dataclass(frozen=True)
class TlsVariant:
    """A driver's settings for TLS in some of its versions; `files` are those that take something of the certificates."""

    properties: Mapping[str, str]
    files: Mapping[str, str]
    untold: bool = False


@dataclass(frozen=True)
class TlsRequest:
    """How a connection is encrypted: the first variant that the driver knows is taken. The paths are of PEM files."""

    variants: tuple[TlsVariant, ...]
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The request's fields."""
        fields: dict[str, Any] = {
            "tls": [
                {"properties": dict(each.properties), "files": dict(each.files), "untold": each.untold}
                for each in self.variants
            ]
        }
        paths = {"tls_ca": self.ca, "tls_cert": self.cert, "tls_key": self.key}
        return fields | {name: path for name, path in paths.items() if path is not None}


@dataclass(frozen=True)
class OpenRequest:
    """A connection to open, or to keep if it is open already with the same parameters.

    ``driver_class`` may be empty: it is found in the jar. ``init`` is SQL run after each real connect.
    """

    connection: str
    url: str
    jars: Sequence[str]
    kind: str = ""
    driver_class: str = ""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    init: Sequence[str] = ()
    application_name: str = "pipekit"
    connect_timeout_s: float = 15
    read_only: bool = False
    #: Rows may be written by the driver's bulk ways, some of which let the server ask for a file of this machine's.
    writes: bool = True
    tls: TlsRequest | None = None
    #: Opening and closing quote of a name in the database's SQL. Not sent: for a query that an external program is given.
    quote: tuple[str, str] = ('"', '"')

    def to_json(self) -> dict[str, Any]:
        """The request's fields."""
        request: dict[str, Any] = {
            "op": "open",
            "connection": self.connection,
            "kind": self.kind,
            "jars": [str(jar) for jar in self.jars],
            "class": self.driver_class,
            "url": self.url,
            "properties": dict(self.properties),
            "init": list(self.init),
            "application_name": self.application_name,
            "connect_timeout_s": max(1, round(self.connect_timeout_s)),
            "read_only": self.read_only,
            "writes": self.writes,
        }
        if self.user is not None:
            request["user"] = self.user
        if self.password is not None:
            request["password"] = self.password
        if self.tls is not None:
            request |= self.tls.to_json()
        return request


@dataclass(frozen=True)
class OpenResult:
    """What answered. ``reused`` is true when the connection was open already and still good."""

    product: str
    product_version: str
    driver: str
    driver_version: str
    reused: bool


@dataclass(frozen=True)
class QueryResult:
    """Rows as text; None is NULL. ``truncated`` says that there were more rows than asked for."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    truncated: bool

    @property
    def first(self) -> str | None:
        """The first cell of the first row; None when there is no row or the cell is NULL."""
        return self.rows[0][0] if self.rows and self.rows[0] else None


@dataclass(frozen=True)
class Statement:
    """A statement to execute; ``expect_rows`` makes any other row count an error.

    So does ``expect_count_of`` with any other count than that of an earlier statement, by its index, and ``expect_read``, behind
    the rows of a migration, with any other than the number of rows read. ``is_count``: a query, the number in its first row is
    its count. ``with_rows``, behind the rows of a migration: ``{rows}`` in it stands for their number.
    """

    sql: str
    expect_rows: int | None = None
    expect_count_of: int | None = None
    is_count: bool = False
    expect_read: bool = False
    with_rows: bool = False

    def to_json(self) -> dict[str, Any]:
        """The item of a request's ``statements``."""
        item: dict[str, Any] = {"sql": self.sql}
        if self.expect_rows is not None:
            item["expect_rows"] = self.expect_rows
        if self.expect_count_of is not None:
            item["expect_count_of"] = self.expect_count_of
        if self.is_count:
            item["is_count"] = True
        if self.expect_read:
            item["expect_read"] = True
        if self.with_rows:
            item["with_rows"] = True
        return item


@dataclass(frozen=True)
class ExecuteResult:
    """Row counts, one a statement; -1 where the driver gives none."""

    counts: tuple[int, ...]
    elapsed_ms: int


#: How a request ended whose caller was interrupted: its work was done, nothing of it stays, or nobody can tell.
Fate = Literal["done", "undone", "unknown"]


@dataclass
class Interruption:
    """Given to a request, it learns how the request ended when the waiting thread was interrupted; ``fate`` is None otherwise."""

    fate: Fate | None = None


#: What is asked of the cells of a key's column.
KeyCells = Literal["usual", "single"]


@dataclass(frozen=True)
class ColumnPair:
    """Which source column goes into which destination column; names without quotes.

    ``key`` keeps two keys of the source from becoming one: ``usual`` refuses a text that becomes another type and is not the
    usual text of its value, ``single`` as well a number among texts, or a text among numbers, of a column without a type.
    """

    source: str
    dest: str
    key: KeyCells | None = None

    def to_json(self) -> dict[str, str]:
        """The pair's fields."""
        pair = {"source": self.source, "dest": self.dest}
        return pair if self.key is None else {**pair, "key": self.key}


#: SQL in pieces: a text stands for itself, a number for the value of that index.
Pieces = Sequence[str | int]


@dataclass(frozen=True)
class SplitRequest:
    """A query read in ranges over ``lanes`` connections: one that is free asks for the bound behind the last, and reads up to it.

    A bound is a row of ``literals``: each value is written as the first group of its pattern, all of which it must match, within
    the form. In pieces, the values of the bound behind which a range begins are numbered from 0, those of the one up to which it
    goes follow. ``rest`` is the query for rows in none of the ranges. A bound that is missing or not safely written makes its
    range the last one, without an end; where the first is, the whole query is read at once.
    """

    lanes: int
    literals: Sequence[tuple[str, str]]
    first_bound: Pieces
    next_bound: Pieces
    first: Pieces
    middle: Pieces
    last: Pieces
    rest: Pieces | None = None

    def to_json(self) -> dict[str, Any]:
        """The request's field ``split``."""
        queries = {
            "first_bound": self.first_bound,
            "next_bound": self.next_bound,
            "first": self.first,
            "middle": self.middle,
            "last": self.last,
            "rest": self.rest,
        }
        return {
            "lanes": self.lanes,
            "literals": [{"form": form, "pattern": pattern} for form, pattern in self.literals],
        } | {name: list(sql) for name, sql in queries.items() if sql is not None}


@dataclass(frozen=True)
class MigrateRequest:
    """A query's rows into a table, in one transaction of the destination.

    ``table`` is SQL text (quoted as the destination wants it), ``columns`` are plain names; empty: every source column under
    its own name. ``path`` forces how rows are written; ``split`` has several connections read side by side.
    ``verify`` "values" reads the rows back and compares them with those that were read. ``before`` and ``after`` are statements
    of the same transaction, around the rows; the table may be made by the former. ``snapshot`` "hold" lets the next request that
    names it, with the same source, see the moment that this one has seen, where the database can; "end" is the last of them. Any
    other request on that connection ends it, too.
    """

    source: str
    sql: str
    dest: str
    table: str
    columns: Sequence[ColumnPair] = ()
    path: str = "auto"
    fetch_rows: int | None = None
    batch_rows: int | None = None
    split: SplitRequest | None = None
    trim: bool = False
    clear: bool = False
    verify: str = "counts"
    before: Sequence[Statement] = ()
    after: Sequence[Statement] = ()
    snapshot: Literal["hold", "end"] | None = None

    def to_json(self) -> dict[str, Any]:
        """The request's fields."""
        request: dict[str, Any] = {
            "op": "migrate",
            "source": self.source,
            "sql": self.sql,
            "dest": self.dest,
            "table": self.table,
            "columns": [pair.to_json() for pair in self.columns],
            "path": self.path,
            "trim": self.trim,
            "clear": self.clear,
            "verify": self.verify,
        }
        optional = {
            "fetch_rows": self.fetch_rows,
            "batch_rows": self.batch_rows,
            "split": self.split and self.split.to_json(),
            "snapshot": self.snapshot,
        }
        request.update({name: value for name, value in optional.items() if value is not None})
        around = {"before": self.before, "after": self.after}
        request.update({name: [item.to_json() for item in items] for name, items in around.items() if items})
        return request


@dataclass(frozen=True)
class SplitResult:
    """How a query was read in ranges: over how many connections, and whether all of them saw one moment; `why` not, else."""

    lanes: int
    ranges: int
    one_moment: bool
    why: str = ""


@dataclass(frozen=True)
class MigrateResult:
    """Counts as the reading and the writing side saw them, and the path that was taken with the reason for it.

    `counts` are those of the statements before and after the rows; `snapshot` says whether the request's was held; `split` is
    told of a request that asked for it.
    """

    rows_read: int
    rows_written: int
    bytes: int
    path: str
    path_reason: str
    elapsed_ms: int
    read_ms: int
    write_ms: int
    counts: tuple[int, ...] = ()
    snapshot: bool = False
    split: SplitResult | None = None
