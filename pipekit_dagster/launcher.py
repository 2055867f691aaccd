"""`PipekitRunLauncher`: one process per Dagster run, on this machine, that outlives whoever launched it.

Dagster's default launcher makes a run a child of the code server: restart that server for good, and its runs die with it; kill
everything, and a run stays STARTED for ever. Here a run is a process of its own session (`worker`):

- It writes its `ProcessName` into the run's tags before it does anything else, so whoever looks later can tell whether that very
  process still lives. Run monitoring asks `check_run_worker_health` every few seconds and fails the runs of dead processes.
- It comes from the run server of `pipekit serve` (`run_server`), where that is to be had: there all is imported already. Else it
  starts by itself.
- The launcher's own process waits for it on a thread, and reports a process that died without a last word at once.
- Terminate sends SIGINT. A run of another machine finds the request itself: its worker looks at the run's status.
- The worker writes signs of life into the run's tags, so that other machines notice when its own has vanished.
- Where `workers` are configured, runs go to other hosts instead (`workers`), and are such processes there.
- Stopping the daemon, the code server or `pipekit serve` leaves running runs alone; they end by themselves.

What the process prints goes to `run_output/RUN_ID.log` in DAGSTER_HOME, is shown when the process died, and removed when
it ended well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dagster import DagsterRunStatus

from pipekit_dagster.dagster_internals.launching import (
    CheckRunHealthResult,
    ConfigurableClassData,
    ConfiguredRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)
from pipekit_dagster.run_client import ForkedProcess, fork_process
from pipekit_dagster.serve.lease import require_lead
from pipekit_dagster.workers.dispatcher import dispatcher
from pipekit_engine.common.processes import ProcessName

if TYPE_CHECKING:
    from typing import TypeAlias

    from dagster import DagsterRun

    from pipekit_engine.store import Store

    _Process: TypeAlias = subprocess.Popen[bytes] | ForkedProcess

#: Argument of a run's process that was sent here: it takes the run first, and does nothing when another has it.
TAKE = "--take"
#: Tag with the `ProcessName` of a run's process. The leading dot hides it in the UI.
WORKER_TAG = ".dagster/pipekit_worker"
#: Tag with the time of the worker's last sign of life, in seconds since the epoch.
SEEN_TAG = ".dagster/pipekit_worker_seen"
#: Seconds of silence after which the worker of another machine counts as gone; a living one writes every 10. Run monitoring asks
#: every ten seconds: within a minute the run is told as failed.
SILENCE_S = 45.0
_TAIL_CHARS = 4000
#: Seconds that the output of a run's process is kept when nobody removed it at the run's end.
_KEEP_OUTPUT_S = 7 * 24 * 3600


class PipekitRunLauncher(ConfiguredRunLauncher):
    """Launches each run as a process of its own. In dagster.yaml:

    run_launcher:
      module: pipekit_dagster.launcher
      class: PipekitRunLauncher
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._launched: dict[str, _Process] = {}

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process and return. A daemon whose server no longer leads ends here: another one launches runs."""
        require_lead()
        run_id = context.dagster_run.run_id
        if (workers := dispatcher()) is not None:
            workers.launch(self.instance, context.dagster_run)
            return
        process = self._start(run_id)
        threading.Thread(target=self._watch, args=(run_id, process), name=f"watch {run_id}", daemon=True).start()

    def run_here(self, run_id: str, store: Store) -> None:
        """Start a run that was sent to this host, in a process that takes it first, and wait for its end."""
        process = self._start(run_id, TAKE)
        name = ProcessName.of(process.pid)
        status = process.wait()
        self._launched.pop(run_id, None)
        # One that died before it took the run is as one that died afterwards: the next would die, too.
        found = store.dispatches.find(run_id)  # none once the run is known to have ended
        if found is None or found.worker == name or (status != 0 and store.dispatches.withdraw(run_id)):
            self._tell_end(run_id, status)
            store.dispatches.forget([run_id])

    def _start(self, run_id: str, *options: str) -> _Process:
        home = self.instance.root_directory
        output = _output_file(home, run_id)
        output.parent.mkdir(parents=True, exist_ok=True)
        _prune(output.parent)
        with output.open("ab") as sink:
            forked = None if options else fork_process(home, run_id, sink)
            process: _Process = forked or subprocess.Popen(
                [sys.executable, "-m", "pipekit_dagster.worker", run_id, *options],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env={**os.environ, "DAGSTER_HOME": home},
                start_new_session=True,
            )
        self._launched[run_id] = process
        return process

    def _watch(self, run_id: str, process: _Process) -> None:
        status = process.wait()
        self._launched.pop(run_id, None)
        self._tell_end(run_id, status)

    def _tell_end(self, run_id: str, status: int | None) -> None:
        """Say what became of a run that its process has left unfinished."""
        if not self.has_instance:
            return
        run = self.instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            if status == 0:
                _output_file(self.instance.root_directory, run_id).unlink(missing_ok=True)
            return
        if run.status == DagsterRunStatus.CANCELING:
            self.instance.report_run_canceled(run, "The run's process has ended on request.")
        else:
            self.instance.report_run_failed(run, f"The run's process died: {_exit(status)}.{self._output_tail(run_id)}")

    def terminate(self, run_id: str) -> bool:
        """Ask the run's process to end. True when it was asked, or is gone already."""
        run = self.instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if run.status != DagsterRunStatus.CANCELING:
            self.instance.report_run_canceling(run)
        # Read again: between the first look and the new status the worker may have put its name into the tags.
        run = self.instance.get_run_by_id(run_id) or run
        name = ProcessName.parse(run.tags.get(WORKER_TAG))
        if name is None:
            process = self._launched.get(run_id)
            if process is not None:
                process.send_signal(signal.SIGINT)
            elif (workers := dispatcher()) is not None and workers.withdraw(run_id):
                self.instance.report_run_canceled(run, "Cancelled before a worker took it.")
            # Else its process is starting elsewhere: it looks at the status once it has named itself.
            return True
        alive = name.alive()
        if alive:
            os.kill(name.pid, signal.SIGINT)
        elif alive is False:
            self.instance.report_run_canceled(run, f"{name.label} was gone already.")
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process lives. One that cannot be seen from here lives as long as it gives signs of life."""
        name = ProcessName.parse(run.tags.get(WORKER_TAG))
        alive = name.alive() if name else True
        if name is None or alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if alive is False:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"{name.label} is gone")
        silent = time.time() - float(run.tags.get(SEEN_TAG) or time.time())
        if silent < SILENCE_S:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"{name.label} has given no sign of life for {silent:.0f} s")

    def get_run_worker_debug_info(self, run: DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """The last lines that the run's process printed."""
        return self._output_tail(run.run_id) or None

    def _output_tail(self, run_id: str) -> str:
        try:
            text = _output_file(self.instance.root_directory, run_id).read_text(errors="replace").strip()
        except OSError:
            return ""
        return f"\nIts last words:\n{text[-_TAIL_CHARS:]}" if text else ""

    def join(self, timeout: int = 30) -> None:
        """Wait for the runs launched from here, at most `timeout` seconds for each."""
        for run_id in list(self._launched):
            until = time.monotonic() + timeout
            while run_id in self._launched and time.monotonic() < until:
                time.sleep(0.05)


def _output_file(home: str, run_id: str) -> Path:
    return Path(home) / "run_output" / f"{run_id}.log"


def _prune(folder: Path) -> None:
    """Remove old output: of runs that died, and of those whose launcher ended before them."""
    for file in folder.glob("*.log"):
        with suppress(OSError):  # another launcher may prune at the same time
            if time.time() - file.stat().st_mtime > _KEEP_OUTPUT_S:
                file.unlink()


def _exit(status: int | None) -> str:
    if status is None:
        return "ended, unseen"
    if status < 0:
        return f"ended by signal {signal.Signals(-status).name}"
    return f"exit status {status}"
