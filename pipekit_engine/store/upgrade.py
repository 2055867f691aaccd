"""Creating and upgrading the state database, and telling whether it fits this version of pipekit.

Alembic is imported only when something has to be migrated: opening a store costs one SELECT.
"""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.common.files import create_private
from pipekit_engine.errors import StoreError
from pipekit_engine.store.database import RESTORE, Database, is_corrupt, is_full, within

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig

    from pipekit_engine.store.dbapi import Transaction

#: The revision that this version of pipekit works with; a test holds it against the newest migration.
HEAD = "0011"  # v0011_unfinished
_MIGRATIONS = Path(__file__).parent / "migrations"
#: Two processes that run `init` at once: the second waits for the first on this PostgreSQL advisory lock.
_ADVISORY_LOCK = 7_046_029_254


@dataclass(frozen=True)
class InitReport:
    """What `init` found and did. `backup` is the copy of an SQLite file from before an upgrade."""

    before: str | None
    after: str
    backup: Path | None = None

    @property
    def changed(self) -> bool:
        """Whether the database was created or upgraded."""
        return self.before != self.after


def current_revision(database: Database) -> str | None:
    """Revision of the state database; None when it holds no pipekit tables. Raises StoreError."""
    with database.plain_read() as transaction:
        return _revision(transaction)


def _revision(transaction: Transaction) -> str | None:
    there = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
        if transaction.is_sqlite
        else "SELECT to_regclass('alembic_version')"
    )
    if transaction.execute(there).scalar() is None:
        return None
    found: str | None = transaction.execute("SELECT version_num FROM alembic_version").scalar()
    return found


def check_revision(database: Database, where: str) -> None:
    """Raise StoreError unless the database has exactly the revision that this pipekit works with."""
    revision = current_revision(database)
    if revision == HEAD:
        return
    if revision is None:
        raise StoreError(f"There is no pipekit state in {where}. Run `pipekit init`.")
    if revision in known_revisions():
        raise StoreError(
            f"The state in {where} is of an older pipekit (revision {revision}, this one wants {HEAD}). "
            "Run `pipekit init` to upgrade it."
        )
    raise StoreError(
        f"The state in {where} is of a newer pipekit (revision {revision}; this one knows up to {HEAD}). "
        "Install that version of pipekit; nothing was changed."
    )


def known_revisions() -> set[str]:
    """Every revision that this pipekit can upgrade from, and the newest."""
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_alembic_config()).walk_revisions()}


def initialise(database: Database, where: str, sqlite_file: Path | None) -> InitReport:
    """Create or upgrade the state database; safe to run twice, and by two processes at once.

    An existing SQLite file is copied aside before it is upgraded. Raises StoreError when the state is of a newer
    pipekit, and leaves it as it was.
    """
    if sqlite_file is not None:
        _prepare_file(sqlite_file)
    before = current_revision(database)
    if before == HEAD:
        return InitReport(before, HEAD)
    if before is not None and before not in known_revisions():
        check_revision(database, where)
    backup = _copy_aside(sqlite_file, before) if sqlite_file is not None and before is not None else None
    return InitReport(_migrate(database), HEAD, backup)


def _prepare_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        create_private(path)
        # WAL is a property of the file: set once, before there are readers.
        with sqlite3.connect(path, timeout=60) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.close()
    except (OSError, sqlite3.Error) as error:
        if is_corrupt(str(error)):
            raise StoreError(f"The state file {path} is damaged ({error}). {RESTORE}") from None
        if is_full(path):
            raise StoreError(f"The disk of the state file {path} is full ({error}). Free some space.") from None
        raise StoreError(f"The state file {path} cannot be made or opened: {error}") from None


def _copy_aside(path: Path, revision: str | None) -> Path:
    stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
    backup = path.with_name(f"{path.name}.{revision}.{stamp}.bak")
    create_private(backup)
    # SQLite's own backup: a plain copy of a file in WAL mode would miss what is still in the log.
    source, target = sqlite3.connect(path, timeout=60), sqlite3.connect(backup)
    try:
        with target:
            source.backup(target)
    finally:
        source.close()
        target.close()
    shutil.copymode(path, backup)
    return backup


def _alembic_config() -> AlembicConfig:
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    # Alembic reads the option with ConfigParser, which gives % a meaning.
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _migrate(database: Database) -> str | None:
    """Upgrade in one transaction; the revision that it found once nobody else could write."""
    from alembic import command
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    config = _alembic_config()
    try:
        with database.write() as connection:
            if not database.is_sqlite:
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
            before = _revision(within(connection))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise StoreError(f"The state store could not be upgraded and is as it was: {error.orig}") from error
    return before
