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
    #: None where it was not asked: a program or a keyring may have it.
    is_set: bool | None
    connections: tuple[str, ...]


def secret_uses(secrets: Path | Secrets, connections: Iterable[Connection], *, ask: bool = True) -> list[SecretUse]:
    """Every secret that is set or referred to, by name. Raises SecretError when the file cannot be read.

    Of a file's path, by what stands in it; of `Secrets`, by asking wherever they are looked for, but neither programs nor the
    keyring unless `ask`.
    """
    loaded = secrets if isinstance(secrets, Secrets) else Secrets.load(secrets)
    known = loaded.keys()
    is_set = loaded.has if ask else loaded.state
    users: dict[str, list[str]] = {key: [] for key in known}
    for connection in connections:
        for text in (connection.password or "", *connection.options.values()):
            key = reference_key(text)
            if key is not None:
                users.setdefault(key, []).append(connection.name)
    return [SecretUse(key, key in known or is_set(key), tuple(names)) for key, names in sorted(users.items())]
