"""Run a server for exactly as long as the process that wanted it lives.

    python guardian.py --user postgres --remove /tmp/x --stop-signal SIGQUIT -- /path/to/server --its-options

The guardian starts the command and then reads its own standard input. The parent holds the other end of that pipe,
so when the parent closes it, exits or is killed with SIGKILL, the read ends; the guardian then stops the server, waits,
kills what is left of its process group, and removes the folders named by ``--remove``.

PR_SET_PDEATHSIG would be shorter, but the kernel clears it when a process changes its user, which a server started by
root must do. This file uses the standard library alone, so that it starts in a few milliseconds (`python -S -E`).
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

STOP_SECONDS = 10.0  #: how long a server may take to stop before it is killed


def identity(user: str | None) -> dict[str, Any]:
    """Return the Popen arguments that run a child as `user`; empty when that is not wanted or not possible."""
    if user is None or os.geteuid() != 0:
        return {}
    record = pwd.getpwnam(user)
    return {
        "user": record.pw_uid,
        "group": record.pw_gid,
        "extra_groups": os.getgrouplist(user, record.pw_gid),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a command until standard input closes.")
    parser.add_argument("--user", help="run the command as this user when started by root")
    parser.add_argument("--remove", action="append", default=[], help="a folder to remove at the end")
    parser.add_argument("--stop-signal", default="SIGTERM", help="the signal that stops the command")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    # Ctrl-C in a terminal reaches the whole foreground group: the parent decides what it means, not the guardian.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = subprocess.Popen(
        options.command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        **identity(options.user),
    )

    def wait_for_parent() -> None:
        while os.read(0, 4096):
            pass
        if server.poll() is None:
            server.send_signal(getattr(signal, options.stop_signal))

    waiter = threading.Thread(target=wait_for_parent, daemon=True)
    waiter.start()
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(getattr(signal, options.stop_signal)))
    status: int
    try:
        while waiter.is_alive() and server.poll() is None:
            waiter.join(0.05)
        status = server.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        status = server.wait()
    for folder in options.remove:
        shutil.rmtree(Path(folder), ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
