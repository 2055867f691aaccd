"""Runs one module in a process of its own, which a test may kill.

python -m tests.running.child FOLDER MODULE [KILL_AT]: with KILL_AT the process kills itself with SIGKILL when that phase begins,
or, by `staged:N`, when N ranges of rows are staged for good.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from pipekit_engine.config import Config
from pipekit_engine.engine import Engine
from pipekit_engine.errors import PipekitError
from pipekit_engine.running.events import RunEvent
from tests.jars import JAR_FOLDERS


def main(folder: str, module: str, kill_at: str = "") -> int:
    config = Config(database=str(Path(folder, "pipekit.db")), secrets=Path(folder, "secrets.env"), jars=JAR_FOLDERS)

    ranges = 0

    def on_event(event: RunEvent) -> None:
        nonlocal ranges
        ranges += "are staged for good" in event.message
        if kill_at == f"staged:{ranges}":
            os.kill(os.getpid(), signal.SIGKILL)
        if event.kind == "phase":
            print(event.phase, flush=True)
            if event.phase == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with Engine(config) as engine:
        try:
            engine.run(module, on_event=on_event)
        except PipekitError as error:
            print(type(error).__name__, flush=True)
            return error.exit_status
    print("success", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
