"""The `pipekit` command, assembled."""

from __future__ import annotations

import gc
import io
import os
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipekit_engine.cli.base import Commands, Settings

if TYPE_CHECKING:
    app: typer.Typer

_RUN = "Run"
_DEFINE = "Define"
_LOOK_AFTER = "Set up and look after"
#: Each command in the order of the help: its name, its module, its function or family there, its panel.
_COMMANDS = (
    ("run", "running", "run", _RUN),
    ("run-group", "running", "run_group", _RUN),
    ("backfill", "partitions", "backfill", _RUN),
    ("check", "checking", "check", _RUN),
    ("cancel", "running", "cancel", _RUN),
    ("unlock", "running", "unlock", _RUN),
    ("runs", "runs", "app", _RUN),
    ("wizard", "wizard", "wizard", _DEFINE),
    ("apply", "definitions", "apply", _DEFINE),
    ("pull", "definitions", "pull", _DEFINE),
    ("export", "definitions", "export", _DEFINE),
    ("schema", "definitions", "schema", _DEFINE),
    ("import-scripts", "import_scripts", "import_scripts", _DEFINE),
    ("lint", "lint", "lint", _DEFINE),
    ("modules", "definitions", "modules", _DEFINE),
    ("partitions", "partitions", "partitions", _DEFINE),
    ("groups", "definitions", "groups", _DEFINE),
    ("schedules", "definitions", "schedules", _DEFINE),
    ("connections", "connections", "connections", _DEFINE),
    ("tables", "tables", "tables", _DEFINE),
    ("init", "project", "init", _LOOK_AFTER),
    ("doctor", "project", "doctor", _LOOK_AFTER),
    ("secrets", "secrets", "app", _LOOK_AFTER),
    ("drivers", "drivers", "app", _LOOK_AFTER),
    ("backup", "operations", "backup", _LOOK_AFTER),
    ("restore", "operations", "restore", _LOOK_AFTER),
    ("support-bundle", "operations", "support_bundle", _LOOK_AFTER),
    ("set-password", "users", "set_password", _LOOK_AFTER),
    ("agent", "agents", "app", _LOOK_AFTER),
    ("token", "tokens", "app", _LOOK_AFTER),
    ("serve", "project", "serve", _LOOK_AFTER),
    ("web", "project", "web", _LOOK_AFTER),
    ("demo", "project", "demo", _LOOK_AFTER),
)


@cache
def build(only: str | None = None) -> typer.Typer:
    """The command with all of its commands; with one alone, whose module is then the only one that is imported."""
    app = typer.Typer(
        name="pipekit",
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help="Keeps tables in step between databases: source query, staging table, merge.",
    )
    app.callback()(options)
    known = any(name == only for name, *_ in _COMMANDS)
    for name, module, attribute, panel in _COMMANDS:
        if not known or name == only:
            found = getattr(import_module(f"pipekit_engine.cli.{module}"), attribute)
            if isinstance(found, typer.Typer):
                app.add_typer(found, rich_help_panel=panel)
            else:
                app.command(name, rich_help_panel=panel)(found)
    return app


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return build()


def _version(wanted: bool) -> None:
    if wanted:
        from pipekit_engine import __version__

        print(__version__)
        raise typer.Exit


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
    # A shell that completes asks for all names.
    app = build(None if "_PIPEKIT_COMPLETE" in os.environ else _asked(sys.argv[1:]))
    gc.enable()
    app(prog_name="pipekit")


def _asked(arguments: list[str]) -> str | None:
    """The name of the command that is asked for, where the options before it leave no doubt."""
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        if rest[0] == "--config":
            rest = rest[2:]
        elif rest[0] == "--no-agent" or rest[0].startswith("--config="):
            rest = rest[1:]
        else:
            return None
    return rest[0] if rest else None


if __name__ == "__main__":
    main()
