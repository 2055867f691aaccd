"""`backup`, `restore`, `support-bundle`: what whoever runs pipekit does with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipekit_engine.cli.base import dagster_part, note, settings
from pipekit_engine.common.text import counted
from pipekit_engine.errors import RuntimeMissing

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.store.snapshot import SnapshotInfo


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; a new file, mode 0600.")],
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it exists.")] = False,
) -> None:
    """Write all state into one file, also while modules run: definitions, run history, what has fired.

    The file is an SQLite database, whatever database the state is in, and is checked before it appears.
    Configuration and secrets are not in it. Exit status: 0, or 2 when it cannot be made.
    """
    from pipekit_engine.cli.output import results, size
    from pipekit_engine.operations.backup import backup as make

    report = make(settings(context).config(), file, force=force)
    results().print(f"Wrote {report.file}: {_held(report.info)}, {size(report.size)}.", soft_wrap=True)


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `pipekit backup` wrote.")],
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to keep the former state; beside the state file, or beside FILE."),
    ] = None,
) -> None:
    """Replace all state by a backup's, of this or an older pipekit, from SQLite or PostgreSQL; keep the former aside.

    Stop `pipekit serve` first. Exit status: 0, 2 when FILE is no sound backup, 3 when a run is live or a server is at
    work; then nothing was changed.
    """
    from pipekit_engine.cli.output import results
    from pipekit_engine.operations.backup import restore as put_back

    config = settings(context).config()
    with _no_server(config):
        report = put_back(config, file, keep=keep)
    console = results()
    made = f" of {report.info.made_at:%Y-%m-%d %H:%M:%S} UTC" if report.info.made_at else ""
    console.print(f"Restored the backup{made} into {report.where}: {_held(report.info)}.", soft_wrap=True)
    if report.upgraded:
        console.print(f"It was of revision {report.info.revision} and has been upgraded.")
    if report.former is not None:
        console.print(f"The former state is kept as {report.former}.", soft_wrap=True)
    for run in report.ended:
        console.print(f"Run {run.id} of {run.module}: {run.error}", soft_wrap=True, markup=False)
    if "://" in config.database:
        note("Where other hosts share this state: their `pipekit serve` shows the restored definitions within seconds.")


def support_bundle(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.tar.gz", help="Where to write it; a new file, mode 0600.")],
    runs: Annotated[int, typer.Option(min=0, help="How many of the newest runs, with their logs.")] = 50,
    log: Annotated[
        list[Path] | None,
        typer.Option(metavar="LOG", help="A log to add the end of, such as what `pipekit serve` printed; repeatable."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE when it exists.")] = False,
) -> None:
    """Collect what somebody needs who helps from afar: versions, configuration, doctor, definitions, runs, logs.

    Secrets are taken out: every value of the secrets file, passwords in URLs, and what looks like a password. The
    system journal's lines of the service `pipekit` are added where there are any. Exit status: 0, or 2 when it cannot be made.
    """
    from pipekit_engine.cli.output import results, size
    from pipekit_engine.operations.support_bundle import write_bundle

    config = settings(context).config()
    report = write_bundle(config, file, runs=runs, logs=log or [], dagster_home=_dagster_home(config), force=force)
    for problem in report.problems:
        note(f"left out: {problem}")
    console = results()
    console.print(f"Wrote {report.file}: {counted(len(report.members), 'file')}, {size(report.size)}.", soft_wrap=True)
    said = "Secrets were taken out; table names, queries and log lines were not. Look before you send it."
    console.print(said, soft_wrap=True)


def _dagster_home(config: Config) -> Path | None:
    try:
        folder: Path = dagster_part("serve.home", "`pipekit serve`").Home.of(config).folder
    except RuntimeMissing:
        return None
    return folder if folder.is_dir() else None


def _held(info: SnapshotInfo) -> str:
    """`3 modules, 1 group, 12 runs`."""
    names = {"module": "module", "grp": "group", "schedule": "schedule", "run_log": "run"}
    counts = [(info.counts[table], name) for table, name in names.items()]
    return ", ".join(f"{number:,} {name}{'s' if number != 1 else ''}" for number, name in counts)


@contextmanager
def _no_server(config: Config) -> Iterator[None]:
    """Keep `pipekit serve` from firing schedules, here and on other hosts. Raises StateInUse when one is at work."""
    from pipekit_engine.operations.backup import StateInUse
    from pipekit_engine.store.leadership import Leadership

    lead = Leadership(config.database_url, renewed=False)
    try:
        if not lead.take():
            raise StateInUse("`pipekit serve` is at work on this state. Stop it, on every host, then restore.")
        yield
    finally:
        lead.give_up()
