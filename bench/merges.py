"""What a merge writes and how long it takes: only the rows that differ, against all of them, by the share that differs."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.tables import mixed
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.protocol import Interruption
from pipekit_engine.planning.plan import RunPlan
from pipekit_engine.running.commit import commit
from pipekit_engine.running.verification import StagedRows
from tests.running.workbench import Workbench
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

SHARES = (0.0, 0.001, 0.01, 0.1, 1.0)
STRATEGIES = ("full", "incremental", "upsert")
#: A server that writes what a replica would read.
MARIADB_OPTIONS = ("--log-bin=binlog", "--binlog-format=ROW", "--innodb-buffer-pool-size=1G")


@dataclass(frozen=True)
class Measured:
    """Seconds of the merge, and bytes of the log that it wrote."""

    seconds: float
    logged: int


class Side:
    """A server with the rows as they are at the source (`base`) and a destination (`dest`) with a primary key."""

    def __init__(self, server: PostgreSQLServer | MariaDBServer, database: str, bench: Workbench, rows: int) -> None:
        self.server, self.database, self.bench, self.rows = server, database, bench, rows
        self.is_postgresql = isinstance(server, PostgreSQLServer)

    def sql(self, text: str) -> list[Any]:
        return list(self.server.sql(self.database, text))

    def fill_base(self) -> None:
        if isinstance(self.server, PostgreSQLServer):
            mixed(self.server, self.database, self.rows, "base")
            return
        self.sql(
            "CREATE TABLE base (id bigint NOT NULL, grp int, qty int, price decimal(12,2), ratio double, flag boolean, "
            "name varchar(100), note varchar(100), day date, at datetime(3))"
        )
        self.sql(
            "INSERT INTO base SELECT seq, seq % 1000, seq * 7919 % 100000, (seq * 31 % 1000000) / 100.0, seq / 7.0, "
            "seq % 3 = 0, CONCAT('customer ', seq % 50000), IF(seq % 5 = 0, NULL, CONCAT('a longer note about row ', seq)), "
            f"'2015-01-01' + INTERVAL (seq % 3000) DAY, '2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_{self.rows}"
        )

    def fresh_destination(self) -> None:
        self.sql("DROP TABLE IF EXISTS dest")
        self.sql("CREATE TABLE dest AS SELECT * FROM base WHERE 1 = 0")
        self.sql("ALTER TABLE dest ADD PRIMARY KEY (id)")
        self.sql("INSERT INTO dest SELECT * FROM base ORDER BY id")
        self.sql("VACUUM ANALYZE dest" if self.is_postgresql else "ANALYZE TABLE dest")
        if self.is_postgresql:
            self.sql("CHECKPOINT")

    def logged(self) -> int:
        if self.is_postgresql:
            return int(self.sql("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")[0][0])
        return sum(int(row[1] or 0) for row in self.sql("SHOW BINARY LOGS"))

    def merge(self, plan: RunPlan, share: float, *, only_changed: bool = False) -> Measured:
        """Stage the base with a share of it changed (or `only_changed` of it), and merge by the plan."""
        self.fresh_destination()
        changed = f"(id * 7919) % 100000 < {round(share * 100_000)}"
        where = f" WHERE {changed}" if only_changed else ""
        quantity = f"CASE WHEN {changed} THEN qty + 1 ELSE qty END"
        fill = (
            f"INSERT INTO {plan.staging.table} (id, grp, qty, price, ratio, flag, name, note, day, at) "
            f"SELECT id, grp, {quantity}, price, ratio, flag, name, note, day, at FROM base{where} ORDER BY id"
        )
        with self.bench.session("dst") as (session, handle):
            session.execute(handle, [*plan.staging.setup, fill, *plan.staging.filled], transaction=False)
            rows = StagedRows(session, handle, plan, threading.Event())
            staged = rows.count()
            choice = rows.verify(plan.module, staged, staged)
            before, began = self.logged(), time.perf_counter()
            commit(
                session,
                handle,
                choice.statements,
                choice.expected,
                say=print,
                before_commit=lambda: None,
                cancel=threading.Event(),
                interruption=Interruption(),
            )
            measured = Measured(time.perf_counter() - began, self.logged() - before)
            session.execute(handle, list(plan.staging.cleanup), transaction=False)
        return measured


def page(
    servers: Sequence[PostgreSQLServer | MariaDBServer],
    folder: Path,
    rows: int,
    shares: Sequence[float] = SHARES,
    strategies: Sequence[str] = STRATEGIES,
    *,
    forced: bool = False,
) -> str:
    """A line for each server, strategy and share, both merges measured in turn.

    `forced`: the difference is taken whatever a sample says, which tells where MIN_UNCHANGED_PERCENT should be.
    """
    text = (
        f"# Merges that write only what changes\n\n{rows:,} rows of ten mixed columns, a primary key; the merge phase alone, all "
        "rows written (before) and only those that differ (after), in turn. *Needed* is what the merge of the changed rows alone "
        "writes to the log (WAL, binlog).\n\n"
        "| server | strategy | changed | before | after | ratio | log before | after | needed |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    for server in servers:
        with server.fresh_database() as database, SessionPool(1) as pool:
            home = folder / f"merges-{server.kind}"
            home.mkdir()
            bench = Workbench(home, pool)
            schema = f"{database}_staging"
            url = server.jdbc_url(database)
            bench.connect("dst", server.kind, url, server.user, server.password, staging_schema=schema)
            side = Side(server, database, bench, rows)
            side.fill_base()
            side.fresh_destination()
            side.sql(f"CREATE SCHEMA {schema}")
            bench.connect("from", server.kind, url, server.user, server.password)
            try:
                for strategy in strategies:
                    text += "".join(_lines(side, strategy, shares, forced=forced))
            finally:
                bench.close()
                if not side.is_postgresql:
                    side.sql(f"DROP DATABASE {schema}")
    return text


def _plan(bench: Workbench, strategy: str) -> RunPlan:
    key = {} if strategy == "full" else {"merge_key": "id"}
    bench.module(
        f"m_{strategy}", source="from", query="SELECT * FROM base", dest_table="dest", strategy=strategy, **key
    )
    plan = bench.engine.run(f"m_{strategy}", sessions=bench.pool, dry_run=True).plan
    assert plan is not None
    assert plan.difference is not None
    return plan


def _lines(side: Side, strategy: str, shares: Sequence[float], *, forced: bool) -> list[str]:
    after = _plan(side.bench, strategy)
    if forced and after.difference is not None:
        after = replace(after, difference=after.difference.always())
    before = replace(after, difference=None)
    # What is needed for full's changed rows is what incremental writes for them.
    needed = replace(_plan(side.bench, "incremental"), difference=None) if strategy == "full" else before
    lines = []
    for share in shares:
        old, new = side.merge(before, share), side.merge(after, share)
        least = side.merge(needed, share, only_changed=True).logged if share else 0
        label = side.bench.store.definitions.connection("dst").driver
        lines.append(
            f"| {label} | {strategy} | {share:.1%} | {old.seconds:.2f} s | {new.seconds:.2f} s | "
            f"{new.seconds / old.seconds:.2f} | {_size(old.logged)} | {_size(new.logged)} | {_size(least)} |\n"
        )
        print(lines[-1], end="", flush=True)
    return lines


def _size(amount: int) -> str:
    return f"{amount / 1e6:,.2f} MB"
