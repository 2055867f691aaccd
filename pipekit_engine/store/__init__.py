"""The state store: definitions, locks, runs, schedules. The only code that touches the state database.

Works on one SQLite file (WAL, many processes on one machine) and on PostgreSQL (many machines) with the same code.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.errors import StoreError
from pipekit_engine.store import dbapi
from pipekit_engine.store.certificates import CertificateStore
from pipekit_engine.store.checks import CheckStore
from pipekit_engine.store.database import Database, parse_url
from pipekit_engine.store.definitions import BrokenRecord, Change, DefinitionStore
from pipekit_engine.store.group_runs import GroupRunStore
from pipekit_engine.store.leases import Lease, LeaseStore
from pipekit_engine.store.partitions import PartitionStore
from pipekit_engine.store.runs import RunStore
from pipekit_engine.store.upgrade import InitReport, check_revision, initialise

if TYPE_CHECKING:
    from types import TracebackType

    from pipekit_engine.store.audit import AuditStore
    from pipekit_engine.store.dispatches import DispatchStore
    from pipekit_engine.store.ticks import TickStore
    from pipekit_engine.store.tokens import TokenStore

__all__ = ["BrokenRecord", "Change", "InitReport", "Lease", "Store"]


class Store:
    """An open state store. A context manager; `close()` gives its connections back."""

    def __init__(self, database: Database, where: str) -> None:
        self.where = where
        self._database = database
        self.definitions = DefinitionStore(database)
        self.leases = LeaseStore(database)
        self.runs = RunStore(database)
        self.group_runs = GroupRunStore(database)
        self.partitions = PartitionStore(database)
        self.certificates = CertificateStore(database)
        self.checks = CheckStore(database)

    # Imported when they are first asked for: most bring SQLAlchemy, which a run does without.

    @cached_property
    def audit(self) -> AuditStore:
        """What was changed in definitions."""
        from pipekit_engine.store.audit import AuditStore

        return AuditStore(self._database)

    @cached_property
    def dispatches(self) -> DispatchStore:
        """Work that is sent to workers of other hosts."""
        from pipekit_engine.store.dispatches import DispatchStore

        return DispatchStore(self._database)

    @cached_property
    def ticks(self) -> TickStore:
        """Which ticks have fired."""
        from pipekit_engine.store.ticks import TickStore

        return TickStore(self._database)

    @cached_property
    def tokens(self) -> TokenStore:
        """Logins of programs."""
        from pipekit_engine.store.tokens import TokenStore

        return TokenStore(self._database)

    @classmethod
    def open(cls, url: str) -> Store:
        """Open an existing store. Raises StoreError when it is missing, not writable, or of another pipekit."""
        where, path = _place(url)
        if path is not None and not path.exists():
            raise StoreError(
                f"There is no pipekit state in {where}. Run `pipekit init` for a new project; for one that is there already, "
                "go to the folder of its pipekit.yaml, or name that file with --config."
            )
        database = Database(url)
        try:
            check_revision(database, where)
        except BaseException:
            database.close()
            raise
        return cls(database, where)

    @classmethod
    def init(cls, url: str) -> InitReport:
        """Create or upgrade the store; safe to run twice. Raises StoreError, and then nothing was changed."""
        where, path = _place(url)
        database = Database(url)
        try:
            return initialise(database, where, path)
        finally:
            database.close()

    def close(self) -> None:
        """Give all connections back."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _place(url: str) -> tuple[str, Path | None]:
    """Where the store is, fit to be shown (no password), and its file for SQLite."""
    if (file := dbapi.sqlite_path(url)) is not None:
        return file, Path(file)
    if arguments := dbapi.postgresql_arguments(url):
        password = arguments.get("password")
        return url.replace(f":{password}@", ":***@", 1) if password else url, None
    parsed = parse_url(url)
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise StoreError("The state store must be a file: other processes have to see its locks.")
        return parsed.database, Path(parsed.database)
    return parsed.render_as_string(hide_password=True), None
