"""Carries changes of the store into the YAML files that definitions live in (config `definitions:`).

A changed record is edited where it stands (`yaml_edit`), a new one goes where `pipekit export` would put it, a deleted one is
taken out. What cannot be written safely is offered as a diff with the reason. A file is replaced in one step and keeps its mode;
a link is followed, but never out of the folder.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from pipekit_engine.common.files import write_text
from pipekit_engine.definitions.load import definition_files, read_text
from pipekit_engine.definitions.yaml_edit import CannotEdit, edited, new_text
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import DefinitionKind, NamedRecord

#: Keys without anything below them.
_NOTHING_LEFT = re.compile(rb"\s*(?:(?:[a-z]+:|---)[ \t]*\r?\n?)*\s*")


@dataclass(frozen=True)
class FileEdit:
    """What became of one record's change in the files. `why` says why it was not written; then `diff` is to be copied."""

    kind: DefinitionKind
    name: str
    file: str
    diff: str
    why: str = ""

    @property
    def written(self) -> bool:
        """Whether the file holds the change now."""
        return not self.why


@dataclass(frozen=True)
class RecordChange:
    """One record before and after. None stands for no record."""

    kind: DefinitionKind
    name: str
    before: NamedRecord | None
    after: NamedRecord | None


@contextmanager
def files_held(folder: Path) -> Iterator[None]:
    """Keep other pipekit processes of this machine from writing definitions into the folder meanwhile."""
    place = folder if folder.is_dir() else folder.parent
    try:
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        # Nothing can be read there either: `write_back` says so.
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_back(folder: Path, changes: Sequence[RecordChange]) -> list[FileEdit]:
    """Carry changes into the files of a folder, or into one file, within `files_held`; what became of each.

    Nothing is raised for what cannot be written.
    """
    return [_write(folder, change) for change in changes]


def _write(folder: Path, change: RecordChange) -> FileEdit:
    file, old, new = _new_place(folder, change), b"", b""
    try:
        found = _find(folder, change.kind, change.name)
        if found is not None:
            file, before = found, change.before
        elif change.after is None:
            return FileEdit(change.kind, change.name, "", "")
        else:
            before = None
        _see_that_it_is_inside(folder, file)
        old = file.read_bytes() if file.exists() else b""
        if old:
            new = edited(old, change.kind, change.name, before=before, after=change.after)
            if change.after is None and _NOTHING_LEFT.fullmatch(new):
                new = b""
        else:
            assert change.after is not None
            new = new_text(change.kind, change.after)
        _replace(file, old, new)
    except (CannotEdit, OSError) as error:
        why = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
        diff = _diff(folder, file, old, new) if new or (old and not isinstance(error, CannotEdit)) else ""
        diff = diff or _record_diff(folder, file, change)
        return FileEdit(change.kind, change.name, _shown(folder, file), diff, why or "it cannot be written")
    return FileEdit(change.kind, change.name, _shown(folder, file), _diff(folder, file, old, new))


def _find(folder: Path, kind: DefinitionKind, name: str) -> Path | None:
    """The file that defines a record; None when none does. Raises CannotEdit, OSError."""
    if not folder.exists():
        return None
    try:
        files = definition_files(folder)
    except ConfigurationError:
        return None  # a folder without files
    for file in files:
        written = file.read_bytes()
        # Parsing ten thousand files takes seconds. A name that is not there as it is can only be written with escapes.
        if name.encode() not in written and b"\\" not in written:
            continue
        loaded = read_text(str(file), written)
        if (kind, name) in loaded.parsed_records:
            return file
        if loaded.unreadable:
            raise CannotEdit(f"it may stand in a file that cannot be read: {loaded.problems[0]}")
    return None


def _new_place(folder: Path, change: RecordChange) -> Path:
    """Where a record that stands in no file goes: one file a module, one for all of each other kind."""
    if folder.suffix in (".yaml", ".yml") and not folder.is_dir():
        return folder
    return folder / ("modules" if change.kind == "modules" else "") / _file_name(change)


def _file_name(change: RecordChange) -> str:
    return f"{change.name if change.kind == 'modules' else change.kind}.yaml"


def _see_that_it_is_inside(folder: Path, file: Path) -> None:
    base = folder.resolve()
    if not file.resolve().is_relative_to(base if not base.is_file() else base.parent):
        raise CannotEdit("it is a link that leads out of the folder of definitions")


def _replace(file: Path, old: bytes, new: bytes) -> None:
    target = file.resolve()
    if target.exists():
        # Whoever edits by hand between our look and this line is not undone.
        if target.read_bytes() != old:
            raise CannotEdit("somebody is editing the file at this moment")
        if not os.access(target, os.W_OK):
            raise CannotEdit("the file may not be written")
    if not new.strip():
        target.unlink()
    else:
        write_text(target, new.decode(), keep_mode=True, flush=True)


def _shown(folder: Path, file: Path) -> str:
    return str(file.relative_to(folder)) if file.is_relative_to(folder) and file != folder else file.name


def _diff(folder: Path, file: Path, old: bytes, new: bytes) -> str:
    """The change as `git apply` and `patch -p1` take it."""
    name = _shown(folder, file)
    lines = unified_diff(
        old.decode("utf-8", "replace").splitlines(keepends=True),
        new.decode("utf-8", "replace").splitlines(keepends=True),
        f"a/{name}" if old else "/dev/null",
        f"b/{name}" if new else "/dev/null",
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _record_diff(folder: Path, file: Path, change: RecordChange) -> str:
    """What changed in the record, where the file itself cannot be changed."""
    before, after = (
        b"" if record is None else new_text(change.kind, record) for record in (change.before, change.after)
    )
    return _diff(folder, file, before, after)
