"""A stand-in for an external jrunner that behaves badly: its first argument says how.

It takes jrunner's flags, so that it can also do the work before it lies about it.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time

behaviour, *arguments = sys.argv[1:]
if "--help" in arguments and behaviour.startswith("asks-long "):
    # A wrapper that leaves its child behind.
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    note = behaviour.removeprefix("asks-long ")
    with open(note + ".new", "w") as file:
        print(child.pid, "SECRET_OF_ANOTHER" in os.environ, file=file)
    os.replace(note + ".new", note)
    time.sleep(600)
if "--help" in arguments:
    print("usage: jrunner -scu url ... -scp password|@file" if behaviour == "files" else "usage: jrunner -scu url")
    sys.exit(0)
flags = {name: value for name, value in itertools.pairwise(arguments) if name.startswith("-")}
dest = flags["-dcu"].removeprefix("jdbc:sqlite:")


def load(rows: int) -> None:
    """Puts that many rows into the destination."""
    with sqlite3.connect(dest) as connection:
        connection.executemany(f"INSERT INTO {flags['-dt']} VALUES (?, ?)", [(i, "x") for i in range(rows)])


if behaviour == "error-text":
    print("java.sql.SQLException: connection refused")
elif behaviour == "does-nothing":
    print("done")
elif behaviour in ("talks", "talks-and-fails"):
    print("0 rows for", flags.get("-dcu"))
    print("an old driver", file=sys.stderr)
    sys.exit(3 if behaviour == "talks-and-fails" else 0)
elif behaviour == "loads-too-few":
    load(1)
elif behaviour == "tells-too-many":
    load(3)
    print("4 rows")
elif behaviour == "crashes":
    load(2)
    print("out of memory, password was", flags.get("-dcp"))
    sys.exit(134)
elif behaviour == "hangs":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(dest + ".pids.new", "w") as file:
        file.write(f"{child.pid}")
    os.replace(dest + ".pids.new", dest + ".pids")  # whole, or not there yet
    time.sleep(600)
elif behaviour == "files":
    with open(flags["-dcp"].removeprefix("@")) as file:
        print("password of", len(file.read().rstrip("\n")), "characters")
    load(3)
else:
    load(3)
    print("3 rows")
