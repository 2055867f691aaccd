"""The tables that are moved: ten mixed columns, and TPC-H's lineitem."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.tools import pypi_program
from tests.servers.postgresql import PostgreSQLServer


@dataclass(frozen=True)
class Table:
    """A table's name and its columns as PostgreSQL and SQLite declare them, and as MariaDB does."""

    name: str
    columns: str
    mariadb: str
    #: The same columns, one of them with a wider type: the stream between two PostgreSQL has to be decoded then.
    decoded: str
    rows: int


MIXED_COLUMNS = (
    "id bigint NOT NULL, grp integer, qty integer, price numeric(12,2), ratio double precision, flag boolean, "
    "name text, note text, day date, at timestamp"
)
LINEITEM_COLUMNS = (
    "l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL, "
    "l_quantity numeric(15,2), l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), "
    "l_returnflag varchar(1), l_linestatus varchar(1), l_shipdate date, l_commitdate date, l_receiptdate date, "
    "l_shipinstruct varchar(25), l_shipmode varchar(10), l_comment varchar(44)"
)


def mixed(server: PostgreSQLServer, database: str, rows: int, name: str = "mixed") -> Table:
    """Make a table of ten mixed columns: numbers, money, a flag, short and longer text, dates, NULLs."""
    server.sql(
        database,
        f"CREATE TABLE {name} ({MIXED_COLUMNS}); INSERT INTO {name} SELECT i, i % 1000, i * 7919 % 100000, "
        "(i * 31 % 1000000) / 100.0, i / 7.0, i % 3 = 0, 'customer ' || (i % 50000), "
        "CASE WHEN i % 5 = 0 THEN NULL ELSE 'a longer note about row ' || i END, date '2015-01-01' + (i % 3000)::int, "
        f"timestamp '2020-01-01' + i * interval '1 s' + (i % 1000) * interval '1 ms' FROM generate_series(1, {rows}::bigint) i",
    )
    server.sql(database, f"VACUUM ANALYZE {name}")
    mariadb = MIXED_COLUMNS.replace("at timestamp", "at datetime(3)").replace("text", "varchar(100)")
    return Table(name, MIXED_COLUMNS, mariadb, MIXED_COLUMNS.replace("grp integer", "grp bigint"), rows)


def lineitem(server: PostgreSQLServer, database: str, folder: Path, scale: float) -> Table:
    """Make TPC-H's lineitem with its own generator."""
    program = pypi_program("tpchgen-cli")
    subprocess.run(
        [program, "csv", "-s", str(scale), "--tables", "lineitem", "--output-dir", str(folder)],
        check=True,
        capture_output=True,
    )
    server.sql(database, f"CREATE TABLE lineitem ({LINEITEM_COLUMNS})")
    file = next(folder.glob("lineitem*.csv"))
    with (
        server.connect(database) as connection,
        connection.cursor() as cursor,
        cursor.copy("COPY lineitem FROM STDIN (FORMAT csv, HEADER)") as copy,
        file.open("rb") as data,
    ):
        while block := data.read(1 << 20):
            copy.write(block)
    file.unlink()
    server.sql(database, "VACUUM ANALYZE lineitem")
    rows = int(server.sql(database, "SELECT count(*) FROM lineitem")[0][0])
    decoded = LINEITEM_COLUMNS.replace("l_suppkey integer", "l_suppkey bigint")
    return Table("lineitem", LINEITEM_COLUMNS, LINEITEM_COLUMNS, decoded, rows)
