"""`init`, `doctor`, `serve`, `demo`: setting up and looking after an installation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, dagster_part, settings, web_part

if TYPE_CHECKING:
    pass

_NEW_CONFIG = """\
# pipekit's configuration. Relative paths start from this file's folder.
database: pipekit.db      # all state: a path, or an SQLAlchemy URL such as postgresql+psycopg://user@host/pipekit
definitions: definitions  # YAML files: read by `pipekit apply`, and written when something is saved in the browser
secrets: secrets.env      # KEY=value lines, written by `pipekit secrets set`; keep it out of version control
"""


def init(context: typer.Context) -> None:
    """Create or upgrade the state store; safe to run again.

    Writes ./pipekit.yaml when there is no configuration yet, and registers the built-in drivers.
    """
    from pipekit_engine.cli.output import results
    from pipekit_engine.config import LOCAL_CONFIG, find_config
    from pipekit_engine.databases.class_archive import make_class_archive
    from pipekit_engine.definitions.saving import register_builtin_drivers
    from pipekit_engine.store import Store

    console = results()
    if find_config(settings(context).config_path) is None:
        Path(LOCAL_CONFIG).write_text(_NEW_CONFIG, encoding="utf-8")
        console.print(f"Wrote {LOCAL_CONFIG}.")
    config = settings(context).config()
    report = Store.init(config.database_url)
    with Store.open(config.database_url) as store:
        if report.before is None:
            console.print(f"Created the state store in {store.where}.", soft_wrap=True)
        elif report.changed:
            console.print(f"Upgraded the state store from revision {report.before} to {report.after}.")
        else:
            console.print(f"The state store in {store.where} is up to date.", soft_wrap=True)
        if report.backup is not None:
            console.print(f"The old one is kept as {report.backup}.", soft_wrap=True)
        added = register_builtin_drivers(store)
    make_class_archive(folders=config.jar_folders)
    if added:
        console.print(f"Registered drivers: {', '.join(driver.name for driver in added)}.", soft_wrap=True)


def _begin_in_an_empty_folder(context: typer.Context) -> None:
    """Make a project where there is none and nothing else either: a folder without any file is no wrong one."""
    from pipekit_engine.cli.output import results
    from pipekit_engine.config import find_config

    if find_config(settings(context).config_path) is None and not any(Path.cwd().iterdir()):
        results().print("This folder is empty: a new project begins here.")
        init(context)


def doctor(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Check configuration, Java, jrunner, drivers, connections, store, secrets and locks; says the fix for each."""
    from rich.markup import escape

    from pipekit_engine.cli.output import print_json, results
    from pipekit_engine.operations.doctor import run_checks

    checks = run_checks(settings(context).config())
    if as_json:
        print_json([{"name": c.name, "ok": c.ok, "detail": c.detail, "fix": c.fix} for c in checks])
    else:
        signs = {True: "[green]ok[/green]     ", False: "[red]problem[/red]", None: "[yellow]note[/yellow]   "}
        for check in checks:
            line = f"{signs[check.ok]}  [bold]{escape(check.name)}[/bold]: {escape(check.detail)}"
            results().print(line, soft_wrap=True)
            if check.fix and check.ok is not True:
                results().print(f"         [dim]fix:[/dim] {escape(check.fix)}", soft_wrap=True)
    if any(check.ok is False for check in checks):
        raise typer.Exit(2)


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; the configuration's when not given.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; the configuration's when not given.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when the code changes, for development.")] = False,
    worker: Annotated[
        bool, typer.Option("--worker", help="Take runs that the server of another host sends, instead of serving.")
    ] = False,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Runs of a worker side by side; the configuration's when not given.")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option(help="Queue of a worker; the configuration's when not given. May be repeated.")
    ] = None,
    no_agent: Annotated[
        bool, typer.Option("--no-agent", help="Keep no warm agent for the commands of this machine.")
    ] = False,
) -> None:
    """Run the user interface, the schedules and the sensors; the one process to start. A worker only takes runs.

    In an empty folder it begins a new project, as `pipekit init` does.
    """
    import os

    if not worker and (at_once or queue):
        raise typer.BadParameter(
            "is for a worker: pipekit serve --worker", param_hint="--at-once" if at_once else "--queue"
        )
    if worker and (host or port or reload):
        raise typer.BadParameter("takes no --host, --port or --reload: a worker serves no pages", param_hint="--worker")
    part = dagster_part("serve", "`pipekit serve`")
    if not worker:
        _begin_in_an_empty_folder(context)
    config = settings(context).config()
    if config.path is not None:
        # The server starts processes of its own; they find the same configuration.
        os.environ["PIPEKIT_CONFIG"] = str(config.path)
    if worker:
        raise typer.Exit(part.worker(at_once, queue))
    raise typer.Exit(part.main(host, port, reload, agent=not no_agent) or 0)


def web(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; the configuration's when not given.")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on; the configuration's when not given.")
    ] = None,
) -> None:
    """Show pipekit's own pages in the browser, without Dagster; `pipekit serve` shows them too.

    In an empty folder it begins a new project, as `pipekit init` does. Nothing fires schedules here: use cron, or `pipekit
    serve`. Exit status: 0 after a clean stop, 2 when it cannot start.
    """
    part = web_part("serving", "`pipekit web`")
    _begin_in_an_empty_folder(context)
    raise typer.Exit(part.main(settings(context).config(), host, port))


def demo(
    dest: Annotated[str, typer.Option(help="Warehouse of the demo: sqlite, duckdb or postgresql.")] = "sqlite",
    folder: Annotated[Path, typer.Option(help="Where the demo keeps everything.")] = Path(".demo"),
    days: Annotated[int, typer.Option(min=1, max=366, help="Days of flights to start with, for a quick look.")] = 366,
    serve: Annotated[bool, typer.Option("--serve", help="Show the finished demo in the browser instead.")] = False,
) -> None:
    """Sync real data (flights of 2013) from one database into another, and show what pipekit did."""
    from pipekit_engine.demo.main import run_demo, serve_demo

    if serve:
        raise typer.Exit(serve_demo(folder))
    if dest not in ("sqlite", "duckdb", "postgresql"):
        raise typer.BadParameter("must be sqlite, duckdb or postgresql", param_hint="--dest")
    run_demo(dest, folder, days=days)
