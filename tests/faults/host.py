"""A host of its own: runs a module again and again and tries to lead, and writes down what it does.

python -m tests.faults.host FOLDER DATABASE_URL, until FOLDER/stop is there. A line of JSON each for a run that has ended
(`run`) and for each look whether it leads (`leads`), with the time by the clock that all hosts of a machine share.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pipekit_engine.running.monitor as monitor
import pipekit_engine.store.leases as leases
from pipekit_engine.config import Config
from pipekit_engine.engine import Engine
from pipekit_engine.errors import PipekitError, StoreError
from pipekit_engine.running.events import RunEvent
from pipekit_engine.store.leadership import Leadership
from tests.jars import JAR_FOLDERS

MODULE = "m"
#: As in real life, in a third of the time.
INTERVAL_S, FENCE_S, TIMEOUT_S = 1.0, 8.0, 24.0


def main(folder: Path, database: str) -> None:
    monitor.HEARTBEAT_INTERVAL = timedelta(seconds=INTERVAL_S)
    monitor.HEARTBEAT_FENCE = timedelta(seconds=FENCE_S)
    leases.HEARTBEAT_TIMEOUT = timedelta(seconds=TIMEOUT_S)
    stop = folder / "stop"
    threading.Thread(target=_lead, args=(database, stop), daemon=True).start()
    config = Config(database=database, secrets=folder / "secrets.env", jars=JAR_FOLDERS, connect_timeout_s=5)
    phases: dict[str, float] = {}
    while not stop.exists():
        try:
            with Engine(config) as engine, engine.session_pool() as sessions:
                while not stop.exists():
                    phases.clear()
                    engine.run(MODULE, sessions=sessions, on_event=lambda event: _note(phases, event))
                    # Both are moments at which it holds the lock.
                    _tell(run="success", began=phases["resolve"], ended=phases["hooks"])
        except PipekitError as error:
            _tell(run=type(error).__name__, said=str(error)[:300])
        time.sleep(0.2)


def _note(phases: dict[str, float], event: RunEvent) -> None:
    if event.kind == "phase":
        phases[event.phase] = time.monotonic()


def _lead(database: str, stop: Path) -> None:
    leadership, leads = Leadership(database), False
    while not stop.exists():
        try:
            leads = leadership.keeps() if leads else leadership.take()
        except StoreError:
            leads = False
        _tell(leads=leads)
        time.sleep(0.3)
    leadership.give_up()


def _tell(**what: object) -> None:
    # One call: both threads write, and a line must stay whole.
    os.write(1, (json.dumps({**what, "at": time.monotonic()}) + "\n").encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
