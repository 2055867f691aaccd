"""Makes files match the store: the inverse of `apply`. Each record is edited where it stands (`write_back`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.definitions.apply_plan import ApplyPlan, make_plan
from pipekit_engine.definitions.export import without_builtin_drivers
from pipekit_engine.definitions.load import definition_files, read_definitions
from pipekit_engine.definitions.write_back import FileEdit, RecordChange, files_held, write_back
from pipekit_engine.errors import ConfigurationError, DefinitionsError
from pipekit_engine.models import DEFINITION_KINDS, Definitions

if TYPE_CHECKING:
    from pipekit_engine.store import Store


@dataclass(frozen=True)
class Pull:
    """What a pull would write, and what the files say now."""

    plan: ApplyPlan
    stored: Definitions
    written: Definitions


def plan_pull(store: Store, path: Path) -> Pull:
    """Compare the store with the files under `path`; a folder that is not there is an empty one.

    Raises DefinitionsError where a file has a problem: a record that cannot be read cannot be replaced. Raises
    ConfigurationError for a row of the store that is no valid record.
    """
    written = Definitions()
    if path.exists() and (path.is_file() or _holds_files(path)):
        loaded = read_definitions(path)
        if loaded.errors:
            raise DefinitionsError([str(problem) for problem in loaded.errors])
        written = loaded.definitions
    stored = store.definitions.load()
    # A built-in driver stands in a file only where somebody wrote it there.
    own = without_builtin_drivers(stored, builtin_drivers())
    drivers = {name: item for name, item in stored.drivers.items() if name in own.drivers or name in written.drivers}
    stored = stored.model_copy(update={"drivers": drivers})
    return Pull(make_plan(stored, written, prune=True), stored, written)


def _holds_files(folder: Path) -> bool:
    try:
        return bool(definition_files(folder))
    except ConfigurationError:
        return False


def carry_out(store: Store, path: Path, pull: Pull) -> list[FileEdit]:
    """Write what was planned; what became of each record. Records of files that were edited meanwhile are not touched."""
    changes = [
        RecordChange(
            item.kind,
            item.name,
            pull.written.of_kind(item.kind).get(item.name),
            pull.stored.of_kind(item.kind).get(item.name),
        )
        for item in pull.plan.changes
    ]
    with files_held(path):
        edits = write_back(path, changes)
    failed = {(edit.kind, edit.name) for edit in edits if not edit.written}
    same = ((kind, name) for kind in DEFINITION_KINDS for name in pull.stored.of_kind(kind))
    store.audit.mark_in_files(key for key in same if key not in failed)
    return edits
