"""The one place that knows how the JVM is started: its flags, its environment, its class-data archive."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipekit_engine.jrunner.locate import Java, java_home

DEFAULT_HEAP = "256m"
#: Sessions that use one JVM at most: what ends it ends the work of all, and each may want a heap's worth of memory.
SESSIONS_PER_JVM = 4

#: What the child may inherit. Everything else stays here: secrets in the environment of a long-lived process can be read by
#: its user's every other process.
INHERITED = (
    "HOME",
    "JAVA_HOME",
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "ORACLE_HOME",
    "PATH",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TNS_ADMIN",
    "TZ",
    "USER",
)


def flags(heap: str = DEFAULT_HEAP, users: int = 1) -> list[str]:
    """The JVM's own flags, common to sessions and to the ``jrunner`` command; `users` may want a heap each."""
    return [
        f"-Xmx{users * int(heap[:-1])}{heap[-1]}",
        # What more than one user is given is taken only when it is needed.
        f"-Xms{heap}",
        # One collector thread: it starts fastest and, on streams of short-lived blocks, costs least.
        "-XX:+UseSerialGC",
        # The optimizing compiler waits ten times as long as by default: a copy has few hot loops, they still reach it, and for
        # the rest it would take the cores from the reading, the writing and the databases.
        "-XX:Tier4InvocationThreshold=50000",
        "-XX:Tier4MinInvocationThreshold=6000",
        "-XX:Tier4CompileThreshold=150000",
        "-XX:Tier4BackEdgeThreshold=400000",
        # No file in /tmp/hsperfdata_* for each short process.
        "-XX:-UsePerfData",
        # Half alive after an OutOfMemoryError is worse than dead: the client sees the end and says so.
        "-XX:+ExitOnOutOfMemoryError",
        "-Xshare:auto",
        # The archive is mapped where it was made for: moving its pointers would cost as much as the classes do without it. A Java
        # without this option ignores it.
        "-XX:+IgnoreUnrecognizedVMOptions",
        "-XX:+UnlockDiagnosticVMOptions",
        "-XX:ArchiveRelocationMode=0",
        # What the compilers and native libraries had is given back to the system, every half minute (Java 17.0.9 and later).
        "-XX:TrimNativeHeapInterval=30000",
        # The JVM's warnings go to stdout unless told otherwise, and stdout is for the protocol and for data.
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        "-XX:+DisplayVMOutputToStderr",
        # A crash of the JVM leaves its report in the temporary folder, and no core file: that would hold passwords.
        f"-XX:ErrorFile={tempfile.gettempdir()}/jrunner-crash-%p.log",
        "-XX:-CreateCoredumpOnCrash",
        "-Dfile.encoding=UTF-8",
        "-Djava.awt.headless=true",
    ]


def archive_folders(jar: Path) -> list[Path]:
    """Where the class-data archive may stand: beside the jar, or in the user's cache where that folder is not writable."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [jar.parent, Path(cache) / "pipekit"]


def archive_name(jar: Path, java: Java) -> str:
    """The archive's name: it changes with the jar and with the Java."""
    stat = jar.stat()
    key = f"{jar}|{stat.st_size}|{stat.st_mtime_ns}|{java_home(java)}|{java.version}"
    return f"jrunner-{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsa"


@dataclass(frozen=True)
class Archive:
    """A class-data archive, and the class path that it belongs to: jrunner's jar, then the drivers' jars whose classes it has.

    A JVM takes an archive only with the very class path, and files, that it was made with.
    """

    path: Path
    class_path: tuple[Path, ...]

    @property
    def drivers(self) -> tuple[Path, ...]:
        """The drivers' jars."""
        return self.class_path[1:]


def find_archive(jar: Path, java: Java) -> Archive | None:
    """The archive for this jar and Java; None where none was made (see :mod:`.archive`), or a jar in it has changed since."""
    name = archive_name(jar, java)
    for folder in archive_folders(jar):
        path = folder / name
        if path.is_file():
            drivers = _drivers_of(path)
            return None if drivers is None else Archive(path, (jar, *drivers))
    return None


def write_drivers(archive: Path, drivers: Sequence[Path]) -> None:
    """Notes beside an archive which drivers' jars it was made with, as they are now."""
    _drivers_file(archive).write_text(
        json.dumps([[str(driver), *_state(driver)] for driver in drivers]), encoding="utf-8"
    )


def _drivers_of(archive: Path) -> list[Path] | None:
    """The drivers' jars that an archive was made with; None when one of them is another file now, or no longer there."""
    try:
        noted = json.loads(_drivers_file(archive).read_text(encoding="utf-8"))
        return [Path(name) for name, *state in noted] if all(_state(Path(n)) == s for n, *s in noted) else None
    except (OSError, ValueError):
        return None


def _drivers_file(archive: Path) -> Path:
    return archive.with_suffix(".json")


def _state(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns]


def command(
    java: Java,
    jar: Path,
    *arguments: str,
    heap: str = DEFAULT_HEAP,
    users: int = 1,
    temporary: Path | None = None,
) -> list[str]:
    """The argument list that runs jrunner. No argument may be a secret: argument lists can be read by everyone.

    `temporary` is a folder for its temporary files, which jrunner removes when its parent is gone.
    """
    line = [java.path, *flags(heap, users)]
    if temporary is not None:
        line += [f"-Djava.io.tmpdir={temporary}", "-Djrunner.temporary=true"]
    archive = find_archive(jar, java)
    if archive is not None:
        line.append(f"-XX:SharedArchiveFile={archive.path}")
    return [*line, "-cp", class_path(archive.class_path if archive else [jar]), "jrunner.Main", *arguments]


def class_path(jars: Sequence[Path]) -> str:
    """The jars as Java's ``-cp`` takes them."""
    return os.pathsep.join(map(str, jars))


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment for the child: paths and the like, no secrets."""
    given = os.environ if environ is None else environ
    child = {name: given[name] for name in INHERITED if name in given}
    if sys.platform == "linux":
        # File names outside ASCII (a jar, an SQLite file) reach the JVM by way of the locale.
        child["LC_ALL"] = "C.UTF-8"
        # Native libraries (SQLite's) ask for memory on one thread after another, and glibc keeps what each had: by default for
        # eight threads a core, of which a process that runs for days grows by tens of megabytes.
        child["MALLOC_ARENA_MAX"] = "2"
    else:
        child.update({name: value for name, value in given.items() if name == "LANG" or name.startswith("LC_")})
    return child
