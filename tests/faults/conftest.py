"""Sites for trials: each strategy into SQLite, PostgreSQL and MariaDB, with a wire that a test can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from pipekit_engine.jrunner.pool import SessionPool
from tests.faults.report import Report
from tests.faults.site import Site, Variant, new_site
from tests.faults.trial import Engines

MakeSite = Callable[[str, str], Site]


@pytest.fixture(scope="session")
def pool(java: str) -> Iterator[SessionPool]:
    """A warm jrunner for what nothing disturbs."""
    with SessionPool(1) as pool:
        yield pool


@pytest.fixture(scope="session")
def engines(java: str) -> Iterator[Engines]:
    """The process that runs are broken in."""
    engines = Engines()
    yield engines
    engines.end(kindly=True)


@pytest.fixture
def make_site(pool: SessionPool, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[MakeSite]:
    """`make_site(kind, strategy)` gives a site whose module has run once, and takes over columns that the source gets."""
    with ExitStack() as stack:
        made = iter(range(1000))
        yield lambda kind, strategy: stack.enter_context(
            new_site(tmp_path / str(next(made)), pool, kind, strategy, "plain", request.getfixturevalue, wide=True)
        )


class Sites:
    """Sites that many trials use, one after another; one that a trial failed in is used no more."""

    def __init__(self, folder: Path, pool: SessionPool) -> None:
        self._folder, self._pool = folder, pool
        self._made: dict[tuple[str, str, Variant], Site] = {}
        self._stack = ExitStack()
        self._count = 0

    @contextmanager
    def use(self, kind: str, strategy: str, variant: Variant, server_of: Callable[[str], object]) -> Iterator[Site]:
        key = (kind, strategy, variant)
        site = self._made.pop(key, None)
        if site is None:
            self._count += 1
            folder = self._folder / str(self._count)
            made = new_site(folder, self._pool, kind, strategy, variant, server_of)  # type: ignore[arg-type]
            site = self._stack.enter_context(made)
        yield site
        self._made[key] = site

    def close(self) -> None:
        # Servers that were first asked for by a site are stopped before it, and their databases with them.
        with suppress(psycopg.OperationalError, RuntimeError, AssertionError, OSError):
            self._stack.close()


@pytest.fixture(scope="session")
def sites(pool: SessionPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    sites = Sites(tmp_path_factory.mktemp("sites"), pool)
    yield sites
    sites.close()


@pytest.fixture(scope="session")
def report() -> Iterator[Report]:
    report = Report.from_environment()
    yield report
    report.close()
