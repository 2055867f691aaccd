"""jrunner's class-data archive, with the drivers that are found on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.config import DEBIAN_JARS
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner import archive, jvm
from pipekit_engine.jrunner.locate import find_jar, find_java

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipekit_engine.databases.dialects import JdbcDriver


def make_class_archive(jar: Path | None = None, folders: Sequence[Path] = (DEBIAN_JARS,)) -> Path | None:
    """Makes the archive, unless it is there and holds each driver that the folders have a jar of.

    A driver that it holds already stays, also where a folder has another version, so that two projects do not take turns;
    only Debian's gives way to one that somebody got. Returns the archive's path; None where this machine's Java cannot make one.
    """
    try:
        present = jvm.find_archive(jar or find_jar(), find_java())
    except RuntimeMissing:
        return None
    held = present.drivers if present is not None else ()
    found = [path for folder in folders for path in sorted(folder.absolute().glob("*.jar"), reverse=True)]
    drivers = [driver for kind in kinds() for driver in get_dialect(kind).drivers]
    ordered = sorted((*held, *found), key=lambda path: path.parent == DEBIAN_JARS)
    chosen = [jars[0] for driver in drivers if (jars := _of(driver, ordered))]
    return archive.make(jar, drivers=list(dict.fromkeys(chosen)))


def _of(driver: JdbcDriver, jars: Sequence[Path]) -> list[Path]:
    return [path for path in jars if driver.is_file(path.name)]
