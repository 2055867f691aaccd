"""`connections list | test` and `drivers list | register`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import JsonFlag, family, settings
from pipekit_engine.errors import ConfigurationError, PipekitError

if TYPE_CHECKING:
    from pipekit_engine.models import Driver

connections = family("connections", "The databases that modules read from and write to.")
drivers = family("drivers", "JDBC drivers: which jar and class serve a kind of database.")


@connections.command("list")
def list_connections(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the connections, without secrets."""
    from pipekit_engine.cli.output import print_json, print_table
    from pipekit_engine.redact import redact_url

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


@drivers.command("list")
def list_drivers(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the registered drivers and the jar that each would use."""
    from pipekit_engine.cli.output import print_json, print_table

    config = settings(context).config()
    with settings(context).store() as store:
        found = store.definitions.load_checked()[0].drivers
    jars = {name: _jars(driver, config.jar_folders) for name, driver in found.items()}
    if as_json:
        rows = [
            {**driver.model_dump(mode="json", by_alias=True), "found": jars[name]} for name, driver in found.items()
        ]
        print_json(rows)
        return
    print_table(
        ("DRIVER", "KIND", "CLASS", "JAR", "URL"),
        (
            (d.name, d.kind, d.class_name or "(from the jar)", ", ".join(jars[d.name]) or "NOT FOUND", d.url_template)
            for d in found.values()
        ),
    )


def _jars(driver: Driver, folders: list[Path]) -> list[str]:
    from pipekit_engine.drivers import find_jars

    try:
        return [str(jar) for jar in find_jars(driver, folders)]
    except PipekitError:
        return []


@drivers.command("register")
def register_driver(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name for `driver:` in connections.")],
    kind: Annotated[
        str | None, typer.Option(help="Database kind, such as postgresql; `generic` for any other.")
    ] = None,
    jar: Annotated[str | None, typer.Option(help="Path of the jar, or a file name in one of the jar folders.")] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Driver class; found in the jar when empty.")
    ] = None,
    url_template: Annotated[str | None, typer.Option(help="What a JDBC URL of this driver looks like.")] = None,
) -> None:
    """Register a driver, or change one: what is not given stays as it is."""
    from pydantic import ValidationError

    from pipekit_engine.cli.output import results
    from pipekit_engine.drivers import find_jars, get_dialect
    from pipekit_engine.models import Driver
    from pipekit_engine.store import Change

    config = settings(context).config()
    if jar is not None and "/" in jar:
        jar = str(Path(jar).absolute())
    with settings(context).store() as store:
        old = store.definitions.load_checked()[0].drivers.get(name)
        kind = kind or (old.kind if old else name)
        get_dialect(kind)  # an unknown kind is refused, with the nearest one
        given = {"kind": kind, "jar": jar, "class_name": class_name, "url_template": url_template}
        fields = {"name": name, **(old.model_dump() if old else {})} | {k: v for k, v in given.items() if v is not None}
        try:
            driver = Driver(**fields)
        except ValidationError as error:
            what = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors())
            raise ConfigurationError(what.replace("Value error, ", "")) from None
        jars = find_jars(driver, config.jar_folders)
        store.definitions.save([Change("change" if old else "create", "drivers", name, driver)])
    results().print(f"Registered driver {name} ({kind}) with {', '.join(map(str, jars))}.", soft_wrap=True)
