"""`connections certify`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, note, settings
from pipekit_engine.cli.running import cancellable
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from pipekit_engine.certify.outcomes import Finding
    from pipekit_engine.certify.report import Report

_COLOURS = {"held": "green", "refused": "yellow", "broken": "bold red"}


def certify(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The connection whose database is tried.")],
    schema: Annotated[
        str,
        typer.Option(help="A schema that is there and holds no tables: everything happens in it (SQLite: main)."),
    ],
    quick: Annotated[bool, typer.Option("--quick", help="A few questions of each subject, in seconds.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the report goes; else certificate-NAME.json, in the working directory."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Begin without asking.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Let a database prove itself: types, names, keys, strategies, locks, kills and cancels, in a scratch schema, in minutes.

    Only tables whose names begin with pipekit_certify_ are made, and all of them are dropped at the end, also after Ctrl-C. A
    schema that holds other tables is refused. The report tells versions and findings: no data, no names of hosts, schemas or
    logins. The store remembers the certificate. Without a terminal, --yes is needed.

    Exit status: 0 nothing is broken, 1 something is, 2 wrong usage or configuration, 130 cancelled.
    """
    from pipekit_engine.certify.bench import PREFIX
    from pipekit_engine.certify.certify import certify as run
    from pipekit_engine.cli.output import errors, print_json, results

    config = settings(context).config()
    with settings(context).store() as store:
        connection = store.definitions.connection(name)
        driver = store.definitions.driver(connection.driver)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigurationError(
                f"Tables {PREFIX}... are made and dropped in schema {schema} of connection {name}: --yes says that they may be."
            )
        question = (
            f"Make and drop tables {PREFIX}... in schema {schema} of connection {name}, and keep it busy for minutes?"
        )
        typer.confirm(question, err=True, abort=True)

    def tell(finding: Finding) -> None:
        if errors().is_terminal:
            line = f"[{_COLOURS[finding.outcome]}]{finding.outcome:<7}[/]  {finding.subject}: {finding.name}"
            errors().print(line, soft_wrap=True)

    with cancellable() as cancel:
        found = run(config, connection, driver, schema, quick=quick, cancel=cancel, on_finding=tell)
    path = report or Path(f"certificate-{name}.json")
    path.write_text(found.text(), encoding="utf-8")
    with settings(context).store() as store:
        store.certificates.save(found.certificate(name))
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
        results().print(_summary(found, name), soft_wrap=True)
        note(f"The report is in {path}.")
    if found.broken:
        raise typer.Exit(1)


def _print(report: Report) -> None:
    from rich.text import Text

    from pipekit_engine.cli.output import print_table

    print_table(
        ("SUBJECT", "CHECK", "OUTCOME", "FOUND"),
        (
            (item.subject, item.name, Text(item.outcome, style=_COLOURS[item.outcome]), item.detail)
            for item in report.findings
        ),
        below=True,
    )


def _summary(report: Report, name: str) -> str:
    from rich.markup import escape

    from pipekit_engine.cli.output import seconds

    certificate = report.certificate(name)
    colour = "red" if report.broken else "green"
    counts = f"{certificate.held} held, {certificate.refused} refused, {len(report.broken)} broken"
    return f"[{colour}]{counts}[/{colour}]  [bold]{escape(name)}[/bold]: {escape(certificate.met)}, {seconds(report.took_s)}"
