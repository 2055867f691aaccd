"""`connections list | test`; `certify` stands in `certifying.py`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import JsonFlag, family, settings
from pipekit_engine.cli.certifying import certify
from pipekit_engine.errors import PipekitError

if TYPE_CHECKING:
    from pipekit_engine.models import Driver
    from pipekit_engine.records.certificates import Certificate

connections = family("connections", "The databases that modules read from and write to.")


@connections.command("list")
def list_connections(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the connections, without secrets."""
    from pipekit_engine.cli.output import print_json, print_table
    from pipekit_engine.databases.urls import redact_url

    with settings(context).store() as store:
        definitions = store.definitions.load_checked()[0]
        certificates = store.certificates.all()
    found = definitions.connections
    if as_json:
        rows = [
            {
                **item.model_dump(mode="json"),
                "jdbc_url": redact_url(item.jdbc_url),
                "certificate": certificates[item.name].model_dump(mode="json") if item.name in certificates else None,
            }
            for item in found.values()
        ]
        print_json(rows)
        return
    print_table(
        ("CONNECTION", "DRIVER", "URL", "USER", "PASSWORD", "CERTIFIED"),
        (
            (
                c.name,
                c.driver,
                redact_url(c.jdbc_url),
                c.username,
                c.password,
                _certified(certificates.get(c.name), definitions.drivers.get(c.driver)),
            )
            for c in found.values()
        ),
    )


def _certified(certificate: Certificate | None, driver: Driver | None) -> str:
    """When it was, and what is broken; `never`, or that pipekit's own tests do it."""
    from pipekit_engine.databases.dialects import get_dialect
    from pipekit_engine.records.certificates import standing

    here = driver is not None and get_dialect(driver.kind).certified_here
    if known := standing(certificate, certified_here=here):
        return known.removesuffix(" certified")
    return f"{certificate.certified_at:%Y-%m-%d}" if certificate else "by pipekit's tests"


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


connections.command("certify")(certify)
