"""The sender's side: runs go to workers, and whatever becomes of messages, each is begun once or told as failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagster import DagsterRunStatus, RunsFilter

from pipekit_dagster.workers.broker import QUEUE_TAG, Broker
from pipekit_engine.config import load_config
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

    from pipekit_engine.config import Config
    from pipekit_engine.store.dispatches import Dispatch

#: Ends the name of the queue for members: they must not wait for places that the runs of their groups have.
MEMBERS = ".members"
_log = logging.getLogger("pipekit.workers")
#: Seconds that a run's process on another host may take from taking the run to naming itself in the run's tags.
_BEGIN_S = 45.0


def dispatcher() -> Dispatcher | None:
    """That of the configuration in force; None where runs stay on this machine."""
    global _in_force
    config = load_config()
    if config.workers is None:
        return None
    if _in_force is None or _in_force.config != config:
        _in_force = Dispatcher(config)
    return _in_force


class Dispatcher:
    """Sends runs. Usable from several threads."""

    def __init__(self, config: Config) -> None:
        assert config.workers is not None
        self.config = config
        self._queue = config.workers.queue
        self._broker: Broker | None = None

    def launch(self, instance: DagsterInstance, run: DagsterRun) -> None:
        """Hand a run over. A broker that does not answer gets it later (`tend`). Raises StoreError."""
        queue = run.tags.get(QUEUE_TAG) or self._queue
        with Store.open(self.config.database_url) as store:
            store.dispatches.add(run.run_id, queue)
            # Terminate does the opposite, status first and then the row: one of the two sees the other.
            now = instance.get_run_by_id(run.run_id)
            if now is not None and now.status == DagsterRunStatus.CANCELING and store.dispatches.withdraw(run.run_id):
                instance.report_run_canceled(now, "Cancelled before it was sent to a worker.")
                return
        problem = self._send(run.run_id, queue)
        said = f"Sent to the workers of queue {queue}." if not problem else f"{problem} The run is sent again soon."
        instance.report_engine_event(said, run, cls=type(self))

    def launch_member(self, store: Store, id_: str, group_run_id: int, payload: Mapping[str, Any]) -> None:
        """Hand a member of a group run over. Raises StoreError."""
        queue = f"{self._queue}{MEMBERS}"
        store.dispatches.add(id_, queue, group_run_id=group_run_id, payload=dict(payload))
        self._send(id_, queue)

    def withdraw(self, run_id: str) -> bool:
        """Take a run back that no worker has taken; False when one has."""
        with Store.open(self.config.database_url) as store:
            return store.dispatches.withdraw(run_id)

    def tend(self, instance: DagsterInstance) -> list[str]:
        """Send again what nobody has taken, fail the runs whose worker died before their first step; what was done, in words."""
        done: list[str] = []
        with Store.open(self.config.database_url) as store:
            taken = {item.id: item for item in store.dispatches.taken()}
            for id_ in _of_ended_groups(store, list(taken.values())):
                store.dispatches.forget([id_])
            taken = {id_: item for id_, item in taken.items() if item.group_run_id is None}
            runs = _runs(instance, list(taken))
            for id_, item in taken.items():
                run = runs.get(id_)
                if run is None or run.is_finished:
                    store.dispatches.forget([id_])
                    continue
                alive = item.worker.alive() if item.worker is not None else False
                gone = alive is False or (alive is None and item.silence_s > _BEGIN_S)
                if gone and run.status == DagsterRunStatus.STARTING:
                    who = item.worker.label if item.worker is not None else "Its worker"
                    instance.report_run_failed(run, f"{who} took the run and died before its first step.")
                    done.append(f"run {id_}: {who} died before its first step")
            due = store.dispatches.due()
            runs = _runs(instance, [item.id for item in due if item.group_run_id is None])
            ended = {item.id for item in due if item.group_run_id is None} - {
                id_ for id_, run in runs.items() if not run.is_finished
            }
            ended.update(_of_ended_groups(store, due))
            for id_ in ended:
                store.dispatches.withdraw(id_)
            for item in due:
                if item.id in ended:
                    continue
                problem = self._send(item.id, item.queue)
                done.append(problem or f"sent {item.id} again")
                if problem:
                    break
        return done

    def _send(self, run_id: str, queue: str) -> str:
        """Send a message; what went wrong."""
        try:
            if self._broker is None:
                self._broker = Broker(self.config)
            self._broker.send(run_id, queue)
        except Exception as error:  # whatever the client of the broker raises, and a password that is not set
            said = self._broker.explained(error) if self._broker is not None else f"{error}."
            text = Redactor(Secrets.of(self.config).values()).clean(said)
            _log.warning("the broker did not take run %s: %s", run_id, text)
            return f"The broker did not take it: {text}"
        return ""


#: Kept for its connections to the broker.
_in_force: Dispatcher | None = None


def _of_ended_groups(store: Store, items: list[Dispatch]) -> list[str]:
    """Of these the members whose group run has ended, with whoever waited for them."""
    if not any(item.group_run_id is not None for item in items):
        return []
    unfinished = {run.id for run in store.group_runs.unfinished()}
    return [item.id for item in items if item.group_run_id is not None and item.group_run_id not in unfinished]


def _runs(instance: DagsterInstance, ids: list[str]) -> dict[str, DagsterRun]:
    found = instance.get_runs(RunsFilter(run_ids=ids)) if ids else ()
    return {run.run_id: run for run in found}
