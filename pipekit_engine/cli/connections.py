"""`connections list | test`."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from pipekit_engine.cli.base import JsonFlag, family, settings
from pipekit_engine.errors import PipekitError

connections = family("connections", "The databases that modules read from and write to.")


@connections.command("list")
def list_connections(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the connections, without secrets."""
    from pipekit_engine.cli.output import print_json, print_table
    from pipekit_engine.databases.urls import redact_url

    with settings(context).store() as store:
        found = store.definitions.load_checked()[0].connections
    if as_json:
        rows = [{**item.model_dump(mode="json"), "jdbc_url": redact_url(item.jdbc_url)} for item in found.values()]
        print_json(rows)
        return
    print_table(
        ("CONNECTION", "DRIVER", "URL", "USER", "PASSWORD"),
        ((c.name, c.driver, redact_url(c.jdbc_url), c.username, c.password) for c in found.values()),
    )


@connections.command("test")
def try_connections(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="Connections to test; all of them when none is named.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Log in to databases for real, and say what answered."""
    from rich.markup import escape

    from pipekit_engine import Engine
    from pipekit_engine.cli.output import errors, print_json, results, seconds

    found: list[dict[str, Any]] = []
    with Engine(settings(context).config()) as engine:
        known = engine.store.definitions.load_checked()[0].connections
        wanted = names or list(known)
        for name in wanted:
            engine.store.definitions.connection(name)  # a wrong name is told before anything is tried
        for name in wanted:
            started = time.monotonic()
            try:
                answer = engine.test_connection(name)
            except PipekitError as error:
                found.append({"connection": name, "ok": False, "error": str(error)})
                if not as_json:
                    errors().print(
                        f"[red]failed[/red]  [bold]{escape(name)}[/bold]: {escape(str(error))}", soft_wrap=True
                    )
                continue
            took = time.monotonic() - started
            product = f"{answer.product} {answer.product_version}"
            driver = f"{answer.driver} {answer.driver_version}"
            found.append({"connection": name, "ok": True, "product": product, "driver": driver, "took_s": took})
            if not as_json:
                line = f"[green]ok[/green]      [bold]{escape(name)}[/bold]: {escape(product)}, {escape(driver)}, "
                results().print(line + seconds(took), soft_wrap=True)
    if as_json:
        print_json(found)
    if not all(item["ok"] for item in found):
        raise typer.Exit(1)
