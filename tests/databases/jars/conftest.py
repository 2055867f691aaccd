"""A Maven repository on this machine that serves a real driver's jar, and misbehaves where a test asks it to."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import Project
from tests.conftest import unavailable

#: A real jar, and the coordinate under which it is served: a version that is not pinned.
H2_JAR = Path("/usr/share/java/h2.jar")
VERSION = "2.1.214"
H2_PATH = f"com/h2database/h2/{VERSION}/h2-{VERSION}.jar"


@dataclass
class Repo:
    """Path -> content; `rules` replace the answer for a path. `seen` holds (path, Authorization) of each request."""

    files: dict[str, bytes] = field(default_factory=dict)
    rules: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    login: str | None = None
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/maven2"

    def add_jar(self, path: str, content: bytes, *, checksums: tuple[str, ...] = ("sha1",)) -> None:
        """Serve a jar with its checksums beside it, as repositories do."""
        self.files[path] = content
        for kind in checksums:
            self.files[f"{path}.{kind}"] = hashlib.new(kind, content).hexdigest().encode()


def serve(repo: Repo) -> ThreadingHTTPServer:
    """Start a server for it; the caller shuts it down."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.removeprefix("/maven2/")
            repo.seen.append((path, self.headers.get("Authorization")))
            if repo.login and self.headers.get("Authorization") != repo.login:
                self.send_error(401)
            elif path in repo.rules:
                repo.rules[path](self)
            elif path in repo.files:
                answer(self, repo.files[path])
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    repo.port = server.server_port
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def answer(handler: BaseHTTPRequestHandler, content: bytes, *, length: int | None = None) -> None:
    """Status 200 with this content; `length` lies about its size."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content) if length is None else length))
    handler.end_headers()
    handler.wfile.write(content)


def silent(until: threading.Event) -> Callable[[BaseHTTPRequestHandler], None]:
    """A rule: say that much is coming, then nothing more."""

    def rule(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"PK")
        handler.wfile.flush()
        until.wait()

    return rule


def dripping(until: threading.Event) -> Callable[[BaseHTTPRequestHandler], None]:
    """A rule: send on and on."""

    def rule(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not until.wait(0.05):
                handler.wfile.write(b"PK" * 40_000)
                handler.wfile.flush()

    return rule


@pytest.fixture(scope="session")
def h2_jar() -> bytes:
    if not H2_JAR.exists():
        unavailable(f"{H2_JAR} is not there; on Debian: apt-get install libh2-java (a jar)")
    return H2_JAR.read_bytes()


@pytest.fixture
def repo(h2_jar: bytes) -> Iterator[Repo]:
    """A repository that has H2."""
    repo = Repo()
    repo.add_jar(H2_PATH, h2_jar)
    server = serve(repo)
    yield repo
    server.shutdown()
    server.server_close()


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A folder for the command, with nothing in it."""
    return Project(tmp_path)
