"""The pages as a browser sees them: the real application behind the real login, asked over ASGI."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pipekit_engine.config import Config, load_config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.models import RECORD_TYPES, Connection, Group, Module, NamedRecord, Schedule, Trigger, Watermark
from pipekit_engine.store import Change, Store
from pipekit_web.api.answers import DagsterRun
from pipekit_web.app import build_pages
from pipekit_web.launching import Begun, Wanted
from pipekit_web.server import auth
from pipekit_web.server.auth import RANKS, Users, set_password, users_file
from pipekit_web.server.middleware import Login
from pipekit_web.server.tokens import Tokens

#: Cost of a password's hash: the real one is for the tests of the login.
_CHEAP = 2**8
PASSWORD = "correct horse"
HOST = "pipekit.example:3000"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def token(self) -> str:
        """The token of the page's forms."""
        found = re.search(r'"x-form-token": "([0-9a-f]+)"', self.text)
        assert found is not None, self.text[:500]
        return found[1]


class FakeLauncher:
    """Notes what it was asked for."""

    dagster = False

    def __init__(self) -> None:
        self.wanted: list[Wanted] = []
        self.begun = Begun(run_id=1)

    def start(self, request: Any, store: Store, wanted: Wanted) -> str:
        self.wanted.append(wanted)
        return "ticket"

    def look(self, request: Any, store: Store, ticket: str) -> Begun:
        return self.begun

    def describe(self, request: Any, store: Store, ticket: str) -> DagsterRun:
        return DagsterRun(dagster_run_id=ticket, job="", status="started", tags={}, runs=[])


@dataclass
class Browser:
    """A person's browser: keeps the cookie, sends what browsers send."""

    app: Any
    cookie: str = ""
    user: str = ""
    token: str = ""
    sent: dict[str, str] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        target: str,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request."""
        path, _, query = target.partition("?")
        body = urlencode(form or {}).encode() if body is None else body
        fields = {
            "host": HOST,
            "accept": "text/html",
            "sec-fetch-mode": "navigate",
            "sec-fetch-site": "same-origin",
            **({"cookie": self.cookie} if self.cookie else {}),
            **({"content-type": "application/x-www-form-urlencoded"} if method == "POST" else {}),
            **(headers or {}),
        }
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": ("127.0.0.1", 1),
            "server": ("pipekit.example", 3000),
            "scheme": "http",
        }
        sent: list[Any] = []
        asked = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            found = next(asked, None)
            if found is None:
                await asyncio.sleep(3600)
            return found

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        got = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        cookie = re.match(r"pipekit_session=[^;]*", got.get("set-cookie", ""))
        if cookie is not None:
            self.cookie = cookie[0]
        return Answer(sent[0]["status"], got, b"".join(item.get("body", b"") for item in sent[1:]).decode())

    def get(self, target: str) -> str:
        """The text of a page that answers 200."""
        answer = self.ask("GET", target)
        assert answer.status == 200, answer.text
        return answer.text

    def post(self, target: str, **form: str) -> Answer:
        """Send a form of a page."""
        self.token = self.token or self.ask("GET", "/pipekit/secrets").token
        return self.ask("POST", target, {"form_token": self.token, **form})

    def log_in(self, user: str) -> Browser:
        """Open a session by the form."""
        answer = self.ask("POST", "/pipekit/login", {"user": user, "password": PASSWORD, "next": "/pipekit/runs"})
        assert (answer.status, answer.headers["location"]) == (303, "/pipekit/runs"), answer.text
        self.user = user
        return self


class Site:
    """A state store with some definitions, users of each role, and the application on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: Config = load_config(folder / "pipekit.yaml")
        self.launcher = FakeLauncher()
        pages, tokens = build_pages(self.config, self.launcher), Tokens(self.config.database_url)
        self.app = Login(pages, Users(users_file(self.config)), local_only=False, tokens=tokens)

    def fill(self) -> None:
        """Make the store and all that is in it."""
        Store.init(self.config.database_url)
        self.save(*builtin_drivers())
        self.save(
            Connection(name="src", driver="sqlite", jdbc_url="jdbc:sqlite:src.db"),
            Connection(name="dw", driver="sqlite", jdbc_url="jdbc:sqlite:dw.db", password="$DW_PASSWORD"),
            Module(
                name="items",
                source="src",
                dest="dw",
                query="SELECT id, name, at FROM items WHERE at >= '{since}'",
                dest_table="items",
                strategy="upsert",
                merge_key=("id",),
                watermarks=(
                    Watermark(name="since", connection="dw", resolver_sql="SELECT max(at) FROM items", default="2000"),
                ),
            ),
            Module(name="copy", source="src", dest="dw", query="SELECT 1 AS x", dest_table="copy", strategy="full"),
            Group(name="good", layers=(("items",), ("copy",))),
            Schedule(name="nightly", group="good", cron="0 2 * * *", timezone="Europe/Paris"),
            Trigger(name="changed", group="good", kind="watermark", connection="src", sql="SELECT max(at) FROM items"),
        )
        for role in RANKS:
            set_password(self.config, role, PASSWORD, role)

    def save(self, *records: NamedRecord) -> None:
        """Put records into the store."""
        kinds = {model: kind for kind, model in RECORD_TYPES.items()}
        with self.store() as store:
            store.definitions.save([Change("create", kinds[type(item)], item.name, item) for item in records])

    def add_run(self, module: str, status: str = "success", **values: Any) -> int:
        """A run that has ended, or with status `running` has not."""
        with self.store() as store:
            started = store.runs.start(module, triggered_by="user:ada")
            assert started is not None
            store.runs.append_log(started[0], values.pop("live_log", "reading\n"))
            if status != "running":
                store.runs.finish(started[0], status, **values)
        return started[0]

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The open state store."""
        with Store.open(self.config.database_url) as store:
            yield store

    def browser(self, user: str = "") -> Browser:
        """A new browser, logged in as the user of that role."""
        found = Browser(self.app)
        return found.log_in(user) if user else found


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that is only ever copied."""
    folder = tmp_path_factory.mktemp("template")
    (folder / "pipekit.yaml").write_text("database: pipekit.db\nsecrets: secrets.env\n")
    (folder / "secrets.env").touch(mode=0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PIPEKIT_USERS", raising=False)
        patch.setitem(auth._SCRYPT, "n", _CHEAP)
        Site(folder).fill()
    return folder


@pytest.fixture
def site(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site of this test's own."""
    monkeypatch.delenv("PIPEKIT_USERS", raising=False)
    monkeypatch.setitem(auth._SCRYPT, "n", _CHEAP)
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Site(tmp_path)
