"""Tokens as the web server sees them: the user behind an `Authorization: Bearer`."""

from __future__ import annotations

import re
from typing import cast, get_args

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.store import Store
from pipekit_web.server.auth import Role, User

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def check_new(name: str, role: str) -> None:
    """Raise ConfigurationError for a name or role that cannot be."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError("A token's name is letters, digits, '_', '-' and '.', up to a hundred.")
    if role not in get_args(Role):
        raise ConfigurationError(f"{role!r} is not a role; roles are {', '.join(sorted(get_args(Role)))}.")


class Tokens:
    """The tokens of a state store."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    def user(self, text: str) -> User | None:
        """Whose token it is; None for one that is not, or not any more, valid. Raises StoreError."""
        # Opened for one look, as for each request: whoever restores a backup puts another file in the store's place.
        with Store.open(self._url) as store:
            found = store.tokens.check(text)
        return None if found is None else User(found.name, cast("Role", found.role), "", is_token=True)
