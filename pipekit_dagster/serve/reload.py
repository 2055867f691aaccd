"""The reloader: reloads the code location when definitions change, and replaces a code server that hangs.

The supervisor watches, not a sensor: a sensor lives in the code location and vanishes with it. The store's fingerprint is
compared five times a second. A reload starts a new server process beside the old one and swaps; the daemon and the web server
notice the new server's id by themselves. Running runs are processes of their own and are not touched.

Definitions that did not load are tried again with growing pauses, also when nothing has changed: the state database may have been
away just when the code server read it.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipekit_dagster.dagster_internals.code_server import CodeServer, CodeServerUnreachable
from pipekit_engine.errors import PipekitError
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipekit_dagster.serve.services import Service
    from pipekit_engine.config import Config

_log = logging.getLogger("pipekit.serve")

_POLL_S = 0.2
#: Seconds between two looks whether the code server behind the proxy still answers.
_PING_S = 3.0
_RELOAD_TIMEOUT_S = 120
#: Seconds that a code server may take from its start to its first answer.
_START_S = 30.0
#: Seconds until definitions that did not load are tried again: at first, and at most.
_FIRST_RETRY_S = 2.0
_LONGEST_RETRY_S = 300.0
#: Failed looks in a row after which the whole code server is started anew.
_MAX_FAILURES = 5


class Reloader:
    """Watches the store (and with `watch_code` pipekit's own files) and reloads the code location. Runs on a thread.

    `reloaded` is called after each reload for changed definitions.
    """

    def __init__(
        self,
        config: Config,
        socket: Path,
        *,
        code_server: Service,
        watch_code: bool = False,
        reloaded: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._code_server = CodeServer(socket)
        self._service = code_server
        self._watch_code = watch_code
        self._reloaded = reloaded
        self._shown: str | None = None
        self._last_ping = 0.0
        self._failures = 0
        self._ready = False
        self._retry_pause = _FIRST_RETRY_S
        self._next_retry = 0.0
        self._store: Store | None = None

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set. Trouble is logged, never raised: the next look may go better."""
        said = ""
        try:
            while not stop.wait(_PING_S if said else _POLL_S):
                try:
                    self._look()
                except Exception as error:
                    if str(error) != said:  # an outage is told once, not at each look
                        said = str(error) or type(error).__name__
                        _log.warning("cannot look for changed definitions: %s", said)
                    self._close()
                else:
                    if said:
                        said = ""
                        _log.info("looking for changed definitions again")
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
            self._ready = self._code_server.answer() is not None
            return
        if found != self._shown:
            self._retry_pause = _FIRST_RETRY_S
            began = time.monotonic()
            if self._reload():
                self._shown = found
                self._reloaded()
                _log.info("definitions changed; the code location was reloaded in %.1f s", time.monotonic() - began)
            return
        if time.monotonic() - self._last_ping >= _PING_S:
            self._last_ping = time.monotonic()
            answer = self._code_server.answer()
            if answer is None:
                self._restart_process()
                return
            self._failures = 0
            self._retry(answer)

    def _retry(self, answer: Literal["definitions", "error"]) -> None:
        """Reload definitions that did not load, if a try is due."""
        if answer == "definitions":
            self._retry_pause, self._next_retry = _FIRST_RETRY_S, 0.0
        elif self._next_retry == 0.0:
            self._next_retry = time.monotonic() + self._retry_pause
        elif time.monotonic() >= self._next_retry:
            _log.info("the definitions did not load; trying again")
            self._next_retry = 0.0
            self._retry_pause = min(2 * self._retry_pause, _LONGEST_RETRY_S)
            self._reload()

    def mark_shown(self) -> None:
        """Take what is there now as shown; to be called before the code server starts.

        It reads the definitions later than this, but answers only some time after it has read them: what changes in between is
        to show, too.
        """
        try:
            self._shown = self.fingerprint()
        except PipekitError as error:
            _log.warning("cannot look for changed definitions: %s", error)
        finally:
            self._close()

    def fingerprint(self) -> str:
        """Changes whenever what the code location should show has changed."""
        if self._store is None:
            self._store = Store.open(self._config.database_url)
        files: list[Path] = []
        if self._watch_code:
            package = Path(__file__).resolve().parents[1]
            files += [*package.rglob("*.py"), *(package.parent / "pipekit_engine").rglob("*.py")]
        return fingerprint(self._config, self._store, files)

    def _reload(self) -> bool:
        try:
            self._code_server.reload(_RELOAD_TIMEOUT_S)
        except CodeServerUnreachable as error:
            # Also raised when the old server was dead and the new one is up: what counts is whether one answers.
            if self._code_server.answer() is None:
                _log.warning("the code location could not be reloaded: %s", error)
                self._restart_process()
                return False
        return True

    def _restart_process(self) -> None:
        """Have the proxy start another process; after `_MAX_FAILURES` failures have the supervisor start the proxy anew."""
        if self._service.age_s < _START_S:
            return  # it is being started
        self._failures += 1
        if self._failures >= _MAX_FAILURES:
            _log.warning("the code server does not answer; starting it anew")
            self._failures = 0
            self._ready = False
            self._service.kill()  # the supervisor starts it again
            return
        try:
            self._code_server.reload(_RELOAD_TIMEOUT_S)
        except Exception as error:
            _log.info("the code server was asked for a new process: %s", type(error).__name__)


def fingerprint(config: Config, store: Store, files: Iterable[Path] = ()) -> str:
    """Changes whenever what a code location shows does: definitions, the configuration file, or one of `files`.

    Also where a change is taken back: a code location that was loaded between the two shows what is no longer there.
    """
    watched = sorted(file for file in (*([config.path] if config.path else []), *files) if file.exists())
    seen = [store.definitions.fingerprint(), str(store.definitions.last_change())]
    return "\n".join([*seen, *(f"{file}:{file.stat().st_mtime_ns}" for file in watched)])
