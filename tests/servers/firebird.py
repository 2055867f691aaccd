"""A Firebird server for the tests: a database of which pipekit knows nothing but its JDBC driver."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipekit_engine.demo.local_server import HOST, ServerProcess, ServerUnavailable, listens, private_folder
from tests.ports import lasting_port

#: What the server's folder has in common with an installed one.
_SHARED = ("plugins", "intl", "lib", "UDF", "firebird.msg", "plugins.conf")


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if found is None:
        raise ServerUnavailable(
            f"{name} was not found; on Debian: apt-get install firebird3.0-server firebird3.0-utils"
        )
    return found


class FirebirdServer:
    """The server and an administrator's login: `host`, `port`, `user`, `password`, `jdbc_url(database)`.

    Raises ServerUnavailable when the machine has no Firebird server or it does not start.
    """

    host = HOST
    user = "SYSDBA"

    def __init__(self) -> None:
        server, self._isql = _program("firebird"), _program("isql-fb")
        installed = next(iter(sorted(Path("/usr/lib").glob("*/firebird/3.0"))), None)
        if installed is None:
            raise ServerUnavailable("the folder of Debian's firebird3.0-server was not found")
        self._home = home = private_folder("pipekit-fb-", None)
        try:
            self.port, self.password = lasting_port(), secrets.token_hex(12)
            for name in _SHARED:
                (home / name).symlink_to(installed / name)
            (home / "lock").mkdir()
            (home / "databases.conf").touch()
            users = home / "security3.fdb"
            (home / "firebird.conf").write_text(
                f"RemoteBindAddress = {HOST}\nRemoteServicePort = {self.port}\nSecurityDatabase = {users}\n"
                "AuthServer = Srp\nUserManager = Srp\nServerMode = Super\n"
            )
            self._environment = {**os.environ, "FIREBIRD": str(home), "FIREBIRD_LOCK": str(home / "lock")}
            self._run(
                f"CREATE DATABASE '{users}' USER {self.user};\n"
                f"CREATE USER {self.user} PASSWORD '{self.password}' USING PLUGIN Srp;\nCOMMIT;\n"
            )
            settings = [f"{name}={self._environment[name]}" for name in ("FIREBIRD", "FIREBIRD_LOCK")]
            self._process = ServerProcess(
                ["env", *settings, server], log=home / "log", answers=lambda: listens(self.port), remove=[home]
            )
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise

    def _run(self, script: str) -> None:
        done = subprocess.run(
            [self._isql, "-q", "-b", "-user", self.user],
            input=script,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise ServerUnavailable(f"isql-fb failed: {(done.stderr or done.stdout).strip()}")

    def jdbc_url(self, database: str) -> str:
        """The URL of a database of `fresh_database`."""
        return f"jdbc:firebirdsql://{HOST}:{self.port}/{self._home / database}.fdb?encoding=UTF8"

    @contextmanager
    def fresh_database(self) -> Iterator[str]:
        """Give the name of a new, empty database; its file goes with the server's."""
        name = f"t_{secrets.token_hex(6)}"
        self._run(
            f"CREATE DATABASE '{HOST}/{self.port}:{self._home / name}.fdb' USER '{self.user}' PASSWORD '{self.password}' "
            "DEFAULT CHARACTER SET UTF8;\n"
        )
        yield name

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        self._process.stop()
