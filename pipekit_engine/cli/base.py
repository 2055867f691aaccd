"""What all commands share: the configuration and the store in force, errors as messages, exit statuses.

Exit statuses: 0 success, 1 the run failed, 2 usage, configuration or definitions, 3 locked, 130 cancelled.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from pipekit_engine.common.visible import visible
from pipekit_engine.errors import DefinitionsError, PipekitError, RuntimeMissing

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.store import Store

CANCELLED = 130

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; everything else goes to stderr.")]
DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Show what would happen; change nothing.")]


@dataclass
class Settings:
    """The global options."""

    config_path: str | None = None

    def config(self) -> Config:
        """The configuration in force. Raises ConfigurationError."""
        from pipekit_engine.config import load_config

        return load_config(self.config_path)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The open state store. Raises ConfigurationError, StoreError."""
        from pipekit_engine.store import Store

        with Store.open(self.config().database_url) as store:
            yield store


def settings(context: typer.Context) -> Settings:
    """The global options of a command's context."""
    found = context.find_object(Settings)
    return found if found is not None else Settings()


class Commands(TyperGroup):
    """The root group: an error of ours is a message and an exit status, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except PipekitError as error:
            report(error)
            raise typer.Exit(error.exit_status) from None
        except KeyboardInterrupt:
            note("Interrupted.")
            raise typer.Exit(CANCELLED) from None


def family(name: str, help_text: str, **options: Any) -> typer.Typer:
    """A group of sub-commands, such as `pipekit runs`."""
    return typer.Typer(name=name, help=help_text, no_args_is_help=not options.get("invoke_without_command"), **options)


def note(message: str) -> None:
    """Something to read that is not the command's result: goes to stderr."""
    print(visible(message), file=sys.stderr, flush=True)


def report(error: PipekitError) -> None:
    """Show an error."""
    from pipekit_engine.cli.output import errors

    console = errors()
    if isinstance(error, DefinitionsError):
        count = len(error.problems)
        for problem in error.problems:
            console.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
        note(f"{count} problem{'s' if count != 1 else ''}; nothing was changed.")
        return
    console.print(f"[bold red]error:[/bold red] {_escaped(str(error))}", highlight=False, soft_wrap=True)
    if error.record is not None:
        note(f"More: pipekit runs show {error.record.id}")


def dagster_part(name: str, what: str) -> Any:
    """A module of pipekit_dagster, imported by its name: the engine does not depend on it.

    Raises RuntimeMissing when Dagster is not installed.
    """
    return _optional_part(f"pipekit_dagster.{name}", what, "dagster")


def web_part(name: str, what: str) -> Any:
    """As `dagster_part`, of pipekit_web, which needs no Dagster."""
    return _optional_part(f"pipekit_web.{name}", what, "web")


#: Packages that only an extra of pipekit's brings.
_OPTIONAL = frozenset(
    ("dagster", "dagster_webserver", "fastapi", "jinja2", "pipekit_dagster", "pipekit_web", "starlette", "uvicorn")
)


def _optional_part(module: str, what: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").split(".")[0]
        if missing not in _OPTIONAL:
            raise
        raise RuntimeMissing(f"{what} needs {missing}. Install it with: pip install 'pipekit[{extra}]'") from None


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
