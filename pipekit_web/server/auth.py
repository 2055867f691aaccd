"""Who may use what pipekit serves: users, password hashes, session cookies.

Users stand in `pipekit-users.json` beside the configuration file (`PIPEKIT_USERS` names another). Passwords are kept as scrypt
hashes. Roles, each may do what the one before may: a `viewer` sees everything and changes nothing; an `operator` runs,
cancels, unlocks and switches schedules; an `editor` changes definitions and sets secrets; an `admin` may do everything.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from pipekit_engine.common.files import locked, write_private
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.store.audit import BY_TOKEN, BY_USER

if TYPE_CHECKING:
    from pipekit_engine.config import Config

Role = Literal["operator", "editor", "admin", "viewer"]
#: From the one who may least.
RANKS: tuple[Role, ...] = ("viewer", "operator", "editor", "admin")

_USERS_FILE = "pipekit-users.json"
#: scrypt's cost: 32 MiB and some 80 ms a try, as its authors advise for interactive logins.
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}
MIN_PASSWORD_CHARS = 8


@dataclass(frozen=True)
class User:
    """A person who may log in, or a program with a token. `hash` is `salt$digest` of the password, both in hex."""

    name: str
    role: Role
    hash: str
    is_token: bool = False

    @property
    def by(self) -> str:
        """The user as the audit and runs name them: `user:ada`, `token:ci`; `user:anyone` where no login is asked for."""
        return f"{BY_TOKEN if self.is_token else BY_USER}{self.name}"

    @property
    def fingerprint(self) -> str:
        """Changes with the password and the role; ends sessions that were opened before."""
        return hashlib.sha256(f"{self.role}:{self.hash}".encode()).hexdigest()[:16]

    def may(self, role: Role) -> bool:
        """Whether this user may do what one of that role may."""
        return RANKS.index(self.role) >= RANKS.index(role)


#: Everyone, where no password is set: then the server is bound to this machine only.
ANYONE = User("anyone", "admin", "")


#: Is given the users before a change, which nobody else makes meanwhile; raises ConfigurationError to refuse it.
Check: TypeAlias = Callable[[dict[str, User]], None]


def users_file(config: Config) -> Path:
    """Where the users stand."""
    named = os.environ.get("PIPEKIT_USERS")
    return Path(named) if named else config.folder / _USERS_FILE


def set_password(config: Config, user: str, password: str, role: str | None = None, check: Check | None = None) -> Path:
    """Create a user or change their password; returns the file that was written. `check` may refuse it.

    `role` is one of `RANKS`; None keeps the role of a user who exists and makes a new one admin. Sessions opened with the old
    password end. Raises ConfigurationError for a name, password or role that cannot be.
    """
    if not user or ":" in user or any(ord(char) < 32 for char in user):
        raise ConfigurationError("A user's name must not be empty, nor hold ':' (HTTP Basic ends the name there).")
    if len(password) < MIN_PASSWORD_CHARS:
        raise ConfigurationError(f"A password has at least {MIN_PASSWORD_CHARS} characters.")
    known = get_args(Role)
    if role is not None and role not in known:
        raise ConfigurationError(f"{role!r} is not a role; roles are {', '.join(known[:-1])} and {known[-1]}.")
    hashed = _hash(password, secrets.token_bytes(16))
    with _changing(config, check) as users:
        users[user] = {"role": role or users.get(user, {}).get("role", "admin"), "scrypt": hashed}
    return users_file(config)


def set_role(config: Config, user: str, role: str, check: Check | None = None) -> None:
    """Change what a user may do; their sessions end. Raises ConfigurationError for no such user or role."""
    with _changing(config, check) as users:
        if user not in users or role not in RANKS:
            raise ConfigurationError(f"There is no user {user!r}, or no role {role!r}.")
        users[user]["role"] = role


def remove_user(config: Config, user: str, check: Check | None = None) -> None:
    """Take a user away; their sessions end. Raises ConfigurationError when there is no such user."""
    with _changing(config, check) as users:
        if user not in users:
            raise ConfigurationError(f"There is no user {user!r} in {users_file(config)}.")
        del users[user]


@contextmanager
def _changing(config: Config, check: Check | None) -> Iterator[dict[str, dict[str, str]]]:
    """The users as the file has them, to be changed: nobody else changes them meanwhile. `check` is given them as they are."""
    path = users_file(config)
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path))
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be changed: {error.strerror}") from None
        data = _read(path)
        if check is not None:
            check(_users_of(data))
        yield data["users"]
        _write(path, data)


def _hash(password: str, salt: bytes) -> str:
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_SCRYPT).hex()}"


def _matches(password: str, stored: str) -> bool:
    return hmac.compare_digest(_hash(password, bytes.fromhex(stored.partition("$")[0])), stored)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {"cookie_key": secrets.token_hex(32), "users": {}}
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        data: dict[str, Any] = json.loads(text)
        for name, entry in data["users"].items():
            bytes.fromhex(entry["scrypt"].partition("$")[0])
            if entry["role"] not in get_args(Role):
                raise ValueError(f"user {name} has no such role")
        bytes.fromhex(data["cookie_key"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: is not a file of users ({error}); move it away and set the passwords anew."
        ) from None
    return data


def _users_of(data: dict[str, Any]) -> dict[str, User]:
    return {name: User(name, entry["role"], entry["scrypt"]) for name, entry in data["users"].items()}


def _write(path: Path, data: dict[str, Any]) -> None:
    """Replace the file in one step. A new file can be read by its owner, and by the folder's group when root makes it."""
    root = os.geteuid() == 0
    try:
        folder_group = path.parent.stat().st_gid
        shared = root and folder_group != 0
        write_private(
            path,
            json.dumps(data, indent=2, sort_keys=True) + "\n",
            mode=0o640 if shared else 0o600,
            group=folder_group if shared else -1,
            keep_owner=root,
        )
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}") from None


class Users:
    """The users file as the web server sees it: read again whenever it changes, logins remembered in memory.

    Checking a password costs 80 ms and 32 MiB, too much for each of the UI's many requests, so a pair that was right is
    remembered under a keyed hash until the file changes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._users: dict[str, User] = {}
        self._cookie_key = b""
        self._memory_key = secrets.token_bytes(32)
        self._remembered: dict[bytes, str] = {}
        #: Sessions that were ended, by their signatures, until the moment at which each would have ended by itself.
        self._ended: dict[str, float] = {}
        #: For forms while there are no users.
        self._form_key = secrets.token_bytes(32)

    def all(self) -> dict[str, User]:
        """The users by name, as the file says now."""
        with self._guard:
            self._refresh()
            return dict(self._users)

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
        except FileNotFoundError:
            self._stamp, self._users, self._remembered = None, {}, {}
            return
        if stamp != self._stamp:
            data = _read(self._path)
            self._users = _users_of(data)
            self._cookie_key = bytes.fromhex(data["cookie_key"])
            self._remembered.clear()
            self._stamp = stamp

    def remembered(self, name: str, password: str) -> User | None:
        """The user, if this very pair was right before. Takes no time."""
        with self._guard:
            self._refresh()
            return self._users.get(self._remembered.get(self._memory(name, password), ""))

    def login(self, name: str, password: str) -> User | None:
        """The user, if the password is right. Takes 80 ms, also for a name that does not exist."""
        user = self.all().get(name)
        matches = _matches(password, user.hash if user else f"{'0' * 32}${'0' * 128}")
        if user is None or not matches:
            return None
        with self._guard:
            self._remembered[self._memory(name, password)] = name
        return user

    def _memory(self, name: str, password: str) -> bytes:
        return hmac.digest(self._memory_key, f"{name}:{password}".encode(), "sha256")

    def cookie(self, user: User, lifetime_s: int) -> str:
        """A signed session for a user who has logged in."""
        text = json.dumps([user.name, int(time.time()) + lifetime_s, user.fingerprint])
        body = base64.urlsafe_b64encode(text.encode()).decode()
        return f"{body}.{self._sign(body)}"

    def from_cookie(self, cookie: str) -> tuple[User, float] | None:
        """The user of a session and the seconds that it lasts; None when it was forged, has ended, or the password changed."""
        users = self.all()
        body, _, signature = cookie.partition(".")
        if not users or not hmac.compare_digest(self._sign(body).encode(), signature.encode("utf-8", "replace")):
            return None
        try:
            name, until, fingerprint = json.loads(base64.urlsafe_b64decode(body))
        except (ValueError, binascii.Error):
            return None
        user = users.get(name)
        left = until - time.time()
        if signature in self._ended:
            return None
        if user is None or left <= 0 or not hmac.compare_digest(user.fingerprint, fingerprint):
            return None
        return user, left

    def end_session(self, cookie: str) -> None:
        """Take a session's cookie no more, as long as this process lives."""
        found = self.from_cookie(cookie)
        if found is None:
            return
        now = time.time()
        with self._guard:
            self._ended = {signature: until for signature, until in self._ended.items() if until > now}
            self._ended[cookie.partition(".")[2]] = now + found[1]

    def was_ended(self, cookie: str) -> bool:
        """Whether a session's cookie was ended by its user."""
        with self._guard:
            return cookie.partition(".")[2] in self._ended

    def form_token(self, user: User) -> str:
        """A text that only pages for this user hold; it changes with their password and role."""
        key = self._cookie_key if self.all() else self._form_key
        return hmac.new(key, f"form:{user.name}:{user.fingerprint}".encode(), "sha256").hexdigest()

    def _sign(self, body: str) -> str:
        return hmac.new(self._cookie_key, body.encode("utf-8", "replace"), "sha256").hexdigest()
