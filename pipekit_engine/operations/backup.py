"""Backup and restore of the state: definitions, run history, what has fired.

`backup` works while modules run. `restore` is for a pipekit that stands still: it refuses while a run is live or a server is at
work here, keeps the former state aside, and changes everything in one transaction.

A run that was under way when the backup was made cannot still be under way after a restore. It is ended, and says how it
went on where the former state knows. Secrets, configuration and the files of Dagster are not part of the state.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine import __version__
from pipekit_engine.common.files import new_file
from pipekit_engine.errors import ConfigurationError, LockedError, NotFoundError, StoreError
from pipekit_engine.store import Lease, Store, snapshot
from pipekit_engine.store.upgrade import HEAD

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.models import RunRecord
    from pipekit_engine.store.snapshot import SnapshotInfo


class StateInUse(LockedError):
    """A run is live or a server is at work: the state cannot be replaced now."""


@dataclass(frozen=True)
class BackupReport:
    """What a backup holds."""

    file: Path
    size: int
    info: SnapshotInfo


@dataclass(frozen=True)
class RestoreReport:
    """What a restore did. `former` is where the state from before is kept; None when there was none."""

    info: SnapshotInfo
    where: str
    former: Path | None
    upgraded: bool
    ended: list[RunRecord] = field(default_factory=list)


def backup(config: Config, target: Path, *, force: bool = False) -> BackupReport:
    """Write the state into `target`, a file of mode 0600 that appears whole and checked, or not at all.

    Raises ConfigurationError when the file exists and `force` is not given, StoreError when there is no state.
    """
    path = snapshot.sqlite_file(config.database_url)
    if path is not None and not path.is_file():
        raise StoreError(f"There is no pipekit state in {path}. Run `pipekit init`.")
    if path is not None and target.exists() and target.samefile(path):
        raise ConfigurationError(f"{target} is the state itself; name another file for its backup.")
    with new_file(target, force=force) as fresh:
        snapshot.dump(config.database_url, fresh, f"pipekit {__version__}")
        info = snapshot.verify(fresh)
        size = fresh.stat().st_size
    return BackupReport(target, size, info)


def restore(config: Config, source: Path, *, keep: Path | None = None) -> RestoreReport:
    """Replace the state by a backup's, which may be of an older pipekit or come from another kind of database.

    The former state is kept as a backup file: `keep`, else beside the SQLite file, else beside `source`. Raises StateInUse,
    StoreError for a file that is no sound backup, ConfigurationError when the former state cannot be kept. Then nothing
    was changed.
    """
    info = snapshot.verify(source)
    path = snapshot.sqlite_file(config.database_url)
    if path is not None and path.exists() and path.samefile(source):
        raise ConfigurationError(f"{source} is the state itself; name a backup of it.")
    with tempfile.TemporaryDirectory(prefix="pipekit-restore-") as folder:
        work = snapshot.working_copy(source, Path(folder) / "state.db")
        former = _keep_former(config, path, keep or _former_file(path or source))
        ended = _end_unfinished(work, config.database_url if former is not None and former.readable else None, info)
        if former is not None and not former.readable and path is not None:
            snapshot.set_aside(path, former.file)
        Store.init(config.database_url)
        snapshot.load(work, config.database_url, refuse_live)
    with Store.open(config.database_url) as store:
        return RestoreReport(
            info=info,
            where=store.where,
            former=former.file if former is not None else None,
            upgraded=info.revision != HEAD,
            ended=[store.runs.get(run.id) for run in ended],
        )


def refuse_live(locks: list[Lease]) -> None:
    """Raise StateInUse when one of the locks has a living owner."""
    for lease in locks:
        if not lease.abandoned():
            raise StateInUse(
                f"The {lease.what} {lease.name} is being run by {lease.describe()}. "
                "Wait for its end or `pipekit cancel` it, then restore."
            )


@dataclass(frozen=True)
class _Former:
    file: Path
    readable: bool


def _keep_former(config: Config, path: Path | None, target: Path) -> _Former | None:
    """Keep the state as it is now; None when there is none. State that cannot be read is moved later, as it is."""
    if target.exists():
        raise ConfigurationError(
            f"{target} exists; the former state cannot be kept there. Name another file by --keep."
        )
    try:
        store = Store.open(config.database_url)
    except StoreError:
        if path is None:
            if snapshot.holds_state(config.database_url):
                raise
            return None
        return _Former(target, readable=_keep_older(config, target)) if path.exists() else None
    with store:
        refuse_live(store.leases.all())
    backup(config, target)
    return _Former(target, readable=True)


def _keep_older(config: Config, target: Path) -> bool:
    """Whether SQLite state that cannot be opened is merely older, and was kept."""
    try:
        backup(config, target)
    except StoreError:
        return False
    return True


def _former_file(beside: Path) -> Path:
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    return beside.with_name(f"{beside.name}.before-restore.{stamp}.bak")


def _end_unfinished(work: str, former: str | None, info: SnapshotInfo) -> list[RunRecord]:
    """End what was under way when the backup was made. Raises StateInUse when it still is."""
    made = f"when the backup was made at {info.made_at:%Y-%m-%d %H:%M:%S} UTC" if info.made_at else "in the backup"
    with Store.open(work) as copy:
        runs = copy.runs.list(status="running", limit=None)
        locks = {lease.name: lease for lease in copy.leases.all() if lease.what == "module"}
        for run in runs:
            later = _later(former, run)
            if later is None and run.module in locks:
                refuse_live([locks[run.module]])
            how = f"It went on to its end: {_outcome(later)}." if later else "How it ended is not known: run it again."
            error = f"interrupted by a restore: the run was in phase {run.phase} {made}. {how}"
            copy.runs.finish(run.id, "error", error=error)
        for group_run in copy.group_runs.unfinished():
            lock = copy.leases.find("group", group_run.group)
            error = f"interrupted by a restore: the group run was under way {made}."
            copy.group_runs.finish(group_run.id, "error", lock.token if lock else None, error)
        for lease in copy.leases.all():
            copy.leases.release(lease.what, lease.name, lease.token)
    return runs


def _later(former: str | None, run: RunRecord) -> RunRecord | None:
    """The same run's end, as the state from before the restore knows it."""
    if former is None:
        return None
    with suppress(NotFoundError, StoreError), Store.open(former) as store:
        found = store.runs.get(run.id)
        if (found.module, found.started_at) == (run.module, run.started_at) and found.finished_at is not None:
            return found
    return None


def _outcome(run: RunRecord) -> str:
    return f"{run.status} at {run.finished_at:%Y-%m-%d %H:%M:%S} UTC" if run.finished_at else run.status
