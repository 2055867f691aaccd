"""The JDBC jars that the tests load: the pinned versions where the set-up got them, else Debian's."""

from __future__ import annotations

import sys
from pathlib import Path

from pipekit_engine.databases.dialects import JdbcDriver, find_jars
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.models import Driver
from tests.conftest import unavailable

#: What `scripts/setup.sh test` fills: the pinned versions.
PINNED = Path(sys.prefix) / "share" / "pipekit" / "jars"
JAR_FOLDERS = [PINNED, Path("/usr/share/java")]


def jar(kind: str) -> str:
    """The path of a kind's JDBC jar; skips the test when there is none."""
    try:
        return str(find_jars(Driver(name=kind, kind=kind), JAR_FOLDERS)[0])
    except RuntimeMissing as error:
        unavailable(str(error))


def pinned_jar(driver: JdbcDriver) -> str:
    """The path of a driver's jar in the pinned version; skips the test when the set-up could not get it."""
    path = PINNED / driver.file_name(driver.version)
    if not path.is_file():
        unavailable(f"the jar {driver.coordinate(driver.version)} is not in {PINNED}; scripts/setup.sh test gets it")
    return str(path)
