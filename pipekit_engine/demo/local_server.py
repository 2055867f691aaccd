"""What all servers that we start have in common: a free port, a folder, a guardian, a wait until it answers."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipekit_engine.common import guardian

HOST = "127.0.0.1"
START_SECONDS = 60.0  #: how long a server may take until it answers


class ServerUnavailable(Exception):
    """A server can't be had on this machine; the message says what is missing and how to get it."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def service_user(name: str) -> str | None:
    """Return the user that a server must run as: None unless we are root, for servers refuse to run as root.

    Raises ServerUnavailable when root has no such user to turn into.
    """
    if os.geteuid() != 0:
        return None
    for candidate in (name, "nobody"):
        try:
            return pwd.getpwnam(candidate).pw_name
        except KeyError:
            continue
    raise ServerUnavailable(f"there is no user {name!r} to run the server as, and it refuses to run as root")


def private_folder(prefix: str, user: str | None) -> Path:
    """Make a temporary folder that only `user` (or the caller) can enter."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    give(folder, user)
    return folder


def give(path: Path, user: str | None) -> None:
    """Make `user` the owner of `path`, if a user was given."""
    if user is not None:
        record = pwd.getpwnam(user)
        os.chown(path, record.pw_uid, record.pw_gid)


class ServerProcess:
    """A running server under a guardian: it ends with this process, however this process ends.

    Args:
        command: the server's argument list. No secret belongs in it: argument lists are public.
        log: the file that takes the server's output, quoted in errors.
        answers: returns true once the server takes logins; an exception counts as no.
        user: run as this user (see `service_user`).
        stop_signal: what the server takes as "stop now, cleanly".
        remove: folders to remove after the server ended, also when this process is killed.

    Raises:
        ServerUnavailable: the server ended early or did not answer within START_SECONDS; with its last output.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        answers: Callable[[], bool],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        remove: Sequence[Path] = (),
    ) -> None:
        argv = [sys.executable, "-S", "-E", guardian.__file__, "--stop-signal", stop_signal.name]
        if user is not None:
            argv += ["--user", user]
        for folder in remove:
            argv += ["--remove", str(folder)]
        self._folders = tuple(remove)
        with log.open("ab") as output:
            self._guardian = subprocess.Popen(
                [*argv, "--", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not _true(answers):
            if self._guardian.poll() is not None or time.monotonic() > deadline:
                said = log.read_text("utf-8", "replace")[-2000:].strip() if log.exists() else ""
                self.stop()
                raise ServerUnavailable(f"{command[0]} did not start: {said or 'no output'}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop the server and wait until it and its folders are gone. Safe to call twice."""
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()
        try:
            self._guardian.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._guardian.kill()
            self._guardian.wait()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)


def _true(answers: Callable[[], bool]) -> bool:
    try:
        return answers()
    except Exception:
        return False


def listens(port: int) -> bool:
    """Return whether something accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
