"""Debian's Redis for the tests: on a free port, with a password, in a folder of its own, nothing kept on disk."""

from __future__ import annotations

import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipekit_engine.demo.local_server import HOST, ServerProcess, ServerUnavailable
from tests.ports import lasting_port


class RedisServer:
    """The server; `url` has no login in it. What was in its queues is lost when it stops."""

    user: str | None = None

    def __init__(self, folder: Path, address: str = HOST) -> None:
        self._program = shutil.which("redis-server") or ""
        if not self._program:
            raise ServerUnavailable("redis-server was not found; on Debian: apt-get install redis-server")
        if find_spec("redis") is None:
            raise ServerUnavailable("the Python package redis was not found: pip install 'pipekit[celery]'")
        self.folder, self.address, self.port = folder, address, lasting_port()
        self.password = secrets.token_urlsafe(16)
        self.url = f"redis://{address}:{self.port}/0"
        self._config = folder / "redis.conf"
        self._config.write_text(
            f'bind {address}\nport {self.port}\nrequirepass {self.password}\nsave ""\nappendonly no\ndir {folder}\n'
        )
        self._config.chmod(0o600)
        self.start()

    def start(self) -> None:
        """Start it; returns once it answers."""
        self._process = ServerProcess(
            [self._program, str(self._config)], log=self.folder / "redis.log", answers=lambda: self.client().ping()
        )

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def pause(self, *, forget: bool = True) -> None:
        """Stop it until `start`. It keeps nothing."""
        self.stop()

    def client(self) -> Any:
        """A client with the password."""
        import redis

        return redis.Redis(self.address, self.port, password=self.password, socket_timeout=5)
