"""`secrets set | list | unset`: values go into the secrets file and never come out on a screen."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, family, note, settings
from pipekit_engine.errors import SecretError

app = family("secrets", "Passwords that definitions refer to as $KEY.")


@app.command("set")
def set_secret(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="The name that `password: $KEY` refers to.")],
    value: Annotated[
        str | None,
        typer.Argument(help="The value; better left out: it is asked for without echo, or read from a pipe."),
    ] = None,
) -> None:
    """Set a secret: asks without echo, or reads the value from a pipe."""
    from pipekit_engine.security.secrets import Secrets

    if key.startswith("$"):
        key = key[1:]
    secrets = Secrets.load(settings(context).config().secrets_file)
    if value is None:
        value = _ask(key)
    secrets.set(key, value)
    note(f"{key} is set in {secrets.path}.")


def _ask(key: str) -> str:
    if not sys.stdin.isatty():
        # Bytes that are not UTF-8 come as surrogates, and are refused when the value is set.
        value = sys.stdin.read()
        if not value.strip():
            # The program before the pipe has failed, more likely than not.
            raise SecretError(
                f"Nothing came through the pipe: {key} is as it was. An empty value is set by `pipekit secrets set {key} ''`."
            )
        return value[:-1].removesuffix("\r") if value.endswith("\n") else value
    from getpass import getpass

    while True:
        value = getpass(f"{key}: ")
        if getpass(f"{key} again: ") == value:
            return value
        note("They differ; once more.")


@app.command("list")
def list_secrets(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the names of the secrets and who refers to them. Values are never shown."""
    from pipekit_engine.cli.output import print_json, print_table
    from pipekit_engine.errors import StoreError
    from pipekit_engine.operations.secret_use import secret_uses
    from pipekit_engine.security.secrets import Secrets

    try:
        with settings(context).store() as store:
            connections = store.definitions.load_checked()[0].connections
    except StoreError:
        connections = {}
    uses = secret_uses(Secrets.of(settings(context).config()), connections.values())
    if as_json:
        print_json([{"key": use.key, "set": use.is_set, "connections": list(use.connections)} for use in uses])
        return
    print_table(
        ("SECRET", "STATE", "CONNECTIONS"),
        ((use.key, "set" if use.is_set else "NOT SET", ", ".join(use.connections)) for use in uses),
    )


@app.command("unset")
def unset_secret(context: typer.Context, key: Annotated[str, typer.Argument(help="The secret's name.")]) -> None:
    """Remove a secret."""
    from pipekit_engine.errors import NotFoundError
    from pipekit_engine.security.secrets import Secrets

    secrets = Secrets.load(settings(context).config().secrets_file)
    if not secrets.unset(key.removeprefix("$")):
        raise NotFoundError("secret", key, secrets.keys())
    note(f"{key} is no longer set in {secrets.path}.")
