"""`check`: whether what modules have brought is as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, note, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.records.checks import CheckResult

_COLOURS = {"passed": "green", "failed": "red", "error": "red", "warning": "yellow", "skipped": "cyan"}


def check(
    context: typer.Context,
    modules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODULE]...", help="The modules; all that have checks when not given."),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Only checks of this name; may be given again.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="Show what was found last, and ask nothing.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Ask the checks of modules of their destinations as they are now. Moves nothing, and takes no lock.

    Exit status: 0 all passed, or were warnings, 1 a check failed or could not be asked, 2 wrong usage or configuration, 130
    cancelled.
    """
    from pipekit_engine import Engine
    from pipekit_engine.cli.output import print_json
    from pipekit_engine.cli.running import cancellable
    from pipekit_engine.records.checks import summary

    with Engine(settings(context).config()) as engine, cancellable() as cancel:
        known = engine.store.definitions.load_checked()[0].modules
        named = [engine.store.definitions.module(name) for name in modules or ()]
        asked = named or [module for module in known.values() if module.checks]
        found: list[CheckResult] = []
        if last:
            stored = engine.store.checks.last()
            found = [result for module in asked for result in stored.get(module.name, ())]
        else:
            with engine.session_pool() as sessions:
                for module in asked:
                    names = [item.name for item in module.checks if not only or item.name in only]
                    if names:
                        found += engine.check(module.name, names=names, cancel=cancel, sessions=sessions)
    if only:
        found = [result for result in found if result.name in only]
    if as_json:
        print_json([result.as_json() for result in found])
    elif found:
        _table(found)
    note((summary(found) or "There is nothing to check") + ".")
    if any(result.blocks for result in found):
        raise typer.Exit(1)


def _table(found: Sequence[CheckResult]) -> None:
    from rich.text import Text

    from pipekit_engine.cli.output import count, moment, print_table, seconds
    from pipekit_engine.common.text import first_line

    print_table(
        ("MODULE", "CHECK", "STATUS", "WRONG", "AT", "TOOK", "RUN", "FOUND"),
        (
            (
                result.module,
                result.name,
                Text(result.standing, style=_COLOURS.get(result.standing, "")),
                count(result.count),
                moment(result.checked_at),
                seconds(result.took_s),
                result.run_id,
                first_line(result.message),
            )
            for result in found
        ),
        right=("WRONG", "TOOK", "RUN"),
        below=True,
    )
