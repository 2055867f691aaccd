"""Fixtures that every test may use: real servers, and a network between them that can be cut.

A server that this machine lacks skips its tests with the reason. Under CI=true that is a failure instead, so that a
green CI run means that PostgreSQL, MariaDB and Java were really there.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn
from zlib import crc32

import pytest
from hypothesis import settings

from pipekit_engine.demo.local_server import ServerUnavailable
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
ESSENTIAL = re.compile(r"postgres|mariadb|java|jdk|jar|jrunner|dagster", re.IGNORECASE)


# A busy machine is no finding.
settings.register_profile("pipekit", deadline=None)
settings.load_profile("pipekit")

# Where Python is told to write no bytecode, each command under test would compile pipekit anew: 0.15 s, thousands of times.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A shell that starts the tests in the background leaves SIGINT ignored, which every process started from here would inherit:
# no Ctrl-C would reach the programs under test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it under CI."""
    if CI:
        pytest.fail(f"CI must not skip: {reason}", pytrace=False)
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--all-pairs` and `--all-faults` run slow suites whole, which takes most of an hour each."""
    parser.addoption("--all-pairs", action="store_true", help="all of tests/truth_sets, not the quick cut")
    parser.addoption("--slow", action="store_true", help="tests that wait for clocks, services and installations, too")
    parser.addoption("--all-faults", action="store_true", help="all of tests/faults, not the quick cut")


#: The option that asks for a slow suite, and the mark of the tests that are left out without it.
SLOW_SUITES = {"--slow": "slow", "--all-pairs": "all_pairs", "--all-faults": "all_faults"}


def leave_out(config: pytest.Config, items: list[pytest.Item], mark: str) -> None:
    """Deselect the items with a mark."""
    left_out = {item for item in items if item.get_closest_marker(mark)}
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def mark_the_rest(items: list[pytest.Item]) -> None:
    """Mark what the quick cut leaves of tests with `@pytest.mark.sample(n, rest="slow")`: all but the n-th part of their cases.

    The cases are ordered by a hash of their names, so that the same ones are chosen everywhere, and of every parameter some.
    """
    cases: dict[tuple[Path, str], list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("sample"):
            cases[item.path, item.originalname].append(item)
    for of_one in cases.values():
        sample = of_one[0].get_closest_marker("sample")
        assert sample
        rest = sample.kwargs.get("rest", "slow")
        of_one = [item for item in of_one if not item.get_closest_marker(rest)]
        of_one.sort(key=lambda item: crc32(item.name.encode()))
        for item in of_one[math.ceil(len(of_one) / sample.args[0]) :]:
            item.add_marker(rest)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow suites' greater part out unless it is asked for.

    Put the files that start real daemons first: they take longest, and a worker that gets them last works alone.
    """
    mark_the_rest(items)
    for option, mark in SLOW_SUITES.items():
        if not config.getoption(option):
            leave_out(config, items, mark)
    slow = {item.path for item in items if item.get_closest_marker("daemon")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Under CI, turn any other skip that names something essential into a failure too."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail") and ESSENTIAL.search(str(report.longrepr[2])):
        report.outcome, report.longrepr = "failed", f"CI must not skip: {report.longrepr[2]}"
    return report


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL server (one for each pytest worker), started at its first use."""
    try:
        server = PostgreSQLServer()
    except ServerUnavailable as error:
        unavailable(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """A MariaDB server (one for each pytest worker), started at its first use."""
    try:
        server = MariaDBServer()
    except ServerUnavailable as error:
        unavailable(str(error))
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def cuttable_proxy() -> Iterator[Callable[[int], CuttableProxy]]:
    """Return a function: `cuttable_proxy(port)` starts a proxy to that loopback port, closed after the test."""
    proxies: list[CuttableProxy] = []

    def start(port: int) -> CuttableProxy:
        proxies.append(CuttableProxy(port))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


@pytest.fixture(scope="session")
def java() -> str:
    """The path of a Java program; tests that start jrunner by hand ask for it."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        unavailable("no Java was found; on Debian: apt-get install default-jdk-headless")
    return found
