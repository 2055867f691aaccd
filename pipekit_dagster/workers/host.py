"""`pipekit serve --worker`: a host that takes runs. It keeps two consumers running, of runs and of members.

They take from queues of their own: members must not wait for the places that the runs of their groups have.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from pipekit_dagster.serve.home import Home
from pipekit_dagster.serve.services import Service
from pipekit_dagster.workers.broker import Broker
from pipekit_dagster.workers.dispatcher import MEMBERS
from pipekit_engine.common.signals import on_signals
from pipekit_engine.engine import Engine
from pipekit_engine.errors import ConfigurationError, PipekitError

if TYPE_CHECKING:
    from pipekit_engine.config import Config

_log = logging.getLogger("pipekit.workers")
_TICK_S = 0.2
#: Seconds that a consumer gets to end after SIGTERM. Runs go on by themselves; members get the time to come to their end.
_STOP_TIMEOUT_S, _DRAIN_S = 5.0, 300.0
#: Seconds between two looks for runs of this host whose process is dead.
_RECOVER_EVERY_S = 5.0


def serve(config: Config, *, at_once: int | None = None, queues: list[str] | None = None) -> int:
    """Take runs until SIGINT or SIGTERM; 0 after a clean stop.

    Raises ConfigurationError, SecretError and RuntimeMissing before anything is started.
    """
    logging.basicConfig(format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    _log.setLevel(logging.INFO)
    if config.workers is None:
        raise ConfigurationError("A worker needs `workers: {broker: ...}` in the configuration.")
    Broker(config)
    home = Home.of(config)
    home.prepare()
    os.environ.update(home.environment())
    names = queues or [config.workers.queue]
    command = [sys.executable, "-m", "pipekit_dagster.workers.consumer"]
    command += ["--at-once", str(at_once or config.workers.at_once)]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    runs = Service("runs", [*command, *(f"--queue={name}" for name in names)], env)
    members = Service("members", [*command, "--members", *(f"--queue={name}{MEMBERS}" for name in names)], env)
    stop = threading.Event()
    with Engine(config) as engine, on_signals((signal.SIGINT, signal.SIGTERM), stop.set):
        watch = threading.Thread(target=_recover, args=(engine, stop), name="recover", daemon=True)
        watch.start()
        try:
            while not stop.wait(_TICK_S):
                runs.poll()
                members.poll()
        finally:
            stop.set()
            _log.info("stopping; running runs go on by themselves, members of groups are waited for")
            members.terminate()
            runs.terminate()
            runs.wait_stopped(_STOP_TIMEOUT_S)
            members.wait_stopped(_DRAIN_S)
            watch.join(_STOP_TIMEOUT_S)
    return 0


def _recover(engine: Engine, stop: threading.Event) -> None:
    """End what dead processes of this host left: others must wait until they have been silent for long."""
    said = ""
    while not stop.wait(_RECOVER_EVERY_S):
        problem = ""
        try:
            for record in engine.recover():
                _log.warning("run %s of %s was ended as %s: %s", record.id, record.module, record.status, record.error)
        except PipekitError as error:
            problem = str(error)
        if problem and problem != said:
            _log.warning("%s", problem)
        said = problem
