"""What the wizard's flags say, read and checked; a mistake names its flag."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.wizard.batch import GroupWish
    from pipekit_engine.wizard.builder import Wishes
    from pipekit_engine.wizard.workspace import Workspace


def require(source: object, what: object, dest: object, *, ready: bool) -> None:
    """Refuse to go on without the answers that nobody can be asked for."""
    missing = [
        flag
        for flag, value in (
            ("--source", source),
            ("--table, --tables, --query or --query-file", what),
            ("--dest", dest),
        )
        if not value
    ]
    if not ready:
        missing.append("--yes (or --dry-run)")
    if missing:
        raise typer.BadParameter(f"nothing can be asked here, so these are needed: {'; '.join(missing)}")


def read_wishes(**given: Any) -> Wishes:
    """What the flags decide about a module."""
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.models import Hook
    from pipekit_engine.wizard.builder import Wishes

    if given["strategy"] is not None and given["strategy"] not in STRATEGIES:
        raise typer.BadParameter(f"must be one of {', '.join(STRATEGIES)}", param_hint="--strategy")
    return Wishes(
        name=given["name"],
        dest_table=given["dest_table"],
        dest_schema=given["dest_schema"],
        strategy=given["strategy"],
        key=_names(given["key"]) if given["key"] is not None else None,
        watermark=given["watermark"],
        lag=Lag.parse(given["lag"]) if given["lag"] is not None else None,
        default=given["default"],
        bounded=given["window"],
        columns=_names(given["columns"]),
        exclude=_names(given["exclude"]),
        renames=_pairs(given["rename"], "--rename"),
        types=_pairs(given["types"], "--type"),
        hooks=tuple(Hook(sql=sql) for sql in given["hooks"] or ()),
    )


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _pairs(texts: Sequence[str] | None, flag: str) -> dict[str, str]:
    found = {}
    for text in texts or ():
        left, equals, right = text.partition("=")
        if not (left.strip() and equals and right.strip()):
            raise typer.BadParameter(f"{text!r} must be COLUMN=…", param_hint=flag)
        found[left.strip()] = right.strip()
    return found


def query_text(query: str | None, file: Path | None) -> str | None:
    """The query of --query or --query-file. Raises ConfigurationError."""
    if file is None:
        return query
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read: {error}.") from None
    return text.strip()


def group_wish(name: str | None, cron: str | None, zone: str | None) -> GroupWish | None:
    """The group to join, its schedule checked."""
    if name is None:
        return None
    from pipekit_engine.wizard.batch import GroupWish
    from pipekit_engine.wizard.screens import check_cron, local_zone

    zone = zone or local_zone()
    try:
        check_cron(cron or "0 2 * * *", zone, name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--group, --schedule, --timezone") from None
    return GroupWish(name, cron, zone)


def ways_in(tls: str | None, tunnel: str | None) -> dict[str, Any]:
    """The fields `tls` and `tunnel` of a new connection, as `MODE,ca=FILE,...` and `USER@HOST:PORT,key=FILE` say them."""
    found: dict[str, Any] = {"tls": None, "tunnel": None}
    if tls is not None:
        mode, _, rest = tls.partition(",")
        found["tls"] = {"mode": mode, **_settings(rest)}
    if tunnel is not None:
        address, _, rest = tunnel.partition(",")
        user, _, host = address.rpartition("@")
        match = re.fullmatch(r"(\[[^\]]+\]|[^:]+)(?::(\d+))?", host)
        if match is None:
            raise typer.BadParameter(
                f"{address!r} is no [USER@]HOST[:PORT]", param_hint="--source-tunnel, --dest-tunnel"
            )
        given = {"host": match[1].strip("[]"), "port": match[2] and int(match[2]), "user": user or None}
        found["tunnel"] = {**{name: value for name, value in given.items() if value}, **_settings(rest)}
    return found


def _settings(text: str) -> dict[str, str]:
    return dict((part.strip() for part in item.partition("=")[::2]) for item in text.split(",") if item)  # type: ignore[misc]


def connect(
    workspace: Workspace,
    name: str,
    url: str,
    user: str | None,
    password: str | None,
    ways: Mapping[str, Any],
    *,
    is_source: bool,
) -> None:
    """Make a connection from flags; one of that name must say the same."""
    from pipekit_engine.wizard.connecting import driver_of, make_connection, missing_file, secret_name

    stored = workspace.engine.store.definitions.load_checked()[0]
    if password is None and user is not None and secret_name(name) in workspace.secret_keys:
        password = f"${secret_name(name)}"
    connection = make_connection(name, driver_of(url, stored.drivers.values()), url, user, password, **ways)
    known = stored.connections.get(name)
    if known is not None:
        compared = ("jdbc_url", "username", *(field for field in ("tls", "tunnel") if ways[field]))
        if any(getattr(known, field) != getattr(connection, field) for field in compared):
            raise ConfigurationError(
                f"There is a connection {name} already, with another URL, user or way in: choose another name."
            )
        return
    missing = missing_file(connection, workspace.engine.config.folder) if is_source else None
    if missing is not None:
        raise ConfigurationError(f"There is no file {missing}.")
    workspace.add_connection(connection, creates=not is_source)
