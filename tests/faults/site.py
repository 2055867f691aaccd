"""A module, the databases that it reads and writes, and everything between them that a test can break."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

import pytest

from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Hook, RunRecord
from tests.faults.model import Model, PostgreSQLSource, Row, Source, SQLiteSource
from tests.faults.wire import HoldingProxy
from tests.running.workbench import Workbench
from tests.servers.proxy import CuttableProxy
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.servers.mariadb import MariaDBServer
    from tests.servers.postgresql import PostgreSQLServer

MODULE = "m"
HOOK = "UPDATE hooked SET n = n + 1"

#: What else of a site is not on this machine's disk: the source, or the state store, is a PostgreSQL behind a proxy; or
#: the folder with all files is a disk of its own.
Variant = Literal["plain", "source", "store", "disk"]
#: Strategies that load without staging, and what they are otherwise.
DIRECTLY = {"full directly": "full", "append directly": "append"}
DISK_SIZE = "16m"
_DISK = "pipekit-test-"


@dataclass
class Site:
    """A workbench whose destination is reached through a proxy that can hold, and the model of its table."""

    bench: Workbench
    kind: str
    model: Model
    proxy: HoldingProxy | None = None
    server: PostgreSQLServer | MariaDBServer | None = None
    database: str = ""
    #: To the source or the state store, and the server behind it.
    far_proxy: CuttableProxy | None = None
    far_server: PostgreSQLServer | None = None
    far_database: str = ""
    #: The state store as the broken runs see it.
    store: str = ""
    #: The module reads all columns of the source, and takes new ones over.
    wide: bool = False
    #: Rows go straight into the destination.
    direct: bool = False

    def prepare(self) -> None:
        """Source, destination and module; one good run."""
        strategy = self.model.strategy
        self.model.source.create()
        self.model.insert(30)
        self.bench.execute(
            "CREATE TABLE t (id INTEGER NOT NULL, day INTEGER NOT NULL, version INTEGER NOT NULL)",
            "CREATE TABLE hooked (n INTEGER NOT NULL)",
            "INSERT INTO hooked VALUES (0)",
        )
        key = {"upsert": ("id",), "incremental": ("day",)}.get(strategy, ())
        appends = strategy == "append"
        self.bench.module(
            MODULE,
            source="src" if not isinstance(self.model.source, PostgreSQLSource) else "far",
            strategy=strategy,
            staging="auto" if self.direct else "always",
            merge_key=key,
            query=f"SELECT {'*' if self.wide else 'id, day, version'} FROM t"
            + (" WHERE id > {last}" if appends else ""),
            on_schema_change="add_columns" if self.wide else "fail",
            watermarks={"last": ("dst", "SELECT max(id) FROM t", "0")} if appends else {},
            hooks=[Hook(run_on="success", sql=HOOK)],
        )
        self.run()

    def run(self) -> RunRecord:
        """A run that nothing disturbs, in the test's own process; the destination must be what the model says."""
        record = self.bench.run(MODULE)
        assert record.status == "success"
        self.model.dest = self.model.after_run()
        assert self.rows() == self.model.dest
        return record

    def rows(self) -> frozenset[Row]:
        """The destination's rows. Fails when one is there twice."""
        found = [
            (int(a or 0), int(b or 0), int(c or 0)) for a, b, c in self.bench.rows("SELECT id, day, version FROM t")
        ]
        assert len(found) == len(set(found)), "rows are there twice"
        return frozenset(found)

    def disturb(self, random: Random) -> None:
        """What happens to a source between two runs."""
        self.model.insert(random.randint(1, 10))
        if self.model.strategy != "append":
            self.model.change(random, random.randint(0, 5))
            self.model.delete(random, random.randint(0, 10))

    def mend(self) -> None:
        """Let everything through again."""
        for proxy in (self.proxy, self.far_proxy):
            if proxy is not None:
                proxy.mend()
        if self.proxy is not None:
            self.proxy.disarm()
        (self.bench.folder / "filler").unlink(missing_ok=True)

    def fill_disk(self) -> None:
        """Leave not a byte on the folder's disk."""
        with (self.bench.folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(4096))


def crash(server: PostgreSQLServer, database: str) -> None:
    """Kill one session of a database: the server starts anew with all of them. Returns when it takes logins."""
    with server.connect(database) as victim:
        # The tests' servers answer COMMIT before it is on disk (synchronous_commit=off); one with its defaults has it there.
        victim.execute("CHECKPOINT")
        with suppress(ProcessLookupError):
            os.kill(victim.info.backend_pid, signal.SIGKILL)
        wait_until(lambda: not _answers(lambda: victim.execute("SELECT 1")), "the crash")
    wait_until(lambda: _answers(lambda: server.sql("postgres", "SELECT 1")), "the server")


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Exception:
        return False
    return True


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """The folder is a disk of `DISK_SIZE`. Skips the test where we may not mount one."""
    _unmount_abandoned()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=700", f"{_DISK}{os.getpid()}", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk needs root's right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _unmount_abandoned() -> None:
    """Unmount the disks of test processes that were killed: a disk's name holds the number of its process."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        name, folder = line.split()[:2]
        owner = name.removeprefix(_DISK)
        if name.startswith(_DISK) and not Path("/proc", owner).exists():
            subprocess.run(["umount", "--lazy", folder], check=False)


@contextmanager
def new_site(
    folder: Path,
    pool: SessionPool,
    kind: str,
    strategy: str,
    variant: Variant,
    server_of: Callable[[str], PostgreSQLServer | MariaDBServer],
    *,
    wide: bool = False,
) -> Iterator[Site]:
    """A site whose module has run once. `server_of` gives a kind's server, or skips; `strategy` may be one of `DIRECTLY`."""
    with ExitStack() as stack:
        folder.mkdir()
        if variant == "disk":
            stack.enter_context(small_disk(folder))
        far, far_database, far_proxy = None, "", None
        if variant in ("source", "store"):
            far = server_of("postgresql")
            assert far.kind == "postgresql"
            far_database = stack.enter_context(far.fresh_database())
            far_proxy = stack.enter_context(CuttableProxy(far.port))
        store = far.url(far_database) if far is not None and variant == "store" else None
        bench = Workbench(folder, pool, database=store)
        stack.callback(bench.close)
        source: Source = SQLiteSource(bench.source_file)
        if far is not None and far_proxy is not None and variant == "source":
            source = PostgreSQLSource(far, far_database)
            bench.connect(
                "far", "postgresql", _through(far.jdbc_url(far_database), far.port, far_proxy), far.user, far.password
            )
        direct = strategy in DIRECTLY
        model = Model(source, DIRECTLY.get(strategy, strategy))
        site = Site(bench, kind, model, far_proxy=far_proxy, far_server=far, wide=wide, direct=direct)
        site.far_database = far_database
        site.store = bench.config.database
        if far is not None and far_proxy is not None and store is not None:
            site.store = _through(store, far.port, far_proxy)
        if kind == "sqlite":
            bench.connect("dst", "sqlite", f"jdbc:sqlite:{folder}/dest.db")
        else:
            server = server_of(kind)
            site.server, site.database = server, stack.enter_context(server.fresh_database())
            site.proxy = stack.enter_context(HoldingProxy(kind, server.port))
            fields = {"staging_schema": f"{site.database}_staging"} if kind == "mariadb" else {}
            url = _through(server.jdbc_url(site.database), server.port, site.proxy)
            bench.connect("dst", kind, url, server.user, server.password, **fields)
            if kind == "mariadb":
                stack.callback(server.sql, "", f"DROP DATABASE IF EXISTS `{site.database}_staging`")
        site.prepare()
        yield site


def _through(url: str, port: int, proxy: CuttableProxy) -> str:
    return re.sub(rf":{port}\b", f":{proxy.port}", url)
