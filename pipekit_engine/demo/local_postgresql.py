"""A PostgreSQL server of one's own: set up in a folder, on a free port, with a random password."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from pipekit_engine.common.guardian import identity
from pipekit_engine.demo.local_server import (
    HOST,
    ServerProcess,
    ServerUnavailable,
    free_port,
    give,
    listens,
    private_folder,
    service_user,
)

USER = "pipekit"
#: Speed over safety: this data is thrown away or can be made again.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "4GB"}


def find_binaries() -> Path:
    """Return the folder that holds `initdb` and `postgres`: PATH first, then where Debian and Homebrew put them.

    Raises ServerUnavailable when there is none.
    """
    found = shutil.which("initdb")
    if found and Path(found).resolve().with_name("postgres").exists():
        return Path(found).resolve().parent
    candidates = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/opt/homebrew/opt").glob("postgresql@*/bin")]
    candidates = [folder for folder in candidates if (folder / "initdb").exists() and (folder / "postgres").exists()]
    if not candidates:
        raise ServerUnavailable(
            "no PostgreSQL server programs (initdb, postgres) were found; on Debian: apt-get install postgresql"
        )
    return max(candidates, key=lambda folder: [int(part) for part in re.findall(r"\d+", str(folder))] or [0])


def _takes_logins(binaries: Path, port: int) -> bool:
    """Whether the server is through with starting up: it listens, and refuses logins, some time before."""
    command = [str(binaries / "pg_isready"), "--quiet", f"--host={HOST}", f"--port={port}"]
    return listens(port) and subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode == 0


class LocalPostgreSQL:
    """A running server; a context manager that stops it.

    Args:
        folder: where its data stays between starts. Without it the data lies in a temporary folder and goes with the
            server.
        max_connections: how many logins it takes at a time.
        listen: the addresses that it takes connections at.
        port: where it listens; a free port without it.

    Raises:
        ServerUnavailable: there is no PostgreSQL on this machine, or it does not start.
    """

    host = HOST
    user = USER

    def __init__(
        self, folder: Path | None = None, *, max_connections: int = 300, listen: str = HOST, port: int | None = None
    ) -> None:
        binaries = find_binaries()
        owner = service_user("postgres")
        temporary = folder is None
        home = private_folder("pipekit-pg-", owner) if folder is None else folder
        self.data = home / "data"
        try:
            self.password = self._initialise(binaries, home, owner)
            self.port = port or free_port()
            settings = {
                "listen_addresses": listen,
                "port": str(self.port),
                "unix_socket_directories": "",
                "max_connections": str(max_connections),
                "shared_buffers": "128MB",
                "timezone": "UTC",
                **FAST,
            }
            command = [str(binaries / "postgres"), "-D", str(self.data)]
            for name, value in settings.items():
                command += ["-c", f"{name}={value}"]
            self._process = ServerProcess(
                command,
                log=home / "server.log",
                answers=lambda: _takes_logins(binaries, self.port),
                user=owner,
                # With data to throw away an immediate shutdown will do; data to keep gets a fast, clean one.
                stop_signal=signal.SIGQUIT if temporary else signal.SIGINT,
                remove=[home] if temporary else [],
            )
        except BaseException:
            if temporary:
                shutil.rmtree(home, ignore_errors=True)
            raise

    def _initialise(self, binaries: Path, home: Path, owner: str | None) -> str:
        """Make the cluster unless it is there, and return its password."""
        password_file = home / "password"
        if (self.data / "PG_VERSION").exists():
            return password_file.read_text("utf-8").strip()
        home.mkdir(parents=True, exist_ok=True)
        give(home, owner)
        password = secrets.token_urlsafe(24)
        descriptor = os.open(password_file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(password + "\n")
        give(password_file, owner)
        shutil.rmtree(self.data, ignore_errors=True)
        done = subprocess.run(
            [
                str(binaries / "initdb"),
                f"--pgdata={self.data}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
                "--no-instructions",
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            check=False,
            **identity(owner),
        )
        if done.returncode != 0:
            raise ServerUnavailable(f"initdb failed: {(done.stderr or done.stdout).strip()[-1500:]}")
        return password

    def jdbc_url(self, database: str) -> str:
        """Return the JDBC URL of a database on this server, without a login."""
        return f"jdbc:postgresql://{self.host}:{self.port}/{database}"

    def stop(self) -> None:
        """Stop the server; a temporary one leaves nothing behind."""
        self._process.stop()

    def __enter__(self) -> LocalPostgreSQL:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
