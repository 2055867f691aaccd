"""Changes show by themselves: reloads the code location when definitions change, and revives a code server that hangs.

The supervisor watches, not a sensor: a sensor lives in the code location and vanishes with it. The store's fingerprint is
compared five times a second. A reload starts a new server process beside the old one and swaps; the daemon and the web server
notice the new server's id by themselves. Running runs are processes of their own and are not touched.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.store import Store

if TYPE_CHECKING:
    from pipekit_dagster.serve.services import Service
    from pipekit_engine.config import Config

_log = logging.getLogger("pipekit.serve")

_POLL_S = 0.2
#: Seconds between two looks whether the code server behind the proxy still answers.
_PING_S = 3.0
_RELOAD_TIMEOUT_S = 120
#: Seconds that a code server may take from its start to its first answer.
_START_S = 30.0
#: Failed looks in a row after which the whole code server is started anew.
_PATIENCE = 5


class Reloader:
    """Watches the store (and with `watch_code` pipekit's own files) and reloads the code location. Runs on a thread."""

    def __init__(self, config: Config, socket: Path, *, code_server: Service, watch_code: bool = False) -> None:
        self._config = config
        self._socket = socket
        self._code_server = code_server
        self._watch_code = watch_code
        self._client: Any = None
        self._shown: str | None = None
        self._last_ping = 0.0
        self._failures = 0
        self._ready = False
        self._store: Store | None = None

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set. Trouble is logged, never raised: the next look may go better."""
        from dagster._grpc.client import DagsterGrpcClient

        self._client = DagsterGrpcClient(socket=str(self._socket))
        try:
            while not stop.wait(_POLL_S):
                try:
                    self._look()
                except Exception as error:
                    _log.warning("cannot look for changed definitions: %s", error)
                    self._close()
        finally:
            self._close()

    def _close(self) -> None:
        """Give the store back; the next look opens it again."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def _look(self) -> None:
        found = self.fingerprint()
        if not self._ready:
            # The code server reads the definitions when it starts: what it shows is at least as new as this look.
            self._shown = found
            self._ready = self._ping()
            return
        if found != self._shown:
            began = time.monotonic()
            if self._reload():
                self._shown = found
                _log.info("definitions changed; the code location was reloaded in %.1f s", time.monotonic() - began)
            return
        if time.monotonic() - self._last_ping >= _PING_S:
            self._last_ping = time.monotonic()
            if self._ping():
                self._failures = 0
            else:
                self._revive()

    def fingerprint(self) -> str:
        """Changes whenever what the code location should show has changed."""
        if self._store is None:
            self._store = Store.open(self._config.database_url)
        parts = [self._store.definitions.fingerprint()]
        files = [self._config.path] if self._config.path else []
        if self._watch_code:
            package = Path(__file__).resolve().parents[1]
            files += [*package.rglob("*.py"), *(package.parent / "pipekit_engine").rglob("*.py")]
        for file in sorted(file for file in files if file.exists()):
            parts.append(f"{file}:{file.stat().st_mtime_ns}")
        return "\n".join(parts)

    def _ping(self) -> bool:
        """Whether the server that has the definitions answers; the proxy before it would answer also without it."""
        from dagster._core.errors import DagsterUserCodeUnreachableError

        try:
            self._client.list_repositories()
        except DagsterUserCodeUnreachableError:
            return False
        return True

    def _reload(self) -> bool:
        from dagster._core.errors import DagsterUserCodeUnreachableError

        try:
            self._client.reload_code(timeout=_RELOAD_TIMEOUT_S)
        except DagsterUserCodeUnreachableError as error:
            # Also raised when the old server was dead and the new one is up: what counts is whether one answers.
            if not self._ping():
                _log.warning("the code location could not be reloaded: %s", error)
                self._revive()
                return False
        return True

    def _revive(self) -> None:
        if self._code_server.age_s < _START_S:
            return  # it is being started
        self._failures += 1
        if self._failures >= _PATIENCE:
            _log.warning("the code server does not answer; starting it anew")
            self._failures = 0
            self._ready = False
            self._code_server.kill()  # the supervisor starts it again
            return
        try:
            self._client.reload_code(timeout=_RELOAD_TIMEOUT_S)
        except Exception as error:
            _log.info("the code server was asked for a new process: %s", type(error).__name__)
