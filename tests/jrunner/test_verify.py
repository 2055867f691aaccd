"""`verify: values`: what the destination gives back is what was read, in every kind of type and database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.jrunner import JRunnerError, MigrateRequest, Session
from tests.jrunner.conftest import mariadb_request, postgresql_request
from tests.jrunner.test_intervals import embedded

TYPES = {
    "postgresql": "b boolean, i smallint, n numeric(12,4), f real, d double precision, t text, c char(8), d1 date, t1 time(6), "
    "ts timestamp, tz timestamptz, u uuid, bin bytea, j jsonb, a text, iv interval",
    "mariadb": "b boolean, i smallint, n decimal(12,4), f float, d double, t longtext, c char(8), d1 date, t1 time(6), "
    "ts datetime(6), tz datetime(6), u char(36), bin longblob, j json, a text, iv text",
    "h2": "b boolean, i smallint, n decimal(14,6), f real, d double precision, t varchar, c char(8), d1 date, t1 time(6), "
    "ts timestamp(9), tz timestamp(6) with time zone, u uuid, bin varbinary, j json, a varchar, iv varchar",
}
ROWS = (
    "SELECT CASE WHEN n % 7 = 0 THEN NULL ELSE n % 2 = 0 END AS b, (n % 300)::smallint AS i, (n / 8.0)::numeric(12,4) AS n, "
    "(n / 3.0)::real AS f, n / 7.0::float8 AS d, CASE WHEN n % 5 = 0 THEN '' ELSE 'text ä ' || n END AS t, 'c' || n % 100 AS c, "
    "DATE '2024-01-01' + n AS d1, TIME '00:00:01.5' + n * interval '1 second' AS t1, TIMESTAMP '2024-01-01 00:00:00.000001' + "
    "n * interval '1 minute' AS ts, TIMESTAMPTZ '2024-01-01 00:00:00+05' + n * interval '1 minute' AS tz, "
    "md5(n::text)::uuid AS u, decode(md5(n::text), 'hex') AS bin, ('{\"b\": ' || n || ', \"a\": [1, 2.50]}')::jsonb AS j, "
    "CASE WHEN n % 3 > 0 THEN n::text END AS a, n * interval '90 minutes' AS iv FROM generate_series(1, 5000) n"
)


@pytest.mark.postgresql
@pytest.mark.mariadb
@pytest.mark.parametrize("kind", sorted(TYPES))
def test_what_arrived_is_what_was_read(
    session: Session, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    postgresql: Any = request.getfixturevalue("postgresql")
    with postgresql.fresh_database() as database:
        session.open(postgresql_request("source", postgresql, database))
        server: Any = request.getfixturevalue(kind) if kind != "h2" else None
        other = server.fresh_database() if server else None
        name = other.__enter__() if other else ""
        session.open(
            embedded("h2", "dest", tmp_path)
            if kind == "h2"
            else (postgresql_request if kind == "postgresql" else mariadb_request)("dest", server, name)
        )
        session.execute("dest", [f"CREATE TABLE t ({TYPES[kind]})", "CREATE TABLE u (a varchar(9), c varchar(9))"])
        done = session.migrate(MigrateRequest("source", ROWS, "dest", "t", verify="values"))
        assert done.rows_written == 5000
        assert done.path != "copy-raw"
        # A trigger at the destination changes a value: each kind of loss is named with its column.
        rows = "SELECT 'a' || n % 9 AS a, 'c' AS c FROM generate_series(1, 50) n"
        session.execute("dest", ["INSERT INTO u VALUES ('more', NULL)"])
        with pytest.raises(JRunnerError, match="50 rows were read, 51 are there") as error:
            session.migrate(MigrateRequest("source", rows, "dest", "u", verify="values"))
        assert (error.value.code, error.value.phase) == ("values_differ", "verify")
        for connection in ("source", "dest"):
            session.close(connection)
        if other:
            other.__exit__(None, None, None)
    session.close()
