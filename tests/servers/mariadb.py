"""A MariaDB server for the tests."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipekit_engine.common.guardian import identity
from pipekit_engine.demo.local_server import (
    HOST,
    ServerProcess,
    ServerUnavailable,
    give,
    private_folder,
    service_user,
)
from tests.ports import lasting_port

NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def _program(*names: str) -> str:
    for name in names:
        found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if found:
            return found
    raise ServerUnavailable(f"{names[0]} was not found; on Debian: apt-get install mariadb-server")


class MariaDBServer:
    """The server and an administrator's login: `host`, `port`, `user`, `password`, `jdbc_url(database)`.

    `options` are added to the server's command line. Raises ServerUnavailable when the machine has no MariaDB server or it
    does not start.
    """

    kind = "mariadb"
    host = HOST
    user = "pipekit"

    def __init__(self, *options: str) -> None:
        server, self._client = _program("mariadbd", "mysqld"), _program("mariadb", "mysql")
        install = _program("mariadb-install-db", "mysql_install_db")
        owner = service_user("mysql")
        home = private_folder("pipekit-my-", owner)
        # In a folder for temporary files that servers share, each removes at its start what the others have there.
        temporary = home / "tmp"
        try:
            temporary.mkdir()
            give(temporary, owner)
            self.password = secrets.token_urlsafe(24)
            self.port = lasting_port()
            self._login = home / "client.cnf"
            self._write(
                self._login,
                f'[client]\nhost={HOST}\nport={self.port}\nuser={self.user}\npassword="{self.password}"\n',
                None,
            )
            init = home / "init.sql"
            self._write(
                init,
                f"CREATE USER IF NOT EXISTS '{self.user}'@'%' IDENTIFIED BY '{self.password}';\n"
                f"GRANT ALL PRIVILEGES ON *.* TO '{self.user}'@'%' WITH GRANT OPTION;\n"
                f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{self.password}';\n",
                owner,
            )
            done = subprocess.run(
                [
                    install,
                    "--no-defaults",
                    f"--datadir={home / 'data'}",
                    f"--tmpdir={temporary}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    "--skip-name-resolve",
                    "--innodb-log-file-size=8M",
                    "--innodb-flush-log-at-trx-commit=0",
                ],
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                cwd="/",
                check=False,
                **identity(owner),
            )
            if done.returncode != 0:
                raise ServerUnavailable(f"{install} failed: {(done.stderr or done.stdout).strip()[-1500:]}")
            self._process = ServerProcess(
                [
                    server,
                    "--no-defaults",
                    f"--datadir={home / 'data'}",
                    f"--tmpdir={temporary}",
                    f"--socket={home / 's'}",
                    f"--pid-file={home / 'pid'}",
                    f"--bind-address={HOST}",
                    f"--port={self.port}",
                    f"--init-file={init}",
                    "--skip-name-resolve",
                    "--character-set-server=utf8mb4",
                    "--collation-server=utf8mb4_bin",
                    "--local-infile=1",
                    "--max-connections=300",
                    "--max-allowed-packet=64M",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-flush-method=nosync",
                    "--innodb-buffer-pool-size=128M",
                    "--innodb-fast-shutdown=3",
                    "--default-time-zone=+00:00",
                    *options,
                ],
                log=home / "server.log",
                answers=lambda: self.sql("", "SELECT 1") == [("1",)],
                user=owner,
                stop_signal=signal.SIGTERM,
                remove=[home],
            )
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise

    @staticmethod
    def _write(path: Path, text: str, owner: str | None) -> None:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        give(path, owner)

    def jdbc_url(self, database: str = "") -> str:
        """Return the JDBC URL of a database on this server, without a login."""
        return f"jdbc:mariadb://{self.host}:{self.port}/{database}"

    def sql(self, database: str, text: str) -> list[tuple[str | None, ...]]:
        """Run one or more statements and return the rows of the last one that has rows.

        Values are MariaDB's own text, None for NULL. Ask for HEX(...) where a value may hold control characters.
        """
        done = subprocess.run(
            [
                self._client,
                f"--defaults-extra-file={self._login}",
                "--default-character-set=utf8mb4",
                "--xml",
                database,
            ],
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{done.stderr.strip()} in: {text}")
        # One XML document a result set; each starts with a declaration of its own.
        documents = [part for part in done.stdout.split('<?xml version="1.0"?>') if part.strip()]
        if not documents:
            return []
        return [
            tuple(None if field.get(NIL) == "true" else (field.text or "") for field in row)
            for row in ElementTree.fromstring(documents[-1].strip())
        ]

    @contextmanager
    def client(self, database: str) -> Iterator[subprocess.Popen[str]]:
        """A client that reads statements from its `stdin` and prints rows at once; it ends, and rolls back, with its input."""
        command = [self._client, f"--defaults-extra-file={self._login}", "--batch", "--unbuffered", "--force", database]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield process

    def create_database(self, name: str) -> None:
        self.sql("", f"CREATE DATABASE {quote(name)}")

    def drop_database(self, name: str) -> None:
        self.sql("", f"DROP DATABASE IF EXISTS {quote(name)}")

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the name of a new, empty database, dropped at the end."""
        name = f"t_{secrets.token_hex(6)}"
        self.create_database(name)
        try:
            yield name
        finally:
            self.drop_database(name)

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._process.stop()


def quote(name: str) -> str:
    """Quote an identifier as MariaDB does."""
    return "`" + name.replace("`", "``") + "`"
