"""Files that appear whole or not at all."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TextIO

from pipekit_engine.errors import ConfigurationError


@contextmanager
def new_file(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Give the path of an empty file of mode 0600 to write; it becomes `target` at the end of the block.

    When the block raises, `target` is as it was. With `force` an existing file is replaced. Raises ConfigurationError when
    there is one without `force`, and when the folder cannot be written.
    """
    if not force and target.exists():
        raise _exists(target)
    try:
        handle, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written: {error.strerror}.") from None
    os.close(handle)
    fresh = Path(name)
    try:
        yield fresh
        try:
            _flush(fresh)
            if force:
                fresh.replace(target)
            else:
                # Unlike a rename, a link never takes the place of a file that has appeared meanwhile.
                os.link(fresh, target)
            _flush(target.absolute().parent)
        except FileExistsError:
            raise _exists(target) from None
        except OSError as error:
            raise ConfigurationError(f"{target} cannot be written: {error.strerror}.") from None
    finally:
        for suffix in ("", "-wal", "-shm", "-journal"):  # an SQLite file has them beside it while it is written
            Path(name + suffix).unlink(missing_ok=True)


def write_text(path: Path, text: str, *, keep_mode: bool = False, flush: bool = False) -> None:
    """Replace an ordinary file in one step, and make its folder; for a new one, and without `keep_mode`, the usual mode.

    `flush` brings it to the disk before it takes the old one's place. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path) as stream:
        if keep_mode and path.exists():
            mode = path.stat().st_mode & 0o7777
        else:
            # mkstemp's 0600 is for secrets.
            umask = os.umask(0)
            os.umask(umask)
            mode = 0o666 & ~umask
        os.fchmod(stream.fileno(), mode)
        stream.write(text)
        if flush:
            stream.flush()
            os.fsync(stream.fileno())


def write_private(path: Path, text: str, *, mode: int = 0o600, group: int = -1, keep_owner: bool = True) -> None:
    """Replace a file that not everybody may read in one step, brought to the disk; a crash leaves the old file or the new one.

    The mode of an existing file stays, and with `keep_owner` its owner and group; a new one gets `mode` and `group`.
    Raises OSError.
    """
    before = path.stat() if path.exists() else None
    with _replacing(path) as stream:
        handle = stream.fileno()
        if before is None:
            if group >= 0:
                os.fchown(handle, -1, group)
        elif keep_owner and (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(handle, before.st_uid, before.st_gid)
        os.fchmod(handle, mode if before is None else before.st_mode & 0o7777)
        stream.write(text)
        stream.flush()
        os.fsync(handle)
    _flush(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that is read, changed and replaced, against every other process and thread. Raises OSError.

    The lock is a file of its own beside it: the file is replaced, so a lock on it would be a lock on the old one.
    """
    handle = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            # So that whoever the folder belongs to can take it after root has.
            owner = path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def take_or_refuse(file: IO[str], refusal: str) -> None:
    """Lock an open file until it is closed. Raises ConfigurationError with the text `refusal` when another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(refusal) from None


def create_private(path: Path, like: Path | None = None) -> None:
    """Create an empty file for a database to fill, if there is none: what it will hold is nobody else's from the start.

    Its mode is 0600, or 0660 for one that stands beside `like`, whose group may write. A folder that is missing or not writable
    is left to whoever opens the file to tell.
    """
    mode = 0o600
    with suppress(OSError):
        if like is not None and like.stat().st_mode & 0o060 == 0o060:
            mode = 0o660
    with suppress(OSError):
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(handle, mode)
        finally:
            os.close(handle)


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """A stream into a new file of mode 0600, which takes the path's place at the end of the block; none when it raises."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            yield stream
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _exists(target: Path) -> ConfigurationError:
    return ConfigurationError(f"{target} exists. Name another file, or give --force to replace it.")
