"""Where secrets come from beside the secrets file: a folder of files, a command, the keyring of the desktop or server.

Each is asked when a run needs the secret, and again when it connects anew: a secret that was rotated needs no restart.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from pipekit_engine.errors import SecretError

#: Seconds that a command, which may ask a server, gets.
COMMAND_S = 30
#: Larger than any password or key; a folder may hold other things.
MAX_BYTES = 1 << 20


class Provider(Protocol):
    """One place that may have a secret."""

    @property
    def label(self) -> str:
        """Which it is, for messages."""

    def get(self, key: str) -> str | None:
        """The value, None where it has none of that name. Raises SecretError, which never holds a value."""

    def names(self) -> list[str] | None:
        """The names that it has; None where it cannot tell."""

    def problem(self) -> str | None:
        """Why nothing can be asked of it here, told without asking; None where something can."""


@dataclass(frozen=True)
class Folder:
    """A file a secret, as systemd, Docker and Kubernetes give them. One newline at the end is cut."""

    path: Path

    @property
    def label(self) -> str:
        return f"the folder {self.path}"

    def get(self, key: str) -> str | None:
        for name in (key, key.lower(), key.lower().replace("_", "-")):
            file = self.path / name
            try:
                if not file.is_file():
                    continue
                with file.open("rb") as stream:
                    data = stream.read(MAX_BYTES + 1)
            except OSError as error:
                raise SecretError(f"${key}: {file} cannot be read: {error.strerror}.") from None
            return _text(key, data, str(file))
        return None

    def names(self) -> list[str]:
        try:
            names = [entry.name for entry in self.path.iterdir() if entry.is_file()]
        except OSError:
            return []
        return sorted(name.upper().replace("-", "_") if name.islower() else name for name in names if name[0] != ".")

    def problem(self) -> str | None:
        if not self.path.is_dir():
            return "is not there"
        return None if os.access(self.path, os.R_OK | os.X_OK) else "cannot be read by this user"


@dataclass(frozen=True)
class Command:
    """A program that prints the secret; `{key}` in its arguments stands for the name. It runs without a shell."""

    argv: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"the command {self.argv[0]}"

    def get(self, key: str) -> str | None:
        argv = [part.replace("{key}", key) for part in self.argv]
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S, check=False)
        except subprocess.TimeoutExpired:
            raise SecretError(f"${key}: {self.label} gave no answer within {COMMAND_S} s.") from None
        except OSError as error:
            raise SecretError(f"${key}: {self.label} cannot be run: {error.strerror}.") from None
        if done.returncode != 0:
            # Its error text is not shown: what it may hold is not known.
            raise SecretError(
                f"${key}: {self.label} ended with status {done.returncode}. Run it by hand to see what it says."
            )
        return _text(key, done.stdout, self.label)

    def names(self) -> None:
        return None

    def problem(self) -> str | None:
        return None if shutil.which(self.argv[0]) else "is no program that this user can run"


@dataclass(frozen=True)
class Keyring:
    """The keyring of the desktop or server, by the package `keyring`, under a service's name."""

    service: str

    @property
    def label(self) -> str:
        return f"the keyring's service {self.service}"

    def get(self, key: str) -> str | None:
        try:
            keyring = import_module("keyring")
        except ImportError:
            raise SecretError(
                f"${key}: {self.label} needs the package keyring: pip install 'pipekit[keyring]'."
            ) from None
        try:
            value: str | None = keyring.get_password(self.service, key)
        except keyring.errors.KeyringError as error:
            raise SecretError(f"${key}: {self.label} did not answer: {type(error).__name__}.") from None
        return value

    def names(self) -> None:
        return None

    def problem(self) -> str | None:
        return None if find_spec("keyring") else "needs the package keyring: pip install 'pipekit[keyring]'"


def _text(key: str, data: bytes, where: str) -> str:
    if len(data) > MAX_BYTES:
        raise SecretError(f"${key}: {where} gave more than {MAX_BYTES} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise SecretError(f"${key}: {where} gave no UTF-8 text.") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise SecretError(f"${key}: {where} gave nothing.")
    return text


def providers(sources: Sequence[Any], base: Path, environment: Mapping[str, str] = os.environ) -> list[Provider]:
    """The configuration's `secrets_from`, in its order.

    A folder may begin with $CREDENTIALS_DIRECTORY, which systemd sets for its services; where it is not set there is no
    such folder.
    """
    made: list[Provider] = []
    for source in sources:
        if source.command is not None:
            made.append(Command(tuple(source.command)))
        elif source.keyring is not None:
            made.append(Keyring(source.keyring))
        else:
            text = str(source.folder)
            for name in ("${CREDENTIALS_DIRECTORY}", "$CREDENTIALS_DIRECTORY"):
                if text.startswith(name):
                    given = environment.get("CREDENTIALS_DIRECTORY")
                    text = given + text[len(name) :] if given else ""
            if text:
                made.append(Folder(base / text))
    return made
