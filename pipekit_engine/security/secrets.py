"""The secrets file: `KEY=value` lines that `$KEY` references in definitions and configuration point at.

A reference is resolved when a run needs it, from this file, then from where the configuration's `secrets_from` says
(`providers`): the process's environment is not consulted. Nothing here prints or logs a value; errors name keys and lines.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dotenv.parser import Binding, parse_stream

from pipekit_engine.common.files import locked, write_private
from pipekit_engine.errors import SecretError
from pipekit_engine.security.providers import Provider, providers
from pipekit_engine.security.redact import learn

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
#: Values that every reader of such files takes as they stand, without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")


def reference_key(text: str) -> str | None:
    """The key that `$KEY` or `${KEY}` names, or None when the text is no such reference."""
    match = _REFERENCE.fullmatch(text)
    return (match[1] or match[2]) if match else None


class SecretSettings(Protocol):
    """What the configuration says of secrets."""

    @property
    def secrets_file(self) -> Path:
        """The file."""

    @property
    def folder(self) -> Path:
        """Where relative paths start from."""

    @property
    def secrets_from(self) -> Sequence[Any]:
        """Where else they are looked for."""


class Secrets:
    """The secrets of one file, as they were when it was loaded.

    `set` and `unset` write the file at once: under a lock, to a temporary file that replaces the old one in a
    single step, with the old file's mode and owner (a new file is 0600). Other lines, comments among them, stay as
    they are.
    """

    def __init__(self, path: Path, values: dict[str, str], others: Sequence[Provider] = ()) -> None:
        self.path = path
        self._values = values
        self._others = others
        self._stamp = _stamp(path)

    def __repr__(self) -> str:
        return f"Secrets({str(self.path)!r}, {len(self._values)} keys)"

    @classmethod
    def load(cls, path: str | Path) -> Secrets:
        """Read a secrets file; one that does not exist holds no secrets.

        Raises SecretError when it cannot be read or a line cannot be understood (named by its number, never quoted).
        """
        path = Path(path)
        return cls(path, _values(_parse(_read(path), path)))

    @classmethod
    def of(cls, config: SecretSettings) -> Secrets:
        """The secrets of a configuration: its file, and whatever it names beside. Raises as `load`."""
        loaded = cls.load(config.secrets_file)
        return cls(loaded.path, loaded._values, providers(config.secrets_from, config.folder))

    def with_values(self, values: Mapping[str, str]) -> Secrets:
        """These, with other values laid over them that no file holds yet."""
        return Secrets(self.path, {**self._values, **values}, self._others)

    def has(self, key: str) -> bool:
        """Whether a key can be resolved; asks wherever secrets are looked for."""
        try:
            return bool(self.resolve(f"${key}"))
        except SecretError:
            return False

    def keys(self) -> list[str]:
        """The names that are known to be set, sorted."""
        return sorted({*self._values, *(key for other in self._others for key in other.names() or ())})

    @property
    def others(self) -> Sequence[Provider]:
        """Where they are looked for beside the file, in order."""
        return self._others

    def state(self, key: str) -> bool | None:
        """Whether a key is set, without asking a program or a keyring: None where one of them may have it."""
        if key in self.keys():
            return True
        return None if any(other.names() is None for other in self._others) else False

    def values(self) -> list[str]:
        """The values, for redaction only."""
        return [value for value in self._values.values() if value]

    def resolve(self, reference: str) -> str:
        """The value that a `$KEY` reference stands for.

        Raises SecretError when the text is not a reference, or when nothing sets the key: never falls back to the text.
        """
        key = reference_key(reference)
        if key is None:
            # The text is not repeated: somebody may have written the password itself.
            raise SecretError(
                "A secret must be given as a $VAR reference. Set its value with `pipekit secrets set VAR`."
            )
        if self._stamp != _stamp(self.path):
            # It was changed since: a connection that is opened anew needs what is true now.
            self._values, self._stamp = _values(_parse(_read(self.path), self.path)), _stamp(self.path)
            learn(self.values())
        if key not in self._values:
            for other in self._others:
                value = other.get(key)
                if value is not None:
                    learn([value])
                    return value
            if self._others:
                asked = ", ".join(other.label for other in self._others)
                raise SecretError(f"${key} is not set: neither {self.path} nor {asked} has it.")
            state = "does not set it" if self.path.exists() else "does not exist"
            raise SecretError(f"${key} is not set: {self.path} {state}. Set it with `pipekit secrets set {key}`.")
        return self._values[key]

    def set(self, key: str, value: str) -> None:
        """Write one secret. Any text survives: quotes, `$`, `#`, newlines, all of Unicode. Raises SecretError."""
        if not _KEY.fullmatch(key):
            raise SecretError(f"{key!r} cannot name a secret: use letters, digits and '_', not starting with a digit.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise SecretError(f"The value of {key} is not valid text: it cannot be written as UTF-8.") from None
        line = f"{key}={_quoted(value)}\n"

        def replace(bindings: list[Binding]) -> str:
            parts: list[str] = []
            placed = False
            for binding in bindings:
                if binding.key != key:
                    parts.append(_ended(binding.original.string))
                elif not placed:
                    parts.append(_leading_blank(binding.original.string) + line)
                    placed = True
            return "".join(parts) + ("" if placed else line)

        expected = self._rewrite(replace)
        # Older releases of the parser misread some escapes; a value that would come back changed is an error, not a
        # surprise.
        if expected.get(key) != value:
            raise SecretError(f"The value of {key} does not survive this python-dotenv; upgrade python-dotenv.")

    def unset(self, key: str) -> bool:
        """Remove one secret; False when it was not set. Raises SecretError when the file cannot be written."""
        if key not in _values(_parse(_read(self.path), self.path)):
            self._values.pop(key, None)
            return False
        self._rewrite(lambda bindings: "".join(_ended(b.original.string) for b in bindings if b.key != key))
        return True

    def _rewrite(self, change: Callable[[list[Binding]], str]) -> dict[str, str]:
        # A symbolic link stays one: its target is what gets replaced.
        target = Path(os.path.realpath(self.path))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with locked(target):
                text = change(_parse(_read(target), self.path))
                write_private(target, text)
        except OSError as error:
            raise SecretError(f"{self.path}: cannot be written: {error.strerror}.") from None
        self._values, self._stamp = _values(_parse(text, self.path)), _stamp(self.path)
        return self._values


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _ended(text: str) -> str:
    """A line of the old file, with the newline that the last one may lack."""
    return text if not text or text.endswith(("\n", "\r")) else text + "\n"


def _leading_blank(text: str) -> str:
    """The empty lines that the parser counts to the binding that follows them."""
    return text[: len(text) - len(text.lstrip())]


def _read(path: Path) -> str:
    try:
        # Bytes, not text mode: a carriage return inside a value is part of it.
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SecretError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SecretError(f"{path}: is not UTF-8 text.") from None


def _parse(text: str, path: Path) -> list[Binding]:
    bindings = list(parse_stream(io.StringIO(text, newline="")))
    for binding in bindings:
        if binding.error:
            # Its text is not shown: it may be half of a secret.
            line = binding.original.line + _leading_blank(binding.original.string).count("\n")
            raise SecretError(f"{path}:{line}: is not a KEY=value line (a quote that is not closed?).")
    return bindings


def _values(bindings: list[Binding]) -> dict[str, str]:
    return {b.key: b.value for b in bindings if b.key is not None and b.value is not None}
