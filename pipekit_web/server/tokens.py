"""Tokens as the web server sees them: the user behind an `Authorization: Bearer`, and who may make and revoke which.

Everyone makes tokens for themselves, of at most their own role; an admin sees and revokes all. A token that somebody made for
themselves never may more than they may now, and ends with them. A token makes no tokens, unless it is an admin's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import cast, get_args

from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.store import Store
from pipekit_engine.store.tokens import Token
from pipekit_web.server.auth import ANYONE, RANKS, Role, User, Users

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

    def user(self, text: str, users: Users) -> User | None:
        """Whose token it is; None for one that is not, or not any more, valid. Raises StoreError, ConfigurationError."""
        # Opened for one look, as for each request: whoever restores a backup puts another file in the store's place.
        with Store.open(self._url) as store:
            found = store.tokens.check(text)
        if found is None:
            return None
        role = cast("Role", found.role)
        if found.owner is not None:
            owner = users.all().get(found.owner)
            if owner is None:
                return None
            role = min(role, owner.role, key=RANKS.index)
        return User(found.name, role, "", is_token=True)


def may_manage(user: User) -> bool:
    """Whether a user may make and revoke tokens at all: one that got lost makes no others."""
    return not user.is_token or user.may("admin")


def tokens_of(store: Store, user: User) -> Sequence[Token]:
    """The tokens that a user may see: their own, and all for an admin."""
    return [token for token in store.tokens.list() if user.may("admin") or token.owner == user.name]


def make_token(store: Store, user: User, name: str, role: str, days: int | None) -> str:
    """A new token of a user's own; its text, which cannot be had again. Raises ConfigurationError."""
    check_new(name, role)
    if not user.may(cast("Role", role)):
        raise ConfigurationError(f"A token of yours may do at most what you may, as a user of the role {user.role}.")
    owner = None if user is ANYONE or user.is_token else user.name
    return store.tokens.create(name, role, timedelta(days=days) if days else None, owner)


def revoke_token(store: Store, user: User, name: str) -> None:
    """Take a token away that a user may see. Raises NotFoundError."""
    known = [token.name for token in tokens_of(store, user)]
    if name not in known:
        raise NotFoundError("token", name, known)
    store.tokens.revoke(name)
