"""Logins of scripts as pipekit connections. Passwords become `$VAR` references; their values are never copied."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipekit_engine.common.validation import field_problems
from pipekit_engine.databases.dialects import GENERIC, Dialect, get_dialect, kind_of_client, kind_of_url
from pipekit_engine.databases.urls import redact_url, url_holds_secret
from pipekit_engine.models import Connection
from pipekit_import.events import Note, Secret
from pipekit_import.values import Environment, Login, Spot, Text, Unknown, Value, plain, shown

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax

_PASSWORD_PARAMETER = re.compile(r"(?P<before>[;?&])(?:password|pwd)=(?P<value>[^;&]*)", re.IGNORECASE)
_USER_PARAMETER = re.compile(r"(?P<before>[;?&])(?:user|username|uid)=(?P<value>[^;&]*)", re.IGNORECASE)
#: Names of variables that say which end it is, not which database.
_NO_NAMES = {"src", "source", "dst", "dest", "target", "tgt", "db", "database", "url", "jdbc", "from", "to"}
_DATABASE_NAME = re.compile(r"databaseName=([^;]+)", re.IGNORECASE)
_LAST_NAME = re.compile(r"[/:]([A-Za-z][\w-]*)(?:\.db|\.sqlite3?)?(?:[?;].*)?$")
_HOST = re.compile(r"(?://|thin:@)([^:/;?]+)")
_SUFFIX = re.compile(r"_?(?:JDBC_?URL|JDBC|URL|CU|DSN|CONN(?:ECTION)?|CONNECT)$|^(?:JDBC|URL)_?", re.IGNORECASE)


@dataclass
class Connections:
    """The connections of all scripts, each once, and what is to be said about them."""

    found: dict[str, Connection] = field(default_factory=dict)
    notes: dict[str, list[Note]] = field(default_factory=dict)
    secrets: list[Secret] = field(default_factory=list)
    _names: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Reference of a password -> host and user that it is for.
    _accounts: dict[str, tuple[str, str]] = field(default_factory=dict)

    def of(self, login: Login, spot: Spot, notes: list[Note]) -> str | None:
        """The name of a login's connection; None (and a blocking note) when it cannot be told."""
        text = plain(login.url)
        if text is None or not text:
            if login.client:
                return self._of_client(login, spot, notes)
            notes.append(
                Note(spot, f"the JDBC URL {shown(login.url) or '(none)'} is set outside of these files", blocking=True)
            )
            return None
        url, user, held_secret = self._without_secrets(text, login, spot)
        given = plain(login.user)
        if login.user and given is None:
            notes.append(Note(spot, f"the user {shown(login.user)} is set outside of these files: fill it in"))
        name = self._add(url, given or user, login, spot, notes)
        if name is not None and held_secret and self.found[name].password is None:
            self.found[name] = self.found[name].model_copy(update={"password": made_up_reference(name)})
        return name

    def _add(self, url: str, user: str | None, login: Login, spot: Spot, notes: list[Note]) -> str | None:
        key = (url, user or shown(login.user))
        if key in self._names:
            self._password(self._names[key], login, spot, notes)
            return self._names[key]
        kind = kind_of_url(url)
        name = self._name(url, login, kind)
        try:
            connection = Connection(name=name, driver=kind, jdbc_url=url, username=user or None)
        except ValidationError as error:
            notes.append(
                Note(spot, f"{redact_url(url)} is no JDBC URL: {field_problems(error)[0].message}", blocking=True)
            )
            return None
        if kind == GENERIC:
            notes.append(Note(spot, f"no driver of pipekit is for {redact_url(url)}: register one, then name it"))
        for other in get_dialect(kind).drivers[1:]:
            if other.note and url.lower().startswith(other.url_prefix):
                notes.append(Note(spot, other.note))
        self.found[name] = connection
        self._names[key] = name
        self._password(name, login, spot, notes)
        return name

    def _password(self, name: str, login: Login, spot: Spot, notes: list[Note]) -> None:
        reference = self._reference(login, name, spot, notes)
        for part in login.password:
            if isinstance(part, Text) and part.text and not part.text.startswith(("env:", "@", "$")):
                self.secrets.append(Secret(part.spot or spot, part.variable or "password", part.text))
        connection = self.found[name]
        if reference and connection.password is None:
            hidden = [part for part in login.password if isinstance(part, Unknown)]
            if hidden:
                notes.append(Note(spot, f"set {reference} to what {hidden[0].raw} gives"))
            self.found[name] = connection.model_copy(update={"password": reference})

    def _reference(self, login: Login, name: str, spot: Spot, notes: list[Note]) -> str | None:
        """The `$VAR` of a login's password. Scripts of different folders may mean different passwords by one name."""
        reference = password_reference(login.password, name)
        if reference is None:
            return None
        connection = self.found[name]
        host = _HOST.search(connection.jdbc_url)
        account = ((host[1] if host else connection.jdbc_url).lower(), connection.username or "")
        if self._accounts.setdefault(reference, account) != account:
            own = made_up_reference(name)
            if connection.password is None:
                notes.append(
                    Note(spot, f"{own} is what this script calls {reference}, a name that another login has as well")
                )
            self._accounts.setdefault(own, account)
            return own
        return reference

    def _without_secrets(self, url: str, login: Login, spot: Spot) -> tuple[str, str | None, bool]:
        """The URL without login, the user that it named, and whether it held a password."""
        where = login.url[0].spot if login.url and isinstance(login.url[0], Text) and login.url[0].spot else spot
        user = None
        before = len(self.secrets)
        if match := _PASSWORD_PARAMETER.search(url):
            self.secrets.append(Secret(where, "password", match["value"]))
            url = _cut(url, match)
        if match := _USER_PARAMETER.search(url):
            user = match["value"]
            url = _cut(url, match)
        if match := re.match(r"(jdbc:oracle:\w+:)([^/@]+)/([^@]+)@(.*)", url):
            self.secrets.append(Secret(where, "password", match[3]))
            url, user = f"{match[1]}@{match[4]}", match[2]
        if match := re.match(r"(jdbc:\w+://)([^:/@]+):([^@]+)@(.*)", url):
            self.secrets.append(Secret(where, "password", match[3]))
            url, user = match[1] + match[4], match[2]
        if url_holds_secret(url):
            url = redact_url(url)
        return url, user, len(self.secrets) > before

    def _of_client(self, login: Login, spot: Spot, notes: list[Note]) -> str | None:
        database, host, port = plain(login.database), plain(login.host), plain(login.port)
        if not database or host is None or port is None:
            notes.append(Note(spot, f"where {login.client} logs in is set outside of these files", blocking=True))
            return None
        driver = _dialect(login).driver
        assert driver is not None
        if not _dialect(login).needs_login:
            return self._add(driver.url_prefix + database, None, login, spot, notes)
        if not host:
            notes.append(Note(spot, f"{login.client} names no host: 127.0.0.1 is taken"))
        url = f"{driver.url_prefix}//{host or '127.0.0.1'}:{port or driver.default_port}/{database}"
        return self._add(url, plain(login.user) or None, login, spot, notes)

    def matching(self, login: Login, candidate: str | None) -> bool:
        """Whether a client's login is, as far as it says, the one of a known connection."""
        if candidate is None or candidate not in self.found:
            return False
        if not login.client:
            return False
        url = self.found[candidate].jdbc_url.lower()
        dialect, known = _dialect(login), get_dialect(self.found[candidate].driver)
        if not dialect.is_kin(known):
            return False
        if not dialect.needs_login:
            database, file = plain(login.database), known.database_file(url)
            return database is None or (file or "").rsplit("/", 1)[-1] == database.lower().rsplit("/", 1)[-1]
        match = re.match(r"jdbc:\w+://([^:/]*)(?::(\d+))?/([^?;]*)", url)
        if not match:
            return False
        told = plain(login.url)
        database, host = plain(login.database), plain(login.host)
        if told:
            parts = re.match(r"postgres(?:ql)?://(?:[^@/]*@)?([^:/]*)(?::\d+)?/([^?]*)", told)
            host, database = (parts[1], parts[2]) if parts else (host, database)
        same_host = not host or _host(host) == _host(match[1])
        return same_host and (not database or database.lower() == match[3])

    def _name(self, url: str, login: Login, kind: str) -> str:
        variable = login.url[0].variable if login.url and isinstance(login.url[0], Text) else ""
        candidates = [_SUFFIX.sub("", variable)] if variable else []
        match = _DATABASE_NAME.search(url) or _LAST_NAME.search(url)
        candidates += [match[1]] if match else []
        host = _HOST.search(url)
        candidates += [host[1].split(".")[0]] if host and not re.fullmatch(r"localhost|[\d.]+", host[1]) else []
        candidates.append(kind)
        names = [re.sub(r"[^a-z0-9_-]+", "_", item.lower()).strip("_-") for item in candidates]
        names = [name for name in names if name and name not in _NO_NAMES] or [kind]
        for name in names:
            if name not in self.found:
                return name
        number = 2
        while f"{names[0]}_{number}" in self.found:
            number += 1
        return f"{names[0]}_{number}"


def _dialect(login: Login) -> Dialect:
    """The kind of database that a client's login is for."""
    kind = kind_of_client(login.client)
    assert kind is not None
    return get_dialect(kind)


def syntax_of(login: Login) -> SqlSyntax:
    """How SQL is written where a login leads, as far as its URL or its client tells."""
    kind = kind_of_client(login.client) or kind_of_url(plain(login.url) or "")
    return get_dialect(kind).capabilities.syntax


def password_reference(password: Value, connection: str) -> str | None:
    """`$VAR` for a password as a script has it: the variable's own name, or one made from the connection's."""
    if not password:
        return None
    first = password[0]
    if len(password) == 1 and isinstance(first, Environment):
        return f"${first.name}"
    if isinstance(first, Text):
        if first.text.startswith("env:"):
            return f"${first.text[4:]}"
        if first.variable and len(password) == 1:
            return f"${first.variable}"
    return made_up_reference(connection)


def made_up_reference(connection: str) -> str:
    """`$SHOP_PASSWORD` for the connection shop."""
    return f"${re.sub(r'[^A-Z0-9_]', '_', connection.upper())}_PASSWORD"


def _cut(url: str, match: re.Match[str]) -> str:
    rest = url[match.end() :]
    if match["before"] == "?" and rest.startswith("&"):
        return url[: match.start()] + "?" + rest[1:]
    return url[: match.start()] + rest


def _host(name: str) -> str:
    return "127.0.0.1" if name.lower() == "localhost" else name.lower()
