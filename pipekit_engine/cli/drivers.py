"""`drivers list | register | install`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipekit_engine.cli.base import DryRunFlag, JsonFlag, family, note, settings
from pipekit_engine.errors import ConfigurationError, PipekitError

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.databases.jars.install import Request
    from pipekit_engine.models import Driver

app = family("drivers", "JDBC drivers: which jar and class serve a kind of database.")


@app.command("list")
def list_drivers(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the registered drivers and the jar that each would use."""
    from pipekit_engine.cli.output import print_json, print_table

    config = settings(context).config()
    with settings(context).store() as store:
        found = store.definitions.load_checked()[0].drivers
    jars = {name: _jars(driver, config.jar_folders) for name, driver in found.items()}
    if as_json:
        rows = [
            {**driver.model_dump(mode="json", by_alias=True), "found": jars[name]} for name, driver in found.items()
        ]
        print_json(rows)
        return
    print_table(
        ("DRIVER", "KIND", "CLASS", "JAR", "URL"),
        (
            (d.name, d.kind, d.class_name or "(from the jar)", ", ".join(jars[d.name]) or "NOT FOUND", d.url_template)
            for d in found.values()
        ),
    )


def _jars(driver: Driver, folders: list[Path]) -> list[str]:
    from pipekit_engine.databases.dialects import find_jars

    try:
        return [str(jar) for jar in find_jars(driver, folders)]
    except PipekitError:
        return []


@app.command("register")
def register_driver(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name for `driver:` in connections.")],
    kind: Annotated[
        str | None, typer.Option(help="Database kind, such as postgresql; `generic` for any other.")
    ] = None,
    jar: Annotated[str | None, typer.Option(help="Path of the jar, or a file name in one of the jar folders.")] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="Driver class; found in the jar when empty.")
    ] = None,
    url_template: Annotated[str | None, typer.Option(help="What a JDBC URL of this driver looks like.")] = None,
) -> None:
    """Register a driver, or change one: what is not given stays as it is."""
    from pydantic import ValidationError

    from pipekit_engine.cli.output import results
    from pipekit_engine.common.validation import describe
    from pipekit_engine.databases.dialects import find_jars, get_dialect
    from pipekit_engine.models import Driver
    from pipekit_engine.store import Change

    config = settings(context).config()
    if jar is not None and "/" in jar:
        jar = str(Path(jar).absolute())
    with settings(context).store() as store:
        old = store.definitions.load_checked()[0].drivers.get(name)
        kind = kind or (old.kind if old else name)
        get_dialect(kind)  # an unknown kind is refused, with the nearest one
        given = {"kind": kind, "jar": jar, "class_name": class_name, "url_template": url_template}
        fields = {"name": name, **(old.model_dump() if old else {})} | {k: v for k, v in given.items() if v is not None}
        try:
            driver = Driver(**fields)
        except ValidationError as error:
            raise ConfigurationError(describe(error)) from None
        jars = find_jars(driver, config.jar_folders)
        store.definitions.save([Change("change" if old else "create", "drivers", name, driver)])
    results().print(f"Registered driver {name} ({kind}) with {', '.join(map(str, jars))}.", soft_wrap=True)


@app.command("install")
def install_driver(
    context: typer.Context,
    kind: Annotated[
        str, typer.Argument(help="Database kind, such as postgresql, or a driver's artifact, such as jtds.")
    ],
    version: Annotated[
        str | None, typer.Option(help="Another version than the tested one (not for Debian's package).")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder for the jar; else the first of `jars:`.")
    ] = None,
    way: Annotated[
        str | None,
        typer.Option("--from", metavar="WAY", help="debian, maven or repository; else the first of them that works."),
    ] = None,
    sha256: Annotated[str | None, typer.Option(help="SHA-256 that the jar must have, where you know it.")] = None,
    dry_run: DryRunFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Get the JDBC jar of a kind: Debian's package (as root), `mvn`, or the repository that `maven_repository:` names.

    A jar is checked before it is put in place: by its pinned SHA-256 where one is known, else by the repository's own checksum.

    Exit status: 0 the jar is there, 2 it could not be had (each way and its reason are named).
    """
    import re

    from pipekit_engine.cli.output import print_json, results
    from pipekit_engine.databases.class_archive import make_class_archive
    from pipekit_engine.databases.jars.install import WAYS, Request, install
    from pipekit_engine.operations.driver_use import use_installed

    config = settings(context).config()
    driver = Request(kind).driver
    chosen = next((item for item in WAYS if item == way), None)
    if way is not None and chosen is None:
        raise ConfigurationError(f"--from {way}: must be one of {', '.join(WAYS)}.")
    if version is not None and not re.fullmatch(r"[0-9][\w.+-]*", version):
        raise ConfigurationError(f"--version {version}: is no version, such as {driver.version}.")
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigurationError("--sha256: must be 64 hexadecimal digits.")
    request = Request(kind, version, to, sha256)
    note(f"Licence of the {kind} driver: {driver.licence}." + (f" {driver.note}" if driver.note else ""))
    if dry_run:
        for line in _install_plan(request, config, way):
            results().print(line, markup=False, soft_wrap=True)
        return
    installed = install(request, config, way=chosen, say=note)
    use = use_installed(config, kind, installed)
    make_class_archive(folders=config.jar_folders)
    if as_json:
        found = {
            "kind": kind,
            "jar": str(installed.path),
            "way": installed.way,
            "checked": installed.checked,
            "use": use,
        }
        print_json({**found, "licence": driver.licence})
        return
    results().print(f"{installed.path}: {installed.checked}.", markup=False, soft_wrap=True)
    results().print(use, markup=False, soft_wrap=True)


def _install_plan(request: Request, config: Config, way: str | None) -> list[str]:
    """What each way would do, or why it is closed."""
    from pipekit_engine.databases.jars.install import WAYS, commands, obstacle, simulate_debian

    lines = []
    for item in WAYS:
        if way is not None and item != way:
            continue
        closed = obstacle(item, request, config)
        lines.append(f"{item}: {closed}" if closed else f"{item}: would {commands(item, request, config)}")
        if item == "debian" and not closed:
            lines += [
                f"  {line}" for line in simulate_debian(request) if line.startswith(("Inst", "Conf", "0 upgraded"))
            ]
    return lines
