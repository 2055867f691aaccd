"""`python -m pipekit_dagster.run_server`: forks the processes of Dagster runs. Started and restarted by `pipekit serve`.

It has imported what a run needs, and loaded the definitions. A forked process is a run's alone, and does what `worker` does in a
process of its own; before that it looks whether the definitions that it has are still those in force, and loads them itself
if not. `run_client` is the launcher's side. Where this server is away, busy, or of another interpreter or version of the program,
the launcher starts the process by itself.

Nothing that two processes must not share may be here when it forks: no thread, no open database, no connection. It looks for such
things whenever it has loaded definitions, and forks nothing where it finds any.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from pipekit_dagster.run_client import socket_path
from pipekit_dagster.serve.reload import fingerprint
from pipekit_engine.agent.forking import ForkServer, become, receive, status_of, warm_up
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.config import load_config
from pipekit_engine.errors import PipekitError
from pipekit_engine.store import Store

_DEFINITIONS = "pipekit_dagster.definitions"
#: What a run imports when it needs it.
_WARM = (
    *("pipekit_dagster.worker", "pipekit_dagster.threads", "pipekit_dagster.dagster_internals.step_logs"),
    *("pipekit_engine.engine", "pipekit_engine.jrunner.external", "psycopg"),
)


class RunServer(ForkServer):
    """The server. SIGHUP has it load the definitions again. Its runs go on when it ends."""

    waits = False

    def __init__(self, home: str) -> None:
        root = Path(__file__).resolve().parents[1]
        super().__init__(socket_path(home), [root / "pipekit_dagster", root / "pipekit_engine"])
        #: What is here and must not be where a process is forked.
        self.shared: set[str] = set()
        self._outdated = True
        #: What the definitions that are loaded were made from; None where none are.
        self._loaded: str | None = None
        signal.signal(signal.SIGHUP, self._note_change)
        self.prepare()

    def _note_change(self, *_: Any) -> None:
        self._outdated = True

    def prepare(self) -> None:
        """Load the definitions, if they are not those in force."""
        if not self._outdated:
            return
        self._outdated = False
        gc.unfreeze()
        before = _descriptors()
        logging.disable()  # the code server says what is wrong with definitions, and so does each run
        try:
            from pipekit_dagster.dagster_internals.launching import IMPORTED_BY_RUNS

            for name in (*_WARM, *IMPORTED_BY_RUNS):
                with suppress(ImportError):
                    import_module(name)
            warm_up()
            self._loaded = _in_force()
            sys.modules.pop(_DEFINITIONS, None)
            import_module(_DEFINITIONS).defs.get_repository_def()
        except Exception:  # a run says what it is
            self._loaded = None
        finally:
            logging.disable(logging.NOTSET)
        gc.collect()
        gc.freeze()
        threads = len(os.listdir("/proc/self/task")) - 1
        self.shared = (_descriptors() - before) | ({f"{threads} more threads"} if threads else set())
        if self.shared:
            print(f"run server: it has {', '.join(self.shared)}; runs start by themselves", file=sys.stderr)
            self.stop()

    def work(self, connection: socket.socket) -> int:
        """In the forked process: the run, to its end."""
        try:
            request, (output,) = receive(connection, 1)
            if request["folder"] != os.getcwd():
                return 0
            connection.sendall(f"{ProcessName.current()}\n".encode())
            if connection.recv(1) != b"g":
                return 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        connection.close()
        for stream in (1, 2):
            os.dup2(output, stream)
        os.close(output)
        become(request)
        return status_of(partial(self._run, request["run_id"]))

    def _run(self, run_id: str) -> None:
        from pipekit_dagster.worker import main

        sys.argv = ["pipekit_dagster.worker", run_id]
        current = False
        with suppress(PipekitError):  # a run that cannot load the definitions says why
            current = self._loaded is not None and self._loaded == _in_force()
        if not current:
            sys.modules.pop(_DEFINITIONS, None)
        sys.exit(main(run_id))


def _in_force() -> str:
    """What the definitions in force are made from. Raises PipekitError."""
    config = load_config()
    with Store.open(config.database_url) as store:
        return f"{config!r}\n{fingerprint(config, store)}"


def _descriptors() -> set[str]:
    """What is open in this process."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the folder that was listed
            found.add(os.readlink(f"/proc/self/fd/{number}"))
    return found


def main() -> None:
    """Serve the DAGSTER_HOME of the environment until told to stop."""
    server = RunServer(os.environ["DAGSTER_HOME"])
    if server.shared:
        signal.pause()  # until told to end: a new process would find the same
    server.listen()
    server.serve()


if __name__ == "__main__":
    main()
