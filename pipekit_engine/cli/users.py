"""`set-password`: who may use what `pipekit serve` shows."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipekit_engine.cli.base import note, settings, web_part
from pipekit_engine.errors import ConfigurationError


def set_password(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="The user's name.")],
    role: Annotated[
        str | None,
        typer.Option(help="viewer, operator, editor or admin; a new user is admin, an old one keeps the role."),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the user away instead.")] = False,
) -> None:
    """Give a user of `pipekit serve` a password: asks without echo, or reads it from a pipe."""
    auth = web_part("server.auth", "`pipekit set-password`")
    config = settings(context).config()
    if remove:
        auth.remove_user(config, user)
        note(f"User {user} is gone.")
        return
    path = auth.set_password(config, user, _ask(user), role)
    note(f"The password of {user} is set in {path}.")


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    from getpass import getpass

    password = getpass(f"Password of {user}: ")
    if getpass("Again: ") != password:
        raise ConfigurationError("They differ; nothing was changed.")
    return password
