"""`lint`: what can be told about definitions before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, note, settings

_STYLES = {"error": "red", "warning": "yellow", "info": "cyan"}


def lint(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(help="A folder of YAML files, or one file; without it, the state store.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the databases too: plan each module as a dry run does. Moves nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as well.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODE", help="Leave a rule out; may be given again.")
    ] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List the rules and end.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Look for mistakes in definitions without moving data: what would fail, lose rows, or is probably not meant.

    A comment `# pipekit: ignore PK112` silences a rule on its line, or for the whole record on the line that names it.

    Exit status: 0 nothing but infos, 1 errors (with --strict: or warnings), 2 wrong usage or configuration.
    """
    from pipekit_engine.cli.output import print_json, print_table, results
    from pipekit_engine.errors import NotFoundError
    from pipekit_engine.lint import LEVELS, RULES, lint_files, lint_store

    left_out = {code.upper() for item in ignore or () for code in item.replace(",", " ").split()}
    for code in sorted(left_out - set(RULES)):
        raise NotFoundError("rule", code, RULES)
    if rules:
        if as_json:
            print_json([vars(rule) for rule in RULES.values()])
        else:
            print_table(("CODE", "LEVEL", "WHAT"), ((r.code, r.level, r.title) for r in RULES.values()))
        return
    config = settings(context).config()
    found = lint_store(config, live=live) if path is None else lint_files(path, config, live=live)
    found = [finding for finding in found if finding.code not in left_out]
    if as_json:
        print_json([finding.as_json() for finding in found])
    else:
        for finding in found:
            results().print(str(finding), style=_STYLES[finding.level], markup=False, soft_wrap=True)
    counts = {level: sum(finding.level == level for finding in found) for level in LEVELS}
    parts = [f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count]
    note((", ".join(parts) or "Nothing found") + ".")
    if counts["error"] or (strict and counts["warning"]):
        raise typer.Exit(1)
