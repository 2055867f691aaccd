"""`token create | list | revoke`: logins of programs for `pipekit serve` and `pipekit web`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, family, note, settings, web_part

app = family("token", "Logins of programs: REST with a token instead of a password.")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for; runs and changes made with it say token:NAME.")],
    role: Annotated[str, typer.Option(help="viewer, operator, editor or admin.")] = "viewer",
    expires: Annotated[
        str | None, typer.Option(help="Age at which it ends, such as 90d, 12w or 48h; none when not given.")
    ] = None,
) -> None:
    """Make a token and print it. It is shown this once: what is kept is a hash."""
    from pipekit_engine.cli.output import print_text
    from pipekit_engine.config import parse_age

    web_part("server.tokens", "`pipekit token`").check_new(name, role)
    with settings(context).store() as store:
        text = store.tokens.create(name, role, parse_age(expires) if expires else None)
    print_text(text)
    note(f"The token {name} may do what {role}s may. Send it as `Authorization: Bearer TOKEN`.")


@app.command("list")
def list_tokens(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the tokens: name, role, when made, until when, last used. Never a token itself."""
    from pipekit_engine.cli.output import moment, print_json, print_table

    with settings(context).store() as store:
        found = store.tokens.list()
    if as_json:
        print_json([{**vars(item), "expired": item.expired} for item in found])
        return
    rows = (
        (
            item.name,
            item.role,
            moment(item.created_at),
            "expired" if item.expired else moment(item.expires_at) or "revoked",
            moment(item.last_used_at) or "never",
        )
        for item in found
    )
    print_table(("TOKEN", "ROLE", "MADE", "VALID UNTIL", "LAST USED"), rows)


@app.command("revoke")
def revoke(context: typer.Context, name: Annotated[str, typer.Argument(help="The token's name.")]) -> None:
    """Take a token away: it is refused at once, and streams that it opened end within a second."""
    with settings(context).store() as store:
        store.tokens.revoke(name)
    note(f"The token {name} is gone.")
