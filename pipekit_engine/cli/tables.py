"""`tables fix`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, family, note, settings

tables = family("tables", "The destination's tables.")


@tables.command("fix")
def fix(
    context: typer.Context,
    module: Annotated[str, typer.Argument(help="The module whose destination is looked at.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Make the indexes without asking.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show the DDL of the indexes that a module's destination lacks, and make them once that is confirmed.

    An index on the merge key, which each merge looks up (a unique one for upsert), and on the columns whose greatest value a
    watermark asks for. Nothing else of the table is changed. Without a terminal, --yes is needed to make them.

    Exit status: 0 nothing is missing any more, 1 something is, 2 wrong usage or configuration.
    """
    from pipekit_engine import Engine
    from pipekit_engine.cli.output import print_json, results

    with Engine(settings(context).config()) as engine:
        dest = engine.store.definitions.module(module).dest
        missing = engine.missing_indexes(module)
        statements = [item.ddl for item in missing if item.ddl]
        done = False
        if not as_json:
            for item in missing:
                results().print(
                    f"{item.ddl};" if item.ddl else f"-- {', '.join(item.columns)}: no index takes their types",
                    markup=False,
                    highlight=False,
                    soft_wrap=True,
                )
        if not missing:
            note("No index is missing.")
        elif statements:
            asked = sys.stdin.isatty() and not as_json
            if yes or (asked and typer.confirm(f"Make them on connection {dest}?", err=True)):
                engine.execute(dest, statements)
                done = True
                note(f"Made on connection {dest}.")
            elif not asked:
                note(f"Nothing was changed. --yes makes them on connection {dest}.")
    if as_json:
        print_json({"module": module, "connection": dest, "statements": statements, "applied": done})
    if len(missing) > len(statements) * done:
        raise typer.Exit(1)
