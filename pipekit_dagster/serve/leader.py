"""The leader election: whether this server's daemon is the one that fires schedules and launches runs.

Servers that share a state store stand by while another leads, with their code server and web server at work, and take over within
seconds after it has ended, or has not renewed its lease for too long (it hangs). Two daemons at once would launch each run twice:
the daemon is given the name of the lease that it works under, and ends when that is over (`lease`).
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from pipekit_engine.errors import StoreError
from pipekit_engine.store.leadership import QUIET_S, Leadership

if TYPE_CHECKING:
    from pipekit_engine.config import Config

_log = logging.getLogger("pipekit.serve")
_EVERY_S = 1.0


class Leader:
    """A thread that takes the leadership when it is free, and notices when it is lost."""

    def __init__(self, config: Config) -> None:
        self._leadership = Leadership(config.database_url)
        self._held = threading.Event()
        self._elsewhere = False
        self._silence_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="leader", daemon=True)

    @property
    def leads(self) -> bool:
        """Whether this server's daemon may work."""
        return self._held.is_set()

    @property
    def stands_by(self) -> bool:
        """Whether another server leads. False, too, while the state store does not say who does, or that one is silent."""
        return self._elsewhere and self._silence_s < QUIET_S

    @property
    def nobody_leads(self) -> bool:
        """Whether the lead is another server's, and that one has given no sign of life for some seconds."""
        return self._elsewhere and self._silence_s >= QUIET_S

    @property
    def token(self) -> str:
        """The name of the lease that this server leads by; empty when it does not lead."""
        return self._leadership.token if self.leads else ""

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Give the lead up. To be called once the daemon has ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(15)

    def _look(self) -> None:
        said = ""
        try:
            while not self._stop.is_set():
                problem, led = "", self.leads
                try:
                    leads = self._leadership.keeps() if led else self._leadership.take()
                except StoreError as error:
                    leads, problem = False, str(error)
                if leads and not led:
                    self._held.set()
                elif not leads:
                    self._held.clear()
                    problem = problem or ("the state store no longer says that this server leads" if led else "")
                self._silence_s = 0.0 if leads else self._leadership.silence_s
                self._elsewhere = not leads and not problem
                now = problem or ("" if leads else "standing by: another server on this state store leads")
                if self.nobody_leads:
                    now = "standing by: the server that leads gives no sign of life; it is replaced soon"
                if now != said:
                    _log.info("%s", now or "leading")
                    said = now
                self._stop.wait(_EVERY_S)
        finally:
            self._held.clear()
            self._leadership.give_up()
