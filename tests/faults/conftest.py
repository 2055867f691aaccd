"""Sites for trials: each strategy into SQLite, PostgreSQL and MariaDB, with a wire that a test can hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipekit_engine.jrunner.pool import SessionPool
from tests.faults.model import Model
from tests.faults.report import Report
from tests.faults.trial import Site
from tests.faults.wire import HoldingProxy
from tests.running.workbench import Workbench

MakeSite = Callable[[str, str], Site]


@pytest.fixture(scope="session")
def pool(java: str) -> Iterator[SessionPool]:
    """A warm jrunner for what nothing disturbs."""
    with SessionPool(1) as pool:
        yield pool


@pytest.fixture
def make_site(pool: SessionPool, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeSite]:
    """`make_site(kind, strategy)` gives a site whose module has run once."""
    with ExitStack() as stack:
        made = iter(range(1000))

        def make(kind: str, strategy: str) -> Site:
            folder = tmp_path / str(next(made))
            folder.mkdir()
            bench = Workbench(folder, pool)
            stack.callback(bench.close)
            site = Site(bench, kind, Model(bench.source_file, strategy))
            if kind == "sqlite":
                bench.connect("dst", "sqlite", f"jdbc:sqlite:{folder}/dest.db")
            else:
                server = request.getfixturevalue(kind)
                site.server, site.database = server, stack.enter_context(server.fresh_database())
                site.proxy = stack.enter_context(HoldingProxy(kind, server.port))
                fields = {"staging_schema": f"{site.database}_staging"} if kind == "mariadb" else {}
                url = re.sub(rf":{server.port}\b", f":{site.proxy.port}", server.jdbc_url(site.database))
                bench.connect("dst", kind, url, server.user, server.password, **fields)
                if kind == "mariadb":
                    stack.callback(server.sql, "", f"DROP DATABASE IF EXISTS `{site.database}_staging`")
            site.prepare(strategy)
            return site

        yield make


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    report = Report.from_environment()
    yield report
    report.close()
