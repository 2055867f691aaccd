"""The `pipekit` command, assembled."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from pipekit_engine.cli import (
    agents,
    certifying,
    checking,
    connections,
    definitions,
    drivers,
    import_scripts,
    lint,
    operations,
    partitions,
    project,
    running,
    runs,
    secrets,
    tables,
    tokens,
    users,
    wizard,
)
from pipekit_engine.cli.base import Commands, Settings

app = typer.Typer(
    name="pipekit",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Keeps tables in step between databases: source query, staging table, merge.",
)

_RUN = "Run"
_DEFINE = "Define"
_LOOK_AFTER = "Set up and look after"

app.command("run", rich_help_panel=_RUN)(running.run)
app.command("run-group", rich_help_panel=_RUN)(running.run_group)
app.command("backfill", rich_help_panel=_RUN)(partitions.backfill)
app.command("check", rich_help_panel=_RUN)(checking.check)
app.command("cancel", rich_help_panel=_RUN)(running.cancel)
app.command("unlock", rich_help_panel=_RUN)(running.unlock)
app.add_typer(runs.app, rich_help_panel=_RUN)
app.command("wizard", rich_help_panel=_DEFINE)(wizard.wizard)
app.command("apply", rich_help_panel=_DEFINE)(definitions.apply)
app.command("pull", rich_help_panel=_DEFINE)(definitions.pull)
app.command("export", rich_help_panel=_DEFINE)(definitions.export)
app.command("schema", rich_help_panel=_DEFINE)(definitions.schema)
app.command("import-scripts", rich_help_panel=_DEFINE)(import_scripts.import_scripts)
app.command("lint", rich_help_panel=_DEFINE)(lint.lint)
app.command("modules", rich_help_panel=_DEFINE)(definitions.modules)
app.command("partitions", rich_help_panel=_DEFINE)(partitions.partitions)
app.command("groups", rich_help_panel=_DEFINE)(definitions.groups)
app.command("schedules", rich_help_panel=_DEFINE)(definitions.schedules)
connections.connections.command("certify")(certifying.certify)
app.add_typer(connections.connections, rich_help_panel=_DEFINE)
app.add_typer(tables.tables, rich_help_panel=_DEFINE)
app.command("init", rich_help_panel=_LOOK_AFTER)(project.init)
app.command("doctor", rich_help_panel=_LOOK_AFTER)(project.doctor)
app.add_typer(secrets.app, rich_help_panel=_LOOK_AFTER)
app.add_typer(drivers.app, rich_help_panel=_LOOK_AFTER)
app.command("backup", rich_help_panel=_LOOK_AFTER)(operations.backup)
app.command("restore", rich_help_panel=_LOOK_AFTER)(operations.restore)
app.command("support-bundle", rich_help_panel=_LOOK_AFTER)(operations.support_bundle)
app.command("set-password", rich_help_panel=_LOOK_AFTER)(users.set_password)
app.add_typer(agents.app, rich_help_panel=_LOOK_AFTER)
app.add_typer(tokens.app, rich_help_panel=_LOOK_AFTER)
app.command("serve", rich_help_panel=_LOOK_AFTER)(project.serve)
app.command("web", rich_help_panel=_LOOK_AFTER)(project.web)
app.command("demo", rich_help_panel=_LOOK_AFTER)(project.demo)


def _version(wanted: bool) -> None:
    if wanted:
        from pipekit_engine import __version__

        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        str | None,
        typer.Option("--config", metavar="FILE", help="Configuration file; else PIPEKIT_CONFIG, ./pipekit.yaml."),
    ] = None,
    no_agent: Annotated[
        bool, typer.Option("--no-agent", help="Run the command here, not in a `pipekit agent`.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep tables in step between databases: source query, staging table, merge."""
    context.obj = Settings(config)


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Where the locale is not UTF-8, an escape stands for what it lacks: a result must not end in a traceback.
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="pipekit")


if __name__ == "__main__":
    main()
