"""Saves what a person changed on a page or by REST, in the store and in the files of definitions; and the built-in drivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.definitions.write_back import FileEdit, RecordChange, files_held, write_back
from pipekit_engine.store import Change
from pipekit_engine.store.audit import version_of

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.models import DefinitionKind, Driver
    from pipekit_engine.store import Store


def save_changes(
    store: Store,
    config: Config,
    changes: Sequence[Change],
    *,
    by: str,
    expected: Mapping[tuple[DefinitionKind, str], str] | None = None,
) -> list[FileEdit]:
    """Save as `DefinitionStore.save`, and carry the changes into the files where the configuration names them.

    Returns what became of each in the files; empty where definitions live in the store alone. Raises as
    `DefinitionStore.save`, and then neither store nor files have changed.
    """
    folder = config.definitions_path
    if folder is None:
        store.definitions.save(changes, by=by, expected=expected)
        return []
    with files_held(folder):
        before = {(item.kind, item.name): store.definitions.find(item.kind, item.name) for item in changes}
        present = {key: version_of(record) for key, record in before.items()}
        store.definitions.save(changes, by=by, expected={**present, **(expected or {})})
        wanted = [RecordChange(item.kind, item.name, before[item.kind, item.name], item.record) for item in changes]
        edits = write_back(folder, wanted)
        store.audit.mark_in_files([(edit.kind, edit.name) for edit in edits if edit.written])
    return edits


def register_builtin_drivers(store: Store) -> list[Driver]:
    """Register the built-in drivers that the store lacks; those that somebody changed stay."""
    stored, broken = store.definitions.load_checked()
    known = {*stored.drivers, *(item.name for item in broken if item.kind == "drivers")}
    added = [driver for driver in builtin_drivers() if driver.name not in known]
    if added:
        store.definitions.save([Change("create", "drivers", driver.name, driver) for driver in added])
    return added
