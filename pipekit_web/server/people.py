"""Changing who may log in: the rules that hold for the page and for REST. There is always an admin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.errors import ConfigurationError
from pipekit_web.server.auth import ANYONE, RANKS, User, remove_user, set_password, set_role

if TYPE_CHECKING:
    from pipekit_engine.config import Config


def change_user(config: Config, by: User, name: str, password: str, role: str) -> None:
    """Add a user, or change their role and, unless it is empty, their password. Raises ConfigurationError."""
    if role not in RANKS:
        raise ConfigurationError(f"A role is one of {', '.join(RANKS)}.")

    def check(known: dict[str, User]) -> None:
        if not known and role != "admin":
            raise ConfigurationError("The first user is an admin: nobody else could add others.")
        _see_that_an_admin_stays(known, by, name, role)
        if not password and name not in known:
            raise ConfigurationError("A new user needs a password.")

    if password:
        set_password(config, name, password, role, check)
    else:
        set_role(config, name, role, check)


def take_user_away(config: Config, by: User, name: str) -> None:
    """Remove a user; their sessions end. Raises ConfigurationError."""
    remove_user(config, name, lambda known: _see_that_an_admin_stays(known, by, name, ""))


def _see_that_an_admin_stays(known: dict[str, User], by: User, name: str, role: str) -> None:
    """Raise ConfigurationError where a change would leave no admin, or take the rights of the one who makes it."""
    if role == "admin":
        return
    if name == by.name and by is not ANYONE and not by.is_token:
        raise ConfigurationError("You cannot take your own rights; another admin can.")
    if known and not any(user.role == "admin" for user in known.values() if user.name != name):
        raise ConfigurationError(f"{name} is the only admin: make another one first.")
