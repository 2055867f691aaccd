"""`import-scripts`: shell scripts around jrunner as definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipekit_engine.cli.base import JsonFlag, note
from pipekit_engine.common.text import counted


def import_scripts(
    folder: Annotated[Path, typer.Argument(help="Folder of the scripts, with their SQL files and perhaps a crontab.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Write YAML and report here; else to stdout.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Read shell scripts that call jrunner, and propose modules, connections, groups and schedules. Nothing is run.

    What is complete can be applied (`pipekit apply DIR`); drafts of the rest lie in `incomplete/`, and `import-report.md` says
    with file and line what could not be inferred. Passwords are never copied: each found in clear is reported by its place.

    Exit status: 0 every script was understood, 1 some need a person, 2 wrong usage or nothing to import.
    """
    from pipekit_engine.cli.output import print_json, print_text, results
    from pipekit_engine.errors import ConfigurationError
    from pipekit_import import as_json as to_json
    from pipekit_import import files_of, import_folder, write_files
    from pipekit_import.report import REPORT

    result = import_folder(folder)
    if not result.proposals:
        raise ConfigurationError(f"{folder}: no script was found that moves rows.")
    if output is not None:
        written = write_files(result, output)
    if as_json:
        print_json(to_json(result))
    elif output is not None:
        results().print(f"Wrote {counted(len(written), 'file')} to {output}.", markup=False, soft_wrap=True)
    else:
        for name, text in files_of(result).items():
            print_text(f"# ---- {name}\n{text}")
    for secret in result.secrets:
        note(f"{secret.spot}: a password in clear text ({secret.name})")
    count = len(result.complete)
    note(f"{count} of {len(result.proposals)} modules complete.")
    if output is not None:
        note(f"Next: read {output / REPORT}, then `pipekit lint {output}` and `pipekit apply {output} --dry-run`.")
    if result.incomplete:
        raise typer.Exit(1)
