"""The class-data archive (AppCDS): jrunner's classes and the drivers', in the form in which the JVM maps them.

A session that opens a PostgreSQL connection starts with half the processor time. The archive is made by running a short
session that touches what every session touches (see Training.java), and belongs to one class path and one build of Java. It
is never needed: a JVM that cannot use it starts without.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.locate import Java, find_jar, find_java

#: Archives of this kind exist from here on.
OLDEST_JAVA = 13

#: Some five seconds on a quiet machine, with twenty drivers.
TIMEOUT_S = 300


def make(jar: Path | None = None, java: Java | None = None, *, drivers: Sequence[Path] = ()) -> Path | None:
    """Makes the archive, unless it is there, and returns its path; None where this machine's Java cannot make one.

    `drivers` are the drivers' jars whose classes it holds; SQLite's, which needs no server, works in the training session.
    """
    try:
        jar = jar or find_jar()
        java = java or find_java()
    except RuntimeMissing:
        return None
    if java.feature < OLDEST_JAVA:
        return None
    present = jvm.find_archive(jar, java)
    if present is not None and present.drivers == tuple(drivers):
        return present.path
    for folder in jvm.archive_folders(jar):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".archive-") as temporary:
                return _make_in(folder, Path(temporary) / "jrunner.jsa", jar, java, drivers)
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


def _make_in(folder: Path, temporary: Path, jar: Path, java: Java, drivers: Sequence[Path]) -> Path | None:
    target = folder / jvm.archive_name(jar, java)
    command = [
        java.path,
        *jvm.flags(),
        f"-XX:ArchiveClassesAtExit={temporary}",
        "-cp",
        jvm.class_path([jar, *drivers]),
        "jrunner.Training",
        "session",
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=jvm.environment(),
        start_new_session=True,
    ) as process:
        try:
            if process.stdin is not None:
                # Left open: the end of the input would cancel what is under way. "quit" ends the process.
                process.stdin.write(_training([driver for driver in drivers if "sqlite" in driver.name]))
                process.stdin.flush()
            process.wait(TIMEOUT_S)
        finally:
            process.kill()
    if not temporary.is_file():
        return None
    for old in folder.glob("jrunner-*.js*"):
        # Running JVMs keep their mapping of a file that is gone.
        old.unlink(missing_ok=True)
    temporary.replace(target)
    # Last: an archive that stands alone is not used, one with another class path would be refused by the JVM.
    jvm.write_drivers(target, drivers)
    return target


def _training(jars: Sequence[Path]) -> bytes:
    """Requests that touch the common classes; ``quit`` waits for them. Errors among them are as good as answers."""
    requests: list[dict[str, object]] = []
    for name in ("a", "b"):
        requests.append(
            {
                "op": "open",
                "connection": name,
                "kind": "sqlite",
                "jars": [str(jar) for jar in jars],
                "url": "jdbc:sqlite::memory:",
            }
        )
        create = "CREATE TABLE t (i INTEGER, d DECIMAL(10,2), x TEXT, b BLOB, ts TIMESTAMP)"
        insert = "INSERT INTO t VALUES (1, 1.5, 'x', x'00', '2020-01-02 03:04:05'), (NULL, NULL, NULL, NULL, NULL)"
        requests.append({"op": "execute", "connection": name, "statements": [{"sql": create}, {"sql": insert}]})
    requests += [
        {"op": "query", "connection": "a", "sql": "SELECT * FROM t"},
        {"op": "query", "connection": "a", "sql": "SELECT nothing"},
        {"op": "describe", "connection": "a", "sql": "SELECT * FROM t"},
        {"op": "metadata", "connection": "a", "what": "columns", "table": "t"},
        {"op": "migrate", "source": "a", "sql": "SELECT * FROM t", "dest": "b", "table": "t"},
        {"op": "close"},
        {"op": "quit"},
    ]
    lines = [json.dumps({"id": number, **request}) for number, request in enumerate(requests, 1)]
    return ("\n".join(lines) + "\n").encode()
