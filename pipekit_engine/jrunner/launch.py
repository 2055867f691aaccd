"""The console script ``jrunner``: becomes the JVM, with pipekit's flags, so that signals and the exit status are its own."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner import archive, jvm
from pipekit_engine.jrunner.locate import find_jar, find_java

HEAP_VARIABLE = "JRUNNER_HEAP"


def main() -> None:
    """Replaces this process by ``java ... jrunner.Main`` with this process's arguments and environment.

    The heap is set by JRUNNER_HEAP (such as ``512m``). Exit status 2 when there is no Java or no jar.
    """
    heap = os.environ.get(HEAP_VARIABLE, jvm.DEFAULT_HEAP)
    if not re.fullmatch(r"\d+[kmgKMG]?", heap):
        sys.exit(f"jrunner: {HEAP_VARIABLE} must be a size such as 256m, not {heap!r}")
    try:
        java = find_java()
        jar = find_jar()
    except PipekitError as error:
        print(f"jrunner: {error}", file=sys.stderr)
        sys.exit(2)
    arguments = sys.argv[1:]
    if arguments[:1] == ["archive"]:
        made = archive.make(jar, java, drivers=[Path(name).absolute() for name in arguments[1:]])
        print(made if made is not None else "This Java cannot make a class-data archive; jrunner works without.")
        return
    # The environment goes along: -scp env:NAME reads a password from it.
    environment = {**os.environ}
    if sys.platform == "linux":
        environment["LC_ALL"] = "C.UTF-8"
    os.execve(java.path, jvm.command(java, jar, *arguments, heap=heap), environment)  # noqa: S606  (no shell is the point)
