"""jrunner's class-data archive, made with the driver of an embedded database where Debian's package of it is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.config import DEBIAN_JARS
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.jrunner import archive

if TYPE_CHECKING:
    from pathlib import Path


def make_class_archive(jar: Path | None = None) -> Path | None:
    """Makes the archive, unless it is there, and returns its path; None where this machine's Java cannot make one."""
    jars = [DEBIAN_JARS / driver.debian_jar for driver in SQLite.drivers if driver.debian_jar]
    return archive.make(jar, training_jars=[path for path in jars if path.is_file()])
