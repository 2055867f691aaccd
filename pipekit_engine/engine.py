"""The engine: runs modules and groups, from Python, the `pipekit` command and Dagster alike."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cached_property, partial
from typing import TYPE_CHECKING

from pipekit_engine.config import Config, load_config
from pipekit_engine.databases.connections import Connections, RememberedDefinitions
from pipekit_engine.errors import (
    ConfigurationError,
    ConnectError,
    DestinationError,
    ModuleLocked,
    NotFoundError,
    PipekitError,
    RunCancelled,
    RunError,
    SourceError,
)
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.start import start_own_session, start_session
from pipekit_engine.planning.planner import plan_module
from pipekit_engine.running.cancellation import CancelToken
from pipekit_engine.running.checking import check_module
from pipekit_engine.running.events import RunEvent
from pipekit_engine.running.group_run import ActiveGroupRun, GroupResult, GroupRun, MemberEvent, active_group_run
from pipekit_engine.running.module_run import ModuleRun, RunRequest, RunResult, check_overrides
from pipekit_engine.running.partitions import (
    Backfill,
    BackfillResult,
    PartitionEvent,
    PartitionState,
    chosen_partitions,
    partition_states,
    partition_to_run,
)
from pipekit_engine.running.recovery import recover, unlock
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Store
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from types import TracebackType

    from pipekit_engine.databases.browser import Browser
    from pipekit_engine.jrunner.protocol import OpenResult
    from pipekit_engine.models import Module, RunRecord
    from pipekit_engine.planning.indexes import MissingIndex
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.records.checks import CheckResult
    from pipekit_engine.store import Lease

_log = logging.getLogger(__name__)

__all__ = [
    "BackfillResult",
    "Engine",
    "GroupResult",
    "MemberEvent",
    "PartitionEvent",
    "PartitionState",
    "RunEvent",
    "RunResult",
]


class Engine:
    """Runs what the state store defines. A context manager; usable from several threads.

        with Engine() as engine:
            result = engine.run("flights")
            print(result.record.status, result.record.rows_inserted)

    Without a config, the configuration file is looked for (`pipekit_engine.config`). Raises ConfigurationError when the
    configuration or the state store cannot be used.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or load_config()
        self.store = Store.open(self.config.database_url)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the state store's connections back."""
        self.store.close()

    @cached_property
    def _redactor(self) -> Redactor:
        return Redactor(Secrets.of(self.config).values())

    def _connections(self) -> Connections:
        # Secrets are read for each run: a changed password needs no restart.
        return Connections(self.config, self.store.definitions, Secrets.of(self.config))

    def session_pool(self, max_sessions: int = 1) -> SessionPool:
        """A pool of warm jrunner processes, to be shared by runs; end it with `close()` or `with`."""
        own = self.config.jrunner.command is None
        return SessionPool(max_sessions, lambda: start_session(self.config), share=own)

    def run(
        self,
        module: str,
        *,
        dry_run: bool = False,
        watermarks: Mapping[str, str] | None = None,
        partition: str | None = None,
        triggered_by: str = "manual",
        group_run_id: int | None = None,
        dagster_run_id: str | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
        cancel: threading.Event | None = None,
        sessions: SessionPool | None = None,
        now: datetime | None = None,
    ) -> RunResult:
        """Run one module to its end.

        `watermarks` overrides values by name (a backfill). Of a module with partitions, a run takes the one in which `partition`
        lies, a time or a number, else the newest that has ended by `now`. `cancel`, once set, ends the run. `on_event` is
        called on the threads that work. Raises ModuleLocked, RunCancelled, RunError and ConfigurationError families; those of a
        run that has begun carry its RunRecord as `.record`. The destination changed only if the merge was committed, which a
        HookError says.
        """
        look_up = partial(self.store.definitions.module, module)
        definition = look_up() if group_run_id is None else retrying(look_up, cancel=cancel)
        return self._run(
            RunRequest(
                definition,
                dry_run=dry_run,
                watermarks=dict(watermarks or {}),
                partition=partition_to_run(definition, partition, now),
                triggered_by=triggered_by,
                group_run_id=group_run_id,
                dagster_run_id=dagster_run_id,
                staging_schema=self.config.staging_schema,
            ),
            on_event,
            cancel,
            sessions,
        )

    def _run(
        self,
        request: RunRequest,
        on_event: Callable[[RunEvent], None] | None,
        cancel: threading.Event | None,
        sessions: SessionPool | None,
    ) -> RunResult:
        if sessions is None:
            with self.session_pool() as own:
                return self._run(request, on_event, cancel, own)

        def attempt() -> RunResult:
            secrets, definitions = Secrets.of(self.config), RememberedDefinitions(self.store.definitions, cancel)
            return ModuleRun(
                request,
                store=self.store,
                connections=Connections(self.config, definitions, secrets),
                sessions=sessions,
                redactor=Redactor(secrets.values()),
                cancel=cancel,
                on_event=on_event,
            ).execute()

        try:
            return attempt()
        except ModuleLocked:
            # The holder may be dead.
            if not recover(self.store, request.module.name).runs:
                raise
            return attempt()

    def partitions(self, module: str) -> list[PartitionState]:
        """How the partitions of a module stand, the oldest first. Raises ConfigurationError for a module without any."""
        partition = self._divided(module).partition
        assert partition is not None, "checked before"
        return partition_states(partition, self.store.partitions.of(module))

    def _divided(self, module: str) -> Module:
        definition = self.store.definitions.module(module)
        if definition.partition is None:
            raise ConfigurationError(
                f"Module {module} has no partitions. Give it a `partition` in its definition, and {{partition_start}} and "
                "{partition_end} in its query."
            )
        return definition

    def backfill(
        self,
        module: str,
        *,
        since: str | None = None,
        until: str | None = None,
        keys: Sequence[str] | None = None,
        again: bool = False,
        keep_going: bool = False,
        triggered_by: str = "backfill",
        on_event: Callable[[RunEvent], None] | None = None,
        on_partition: Callable[[PartitionEvent], None] | None = None,
        cancel: threading.Event | None = None,
        sessions: SessionPool | None = None,
    ) -> BackfillResult:
        """Fill partitions of a module, one run each, all in this process and in one jrunner.

        From the partition in which `since` lies to the one in which `until` lies, both included; by default from the first to the
        last that has ended; or those in which the `keys` lie. Those that are filled are skipped unless `again`, so a backfill
        that was ended goes on where it stood. A failed partition ends it unless `keep_going`. A module that somebody else runs is
        waited for. Raises ConfigurationError when there is nothing of the sort to run; failures of runs are in the result.
        """
        if sessions is None:
            with self.session_pool() as own:
                return self.backfill(
                    module,
                    since=since,
                    until=until,
                    keys=keys,
                    again=again,
                    keep_going=keep_going,
                    triggered_by=triggered_by,
                    on_event=on_event,
                    on_partition=on_partition,
                    cancel=cancel,
                    sessions=own,
                )
        wanted, skipped = chosen_partitions(
            self._divided(module), self.store.partitions.of(module), since, until, keys=keys, again=again
        )
        token = CancelToken(cancel)

        def run(key: str) -> RunRecord:
            return self.run(
                module, partition=key, triggered_by=triggered_by, on_event=on_event, cancel=token, sessions=sessions
            ).record

        work = Backfill(
            module, wanted, run, cancel=token, keep_going=keep_going, on_partition=on_partition or (lambda event: None)
        )
        work.result.skipped = skipped
        return work.execute()

    def run_group(
        self,
        group: str,
        *,
        dry_run: bool = False,
        watermarks: Mapping[str, str] | None = None,
        partition: str | None = None,
        triggered_by: str = "manual",
        dagster_run_id: str | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
        on_member: Callable[[MemberEvent], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> GroupResult:
        """Run a group's members in their order.

        A failed member does not raise: the record's status is `error` and its error text says which and why. `watermarks`
        overrides are given to each member that declares the name, `partition` to each that has partitions. `on_member` hears of
        members that are skipped or fail, on the threads that work. Raises ConfigurationError when none does, GroupLocked, and
        RunCancelled with `.group_record`.
        """
        definition = self.store.definitions.group(group)
        modules = {name: self.store.definitions.module(name) for name in definition.members}
        known = {watermark.name for module in modules.values() for watermark in module.watermarks}
        check_overrides(f"group {group}", watermarks or (), known)
        if partition is not None and not any(module.partition for module in modules.values()):
            raise ConfigurationError(f"No member of group {group} has partitions.")
        now = datetime.now(timezone.utc)
        token = CancelToken(cancel)
        with self.session_pool(definition.max_parallel) as sessions:

            def run_member(module: Module, cancelled: CancelToken) -> RunResult:
                declared = {watermark.name for watermark in module.watermarks}
                return self._run(
                    RunRequest(
                        module,
                        dry_run=dry_run,
                        watermarks={name: value for name, value in (watermarks or {}).items() if name in declared},
                        partition=partition_to_run(module, partition if module.partition else None, now),
                        triggered_by=triggered_by,
                        group_run_id=active.id,
                        dagster_run_id=dagster_run_id,
                        staging_schema=self.config.staging_schema,
                    ),
                    on_event,
                    cancelled,
                    sessions,
                )

            runner = GroupRun(
                definition,
                modules,
                self.store.definitions.load_checked()[0].connection_limits,
                run_member,
                cancel=token,
                on_member=on_member or (lambda event: None),
            )
            with self.group_run(
                group,
                triggered_by=triggered_by,
                dagster_run_id=dagster_run_id,
                dry_run=dry_run,
                on_lost=token.set,
                on_cancel=token.set,
            ) as active:
                try:
                    runner.execute()
                except RunCancelled as error:
                    error.group_record = active.finish("cancelled")
                    raise
                finally:
                    active.problems += runner.problems
        record = retrying(lambda: self.store.group_runs.get(active.id))
        runs = retrying(lambda: self.store.runs.list(group_run_id=active.id, limit=None))
        return GroupResult(record, runs[::-1], runner.skipped, active.problems)

    @contextmanager
    def group_run(
        self,
        group: str,
        *,
        triggered_by: str,
        dagster_run_id: str | None = None,
        dry_run: bool = False,
        on_lost: Callable[[], None] | None = None,
        on_cancel: Callable[[], None] | None = None,
    ) -> Iterator[ActiveGroupRun]:
        """Hold a group's lock and its group_run row while a block runs the members.

        On another thread, `on_lost` is called when the lock was taken away, `on_cancel` when `cancel_group` asked for the end.
        After a group run that failed, the alerts of the configuration are sent; none of them can fail the run. Runs older
        than `retention: runs` are pruned. Raises GroupLocked.
        """
        lease = self.store.leases.find("group", group)
        if lease is not None and lease.abandoned():
            self.recover()
        group_run_id = 0
        try:
            with active_group_run(
                self.store,
                group,
                triggered_by=triggered_by,
                dagster_run_id=dagster_run_id,
                dry_run=dry_run,
                on_lost=on_lost,
                on_cancel=on_cancel,
            ) as active:
                group_run_id = active.id
                yield active
        finally:
            if group_run_id:
                self._after_group_run(group_run_id)

    def _after_group_run(self, group_run_id: int) -> None:
        """Alerts and retention. The run has ended: what goes wrong here is logged, and takes nothing from its result."""
        try:
            self._tell_of_failure(group_run_id)
            age = self.config.retention.age
            if age is not None:
                self.store.runs.prune(age)
        except PipekitError as error:
            _log.error("After group run %s: %s", group_run_id, self._redactor.clean(str(error)))

    def _tell_of_failure(self, group_run_id: int) -> None:
        record = self.store.group_runs.get(group_run_id)
        if record.status == "error":
            from pipekit_engine.running.alerts import send_failure  # mail and TLS take a tenth of all other imports

            runs = self.store.runs.list(group_run_id=group_run_id, limit=None)
            send_failure(self.config.alerts, Secrets.of(self.config), record, runs)

    def plan(self, module: str, *, watermarks: Mapping[str, str] | None = None) -> RunPlan:
        """What a run would do now: resolvers run live, nothing is moved. It is a dry run, and recorded as one."""
        plan = self.run(module, dry_run=True, watermarks=watermarks).plan
        assert plan is not None, "a dry run that ends well has a plan"
        return plan

    def missing_indexes(self, module: str, *, sessions: SessionPool | None = None) -> list[MissingIndex]:
        """What the destination of a module has no index for. Nothing is recorded. Raises what a dry run raises."""
        plan = self.rehearse(self.store.definitions.module(module), sessions=sessions, name=f"pipekit tables {module}")
        return list(plan.missing_indexes)

    def rehearse(self, module: Module, *, sessions: SessionPool | None = None, name: str = "pipekit plan") -> RunPlan:
        """What a run of a module would do now, whether or not the store has it: its connections must be there.

        Nothing is recorded or moved. `name` is what databases show of the session. Raises what a dry run raises.
        """
        if sessions is None:
            with self.session_pool() as own:
                return self.rehearse(module, sessions=own, name=name)
        with sessions.session() as session:
            try:
                return plan_module(
                    module,
                    session,
                    self._connections(),
                    staging_schema=self.config.staging_schema,
                    application_name=name,
                )
            except JRunnerError as error:
                raise RunError(self._redactor.clean(str(error))) from error

    def check(
        self,
        module: str,
        *,
        names: Collection[str] = (),
        cancel: threading.Event | None = None,
        sessions: SessionPool | None = None,
    ) -> list[CheckResult]:
        """Ask a module's `checks`, or those of these names, of its destination as it is now. Moves nothing, takes no lock.

        The results are also in the store, as the newest of each check. What keeps a check from being asked is its result, of
        status `error`. Raises NotFoundError for an unknown module or check, and RunCancelled.
        """
        definition = self.store.definitions.module(module)
        known = [check.name for check in definition.checks]
        for name in names:
            if name not in known:
                raise NotFoundError(f"check of module {module}", name, known)
        if sessions is None:
            with self.session_pool() as own:
                return self.check(module, names=names, cancel=cancel, sessions=own)
        with sessions.session(cancel=cancel) as session:
            return check_module(
                definition,
                session,
                self._connections(),
                self.store,
                staging_schema=self.config.staging_schema,
                names=names,
                clean=self._redactor.clean,
                cancel=cancel,
            )

    def execute(self, connection: str, statements: Sequence[str], *, sessions: SessionPool | None = None) -> None:
        """Run statements on a connection, each committed by itself. Raises DestinationError, and ConnectError families."""
        if sessions is None:
            with self.session_pool() as own:
                return self.execute(connection, statements, sessions=own)
        with sessions.session() as session:
            opened = self._connections().open(session, connection, "write")
            try:
                session.execute(opened.handle, list(statements), transaction=False)
            except JRunnerError as error:
                raise DestinationError(
                    f"A statement failed on connection {connection}: {self._redactor.clean(str(error))}"
                ) from error

    def cancel(self, run_id: int) -> bool:
        """Ask the process that runs it to cancel a run; False when it has ended already. Raises NotFoundError.

        A run whose process is dead is ended at once.
        """
        if not self.store.runs.request_cancel(run_id):
            return False
        recover(self.store, self.store.runs.get(run_id).module)
        return True

    def cancel_group(self, group_run_id: int) -> bool:
        """Ask the process that runs a group to end the run: its members are cancelled, and no other one begins.

        False when it has ended already. One whose process is dead is ended at once. Raises NotFoundError.
        """
        if not self.store.group_runs.request_cancel(group_run_id):
            return False
        for member in self.store.runs.list(group_run_id=group_run_id, status="running", limit=None):
            self.store.runs.request_cancel(member.id)
        self.recover()
        return True

    def unlock(self, module: str, *, force: bool = False) -> Lease | None:
        """Free a module's lock that a dead process left; see `pipekit_engine.running.recovery.unlock`."""
        return unlock(self.store, module, force=force)

    def recover(self) -> list[RunRecord]:
        """End all runs whose process is dead, and free their locks; the runs that were ended.

        A group run that is ended this way has failed: its alerts are sent.
        """
        ended = recover(self.store)
        for group_run in ended.group_runs:
            self._tell_of_failure(group_run.id)
        return ended.runs

    def query(self, connection: str, sql: str, *, cancel: threading.Event | None = None) -> str | None:
        """First cell of a query's first row, as text; None for NULL or no row.

        `cancel`, once set, ends it in the database. Raises ConnectError, SourceError and RunCancelled.
        """
        with self.session_pool() as sessions, sessions.session() as session:
            opened = self._connections().open(session, connection, "read", cancel=cancel)
            try:
                return session.query(opened.handle, sql, cancel=cancel).first
            except JRunnerError as error:
                raise SourceError(
                    f"The query failed on connection {connection}: {self._redactor.clean(str(error))}"
                ) from error

    @contextmanager
    def browse(self, connection: str) -> Iterator[Browser]:
        """Look around in a connection's database while a block runs; see `pipekit_engine.databases.browser`.

        Always by pipekit's own jrunner: an external one knows no metadata. Raises ConnectError and ConfigurationError
        families.
        """
        from pipekit_engine.databases.browser import Browser

        with start_own_session(self.config) as session:
            try:
                opened = self._connections().open(session, connection, "read")
            except ConnectError as error:
                raise ConnectError(self._redactor.clean(str(error))) from error
            yield Browser(session, opened, self._redactor, staging_schema=self.config.staging_schema)

    def test_connection(self, name: str) -> OpenResult:
        """Log in for real and say what answered; a file that is a module's destination is made if it is not there.

        Raises ConnectError and ConfigurationError families.
        """
        with self.session_pool() as sessions, sessions.session() as session:
            try:
                writes = any(
                    module.dest == name for module in self.store.definitions.load_checked()[0].modules.values()
                )
                return self._connections().open(session, name, "read", creates=writes).opened
            except ConnectError as error:
                raise ConnectError(self._redactor.clean(str(error))) from error
