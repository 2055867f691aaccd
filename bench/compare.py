"""jrunner beside psql, pgloader and sling, on the same tables and servers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import jrun, tables
from bench.tools import Missing, in_turn, pypi_program, run, system_program
from pipekit_engine.jrunner import MigrateRequest, OpenRequest, Session
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

HEAD = "| table | rows | {} | {} | ratio | aim |\n|---|---|---|---|---|---|\n"


def line(table: tables.Table, note: str, ours: float, theirs: float, aim: str) -> str:
    """A row of a table of results."""
    return f"| {table.name}{note} | {table.rows:,} | {ours:.2f} s | {theirs:.2f} s | {ours / theirs:.2f} | {aim} |\n"


def copy(pg: PostgreSQLServer, folder: Path, rows: int, scale: float, rounds: int) -> str:
    """PostgreSQL to PostgreSQL, against two psql with a pipe between them."""
    page = "# PostgreSQL to PostgreSQL\n\nOther side: `psql -c 'COPY ... TO STDOUT (FORMAT binary)' | psql -c 'COPY ...'`.\n"
    page += "jrunner's times hold the start of its JVM, the logins and the end, except where a session was open already.\n\n"
    page += HEAD.format("jrunner", "psql \\| psql")
    psql = system_program("psql")
    login = {"PGPASSWORD": pg.password, "PGHOST": pg.host, "PGPORT": str(pg.port), "PGUSER": pg.user}
    with pg.fresh_database() as one, pg.fresh_database() as two:
        source, dest = jrun.server("from", pg, one), jrun.server("to", pg, two)
        for table in (tables.mixed(pg, one, rows), tables.lineitem(pg, one, folder, scale)):
            pg.sql(
                two, f"CREATE TABLE {table.name} ({table.columns}); CREATE TABLE decoded_{table.name} ({table.decoded})"
            )

            def piped(table: tables.Table = table) -> None:
                pg.sql(two, f"TRUNCATE {table.name}")
                run(
                    f"{psql} -q -d {one} -c '\\copy (SELECT * FROM {table.name}) TO STDOUT (FORMAT binary)' | "
                    f"{psql} -q -d {two} -c '\\copy {table.name} FROM STDIN (FORMAT binary)'",
                    login,
                )

            def raw(table: tables.Table = table) -> None:
                pg.sql(two, f"TRUNCATE {table.name}")
                assert jrun.migrate(source, dest, table.name, table.name).path == "copy-raw"

            def decoded(table: tables.Table = table) -> None:
                pg.sql(two, f"TRUNCATE decoded_{table.name}")
                assert jrun.migrate(source, dest, table.name, f"decoded_{table.name}").path == "copy-binary"

            with Session() as session:
                session.open(source)
                session.open(dest)

                def warm(into: str, path: str, table: tables.Table = table, session: Session = session) -> None:
                    pg.sql(two, f"TRUNCATE {into}")
                    sql = f"SELECT * FROM {table.name}"
                    done = session.migrate(MigrateRequest(source="from", sql=sql, dest="to", table=into))
                    assert done.path == path

                warm_raw = partial(warm, table.name, "copy-raw")
                warm_decoded = partial(warm, f"decoded_{table.name}", "copy-binary")
                theirs, ours, ours_warm, slow, slow_warm = in_turn(rounds, piped, raw, warm_raw, decoded, warm_decoded)
            other = ", one column of another type"
            page += line(table, "", ours, theirs, "1.15") + line(table, ", open session", ours_warm, theirs, "1.15")
            page += line(table, other, slow, theirs, "1.80")
            page += line(table, f"{other}, open session", slow_warm, theirs, "1.80")
            pg.sql(two, f"DROP TABLE {table.name}; DROP TABLE decoded_{table.name}")
    return page


def sqlite(pg: PostgreSQLServer, folder: Path, rows: int, scale: float, rounds: int) -> str:
    """SQLite to PostgreSQL, against pgloader and sling."""
    page = "# SQLite to PostgreSQL\n\nAll from the same file. pgloader and jrunner fill an empty table; sling makes its own.\n\n"
    page += "| table | rows | jrunner | other | ratio | aim |\n|---|---|---|---|---|---|\n"
    with pg.fresh_database() as one, pg.fresh_database() as two:
        for table in (tables.mixed(pg, one, rows), tables.lineitem(pg, one, folder, scale)):
            file = folder / f"{table.name}.db"
            lite = jrun.sqlite("lite", file)
            jrun.execute(lite, ["PRAGMA user_version = 1", f"CREATE TABLE {table.name} ({table.columns})"])
            jrun.migrate(jrun.server("from", pg, one), lite, table.name, table.name)
            pg.sql(one, f"DROP TABLE {table.name}")
            pg.sql(two, f"CREATE TABLE {table.name} ({table.columns})")

            def ours(table: tables.Table = table, lite: OpenRequest = lite) -> None:
                pg.sql(two, f"TRUNCATE {table.name}")
                assert jrun.migrate(lite, jrun.server("to", pg, two), table.name, table.name).path == "copy-binary"

            for name, make in (("pgloader", pgloader), ("sling", sling_sqlite)):
                aim = {"pgloader": "0.40", "sling": "0.17"}[name]
                try:
                    other = make(pg, two, table, file, folder)
                except Missing as missing:
                    page += f"| {table.name} | {table.rows:,} | | {name}: {missing} | | {aim} |\n"
                    continue
                best, theirs = in_turn(rounds, ours, other)
                row = line(table, "", best, theirs, aim)
                page += row.replace(f"| {theirs:.2f} s |", f"| {name} {theirs:.2f} s |")
            pg.sql(two, f"DROP TABLE IF EXISTS {table.name}")
            file.unlink()
    return page


def pgloader(pg: PostgreSQLServer, database: str, table: tables.Table, file: Path, folder: Path) -> Callable[[], None]:
    """A run of pgloader into the existing table."""
    program = system_program("pgloader")
    script = folder / "pgloader.load"
    script.touch(mode=0o600)
    script.write_text(
        f"LOAD DATABASE FROM sqlite://{file} INTO postgresql://{pg.user}:{pg.password}@{pg.host}:{pg.port}/{database}\n"
        "WITH data only, truncate, create no tables, create no indexes, reset no sequences\n"
        "SET work_mem TO '64MB', maintenance_work_mem TO '256MB';\n",
        encoding="utf-8",
    )

    def other() -> None:
        run([program, "--dynamic-space-size", "4096", str(script)])
        held = pg.sql(database, f"SELECT count(*) FROM {table.name}")[0][0]
        assert held == table.rows, f"pgloader moved {held} of {table.rows} rows"

    return other


def _sling(environment: dict[str, str], source: str, stream: str, dest: str, into: str) -> Callable[[], None]:
    program = pypi_program("sling-linux-amd64")
    command = [program, "run", "--src-conn", source, "--src-stream", stream, "--tgt-conn", dest, "--tgt-object", into]

    def other() -> None:
        run([*command, "--mode", "full-refresh"], {**environment, "SLING_DISABLE_TELEMETRY": "TRUE"})

    return other


def _pg_url(pg: PostgreSQLServer, database: str) -> str:
    return f"postgresql://{pg.user}:{pg.password}@{pg.host}:{pg.port}/{database}?sslmode=disable"


def _mariadb_url(server: MariaDBServer, database: str) -> str:
    return f"mariadb://{server.user}:{server.password}@{server.host}:{server.port}/{database}"


def sling_sqlite(
    pg: PostgreSQLServer, database: str, table: tables.Table, file: Path, folder: Path
) -> Callable[[], None]:
    """A run of sling that makes the table anew."""
    environment = {"FROM_LITE": f"sqlite://{file}", "TO_PG": _pg_url(pg, database), "HOME": str(folder)}
    return _sling(environment, "FROM_LITE", f"main.{table.name}", "TO_PG", f"public.sling_{table.name}")


def mariadb(pg: PostgreSQLServer, my: MariaDBServer, rows: int, rounds: int) -> str:
    """MariaDB to PostgreSQL and back, against sling."""
    page = "# MariaDB and PostgreSQL\n\nOther side: sling.\n\n" + HEAD.format("jrunner", "sling")
    with pg.fresh_database() as one, my.fresh_database() as two:
        table = tables.mixed(pg, one, rows)
        pg_side, my_side = jrun.server("pg", pg, one), jrun.server("my", my, two)
        jrun.execute(my_side, [f"CREATE TABLE mixed ({table.mariadb}) CHARACTER SET utf8mb4"])
        pg.sql(one, f"CREATE TABLE back ({table.columns})")
        environment = {"PG": _pg_url(pg, one), "MY": _mariadb_url(my, two)}

        def there() -> None:
            jrun.execute(my_side, ["TRUNCATE mixed"])
            assert jrun.migrate(pg_side, my_side, "mixed", "mixed").path == "load-data"

        def back() -> None:
            pg.sql(one, "TRUNCATE back")
            assert jrun.migrate(my_side, pg_side, "mixed", "back").path == "copy-binary"

        for note, ours, source, stream, dest, into in (
            (", PostgreSQL to MariaDB", there, "PG", "public.mixed", "MY", f"{two}.sling_mixed"),
            (", MariaDB to PostgreSQL", back, "MY", f"{two}.mixed", "PG", "public.sling_mixed"),
        ):
            try:
                other = _sling(environment, source, stream, dest, into)
            except Missing as missing:
                page += f"| {table.name}{note} | {table.rows:,} | | {missing} | | |\n"
                continue
            best, theirs = in_turn(rounds, ours, other)
            page += line(table, note, best, theirs, "")
    return page
