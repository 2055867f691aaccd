"""Questions that belong together: which connection, a new connection tried live, which group and when it runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.common.validation import field_problems
from pipekit_engine.databases.dialects import GENERIC, find_jars, get_dialect
from pipekit_engine.databases.urls import redact_url
from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.models import Schedule
from pipekit_engine.wizard.batch import GroupWish
from pipekit_engine.wizard.connecting import (
    address_hint,
    database_of,
    jdbc_url,
    make_connection,
    missing_file,
    secret_name,
)
from pipekit_engine.wizard.prompts import Back, Choice

if TYPE_CHECKING:
    from pipekit_engine.models import Connection, Driver
    from pipekit_engine.wizard.prompts import Terminal
    from pipekit_engine.wizard.workspace import Workspace
    from pipekit_engine.wizard.writing import Folder

_NEW = "‹ a new connection ›"
_USUAL_CRON = "0 2 * * *"


def choose_connection(
    terminal: Terminal, workspace: Workspace, question: str, *, start: str | None = None, without: str | None = None
) -> str | None:
    """A connection's name, None for a new one. `without` comes last: hardly anybody copies a database into itself."""
    if not workspace.connections():
        terminal.say(f"  {question}: a new connection, as there is none yet", "class:dim")
        return None
    connections = sorted(workspace.connections().values(), key=lambda item: item.name == without)
    choices: list[Choice[str | None]] = [
        Choice(item.name, item.name, f"{item.driver}  {redact_url(item.jdbc_url)}") for item in connections
    ]
    if not any(item.name != without for item in connections):
        choices.insert(0, Choice(None, _NEW))
    else:
        choices.append(Choice(None, _NEW))
    return terminal.pick(question, choices, start=start)


def ask_connection(terminal: Terminal, workspace: Workspace, *, is_source: bool) -> str:
    """Ask for a new connection until it answers; its name. Raises Back when the person gives it up."""
    drivers = workspace.engine.store.definitions.load_checked()[0].drivers
    jars = {driver.name: _jar(driver, workspace) for driver in drivers.values()}
    # Those with a jar first, and of these the kinds that are known.
    ordered = sorted(drivers.values(), key=lambda driver: (jars[driver.name] is None, driver.kind == GENERIC))
    choices = [
        Choice(
            driver,
            driver.name,
            "  ".join(
                filter(None, (get_dialect(driver.kind).about, jars[driver.name] or "no jar yet: see `pipekit drivers`"))
            ),
        )
        for driver in ordered
    ]
    driver = terminal.pick("Kind of database", choices)
    address = user = password = ""
    while True:
        address = terminal.text(
            f"Where ({address_hint(driver.kind)})", address, check=lambda text: jdbc_url(driver.kind, text)
        )
        url = jdbc_url(driver.kind, address)
        if get_dialect(driver.kind).needs_login:
            user = terminal.text("User (empty: none)", user, optional=True)
            password = terminal.text("Password (kept in the secrets file; empty: none)", secret=True, optional=True)
        name = terminal.text(
            "Name of this connection",
            _free_name(url, driver.kind, workspace),
            check=lambda text: _check(text, workspace),
        )
        try:
            connection = _record(workspace, name, driver.name, url, user, password)
            _try(terminal, workspace, connection, password or None, is_source=is_source)
        except PipekitError as error:
            terminal.say(f"  {error}", "ansired")
            if not terminal.yes("Change it and try again"):
                raise Back from None
        else:
            return name


def _jar(driver: Driver, workspace: Workspace) -> str | None:
    try:
        return find_jars(driver, workspace.engine.config.jar_folders)[0].name
    except PipekitError:
        return None


def _record(workspace: Workspace, name: str, driver: str, url: str, user: str, password: str) -> Connection:
    reference = None
    if password:
        key = base = secret_name(name)
        number = 2
        while key in workspace.secret_keys and key not in workspace.new_secrets:
            key, number = f"{base}_{number}", number + 1
        reference = f"${key}"
    return make_connection(name, driver, url, user, reference, taken=())


def _try(
    terminal: Terminal, workspace: Workspace, connection: Connection, password: str | None, *, is_source: bool
) -> None:
    missing = missing_file(connection, workspace.engine.config.folder) if is_source else None
    if missing is not None:
        raise ConfigurationError(f"There is no file {missing}.")
    opened = workspace.add_connection(connection, password, creates=not is_source).opened
    terminal.say(f"  connected: {opened.product} {opened.product_version}", "class:tick")


def _free_name(url: str, kind: str, workspace: Workspace) -> str:
    base = database_of(url) or Path(url.rpartition(":")[2]).stem or kind
    base = (
        "".join(char if (char.isalnum() and char.isascii()) or char in "_-" else "_" for char in base).strip("_-")
        or kind
    )
    taken = workspace.connections()
    return next(name for name in (base, *(f"{base}_{number}" for number in range(2, 1000))) if name not in taken)


def _check(name: str, workspace: Workspace) -> None:
    if name in workspace.connections():
        raise ConfigurationError(f"There is a connection {name} already.")
    make_connection(name, "sqlite", "jdbc:sqlite:x", None, None)


def ask_group(terminal: Terminal, workspace: Workspace, folder: Folder, suggestion: str) -> GroupWish | None:
    """The group to join and its schedule, None for no group; `suggestion` names a new one. Raises Back."""
    stored = workspace.engine.store.definitions.load_checked()[0]
    cron = {schedule.group: f"{schedule.cron} {schedule.timezone}" for schedule in stored.schedules.values()}
    choices: list[Choice[str]] = [
        Choice(f"={name}", name, f"{len(group.members)} modules  {cron.get(name, 'no schedule')}")
        for name, group in stored.groups.items()
    ]
    choices += [Choice("new", "‹ a new group ›"), Choice("none", "‹ no group: run it by hand ›")]
    chosen = terminal.pick("Group", choices)
    if chosen == "none":
        return None
    taken = {*stored.groups, *folder.names("groups")}
    if chosen != "new":
        name = chosen[1:]
        if name in cron:
            return GroupWish(name)
    else:
        suggestion = "" if suggestion in taken else suggestion
        name = terminal.text("Name of the group", suggestion, check=lambda text: _new(text, taken))
    text = terminal.text(
        "When (cron: minute hour day month weekday; empty: never by itself)",
        _USUAL_CRON,
        optional=True,
        check=lambda text: text and check_cron(text, "UTC"),
    )
    if not text:
        return GroupWish(name)
    zone = terminal.text("Time zone", local_zone(), check=lambda zone: check_cron(text, zone))
    terminal.say(f"  next: {next_tick(text, zone)}", "class:dim")
    return GroupWish(name, text, zone)


def _new(name: str, taken: set[str]) -> None:
    if name in taken:
        raise ConfigurationError(f"There is a group {name} already.")
    check_cron(_USUAL_CRON, "UTC", name)


def check_cron(cron: str, zone: str, name: str = "x") -> Schedule:
    """The schedule's record. Raises ValueError saying what is wrong."""
    from pydantic import ValidationError

    try:
        return Schedule(name=name, group=name, cron=cron, timezone=zone)
    except ValidationError as error:
        raise ValueError(field_problems(error)[0].message) from None


def next_tick(cron: str, zone: str) -> str:
    """When a cron text fires next, in its zone."""
    from zoneinfo import ZoneInfo

    from croniter import croniter

    moment: datetime = croniter(cron, datetime.now(ZoneInfo(zone))).get_next(datetime)
    return moment.strftime("%A %Y-%m-%d %H:%M %Z")


def local_zone() -> str:
    """This machine's time zone by its IANA name, UTC where it has none."""
    import os

    for name in (os.environ.get("TZ", ""), _file("/etc/timezone"), _link("/etc/localtime")):
        try:
            check_cron(_USUAL_CRON, name)
        except ValueError:
            continue
        return "UTC" if name in ("Etc/UTC", "Etc/UCT", "UCT", "Universal", "Zulu") else name
    return "UTC"


def _file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _link(path: str) -> str:
    return str(Path(path).resolve()).rpartition("zoneinfo/")[2] if Path(path).is_symlink() else ""
