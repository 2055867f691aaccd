"""Which secrets are set, and which connections refer to them. Values are never part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.security.secrets import Secrets, reference_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipekit_engine.models import Connection


@dataclass(frozen=True)
class SecretUse:
    """One secret's name, whether it is set, and who refers to it."""

    key: str
    is_set: bool
    connections: tuple[str, ...]


def secret_uses(secrets: Path | Secrets, connections: Iterable[Connection]) -> list[SecretUse]:
    """Every secret that is set or referred to, by name. Raises SecretError when the file cannot be read.

    Of a file's path, by what stands in it; of `Secrets`, by asking wherever they are looked for.
    """
    loaded = secrets if isinstance(secrets, Secrets) else Secrets.load(secrets)
    known = loaded.keys()
    users: dict[str, list[str]] = {key: [] for key in known}
    for connection in connections:
        for text in (connection.password or "", *connection.options.values()):
            key = reference_key(text)
            if key is not None:
                users.setdefault(key, []).append(connection.name)
    return [SecretUse(key, key in known or loaded.has(key), tuple(names)) for key, names in sorted(users.items())]
