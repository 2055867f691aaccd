"""Alerts: what a failed group sends, and that nothing which goes wrong with them is an error of the run or shows a secret."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pipekit_engine.config import AlertsConfig, MailAlert
from pipekit_engine.models import GroupRunRecord, RunRecord
from pipekit_engine.running.alerts import send_failure
from pipekit_engine.security.secrets import Secrets

SENTINEL = "s3ntinel-pa55"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
GROUP = GroupRunRecord(
    id=7, group="nightly", status="error", triggered_by="schedule:1", started_at=NOW, finished_at=NOW, error="b: x"
)


def run(number: int, module: str, status: str, error: str | None = None) -> RunRecord:
    return RunRecord.model_validate(
        {
            "id": number,
            "module": module,
            "status": status,
            "phase": "stage",
            "triggered_by": "schedule:1",
            "started_at": NOW,
            "finished_at": NOW,
            "error": error,
        }
    )


RUNS = [run(1, "a", "success"), run(2, "b", "error", f"login with {SENTINEL} failed\nin: SELECT 'é'")]


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    found = Secrets.load(tmp_path / "secrets.env")
    found.set("DW", SENTINEL)
    return found


class Hook(BaseHTTPRequestHandler):
    """Keeps what it is sent; answers as its path asks."""

    received: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, json.loads(body)))
        status = {"/fail": 500, "/moved": 302}.get(self.path, 204)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def webhook() -> Iterator[str]:
    Hook.received = []
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Hook)) as port:
        yield f"http://127.0.0.1:{port}"


class Smtp(socketserver.StreamRequestHandler):
    """As much of a mail server as a client needs to hand a message over."""

    said: ClassVar[list[str]] = []
    messages: ClassVar[list[bytes]] = []
    refuse = False

    def handle(self) -> None:
        self._reply("220 here")
        while line := self.rfile.readline().decode().rstrip("\r\n"):
            verb = line.split(" ", 1)[0].upper()
            self.said.append(line)
            if verb == "EHLO":
                self._reply("250-here\r\n250 AUTH PLAIN")
            elif verb == "DATA":
                self._reply("354 go on")
                self.messages.append(b"".join(iter(self.rfile.readline, b".\r\n")))
                self._reply("250 taken")
            elif verb == "QUIT":
                self._reply("221 bye")
                return
            else:
                self._reply("550 no" if self.refuse and verb == "RCPT" else "235 in" if verb == "AUTH" else "250 ok")

    def _reply(self, text: str) -> None:
        self.wfile.write((text + "\r\n").encode())


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def smtp_port() -> Iterator[int]:
    Smtp.said, Smtp.messages, Smtp.refuse = [], [], False
    with serving(_TcpServer(("127.0.0.1", 0), Smtp)) as port:
        yield port


def mail(port: int, **fields: Any) -> AlertsConfig:
    return AlertsConfig(mail=MailAlert(host="127.0.0.1", port=port, sender="pipekit@x.org", to=["dba@x.org"], **fields))


def test_nothing_configured_sends_nothing(secrets: Secrets) -> None:
    assert send_failure(AlertsConfig(), secrets, GROUP, RUNS) == []


def test_a_webhook_gets_which_modules_failed_and_why(secrets: Secrets, webhook: str) -> None:
    assert send_failure(AlertsConfig(webhook=webhook + "/hook"), secrets, GROUP, RUNS) == []
    ((path, body),) = Hook.received
    assert path == "/hook"
    assert (body["event"], body["group"], body["group_run"], body["triggered_by"]) == (
        "group_failed",
        "nightly",
        7,
        "schedule:1",
    )
    assert [(module["module"], module["status"]) for module in body["modules"]] == [("a", "success"), ("b", "error")]
    assert body["text"].splitlines()[0] == "pipekit: group nightly failed (1 of 2 modules)"
    assert "login with *** failed\nin: SELECT 'é'" in body["text"]
    assert SENTINEL not in json.dumps(body)


def test_a_webhook_may_be_a_secret(secrets: Secrets, webhook: str) -> None:
    secrets.set("HOOK", webhook + "/s3cret-path")
    assert send_failure(AlertsConfig(webhook="$HOOK"), secrets, GROUP, RUNS) == []
    assert Hook.received[0][0] == "/s3cret-path"


@pytest.mark.parametrize(
    ("path", "reason"), [("/fail", "answered 500"), ("/moved", "answered 302"), (f"/fail?token={SENTINEL}", "")]
)
def test_a_webhook_that_refuses_is_told_and_logged(
    secrets: Secrets, webhook: str, path: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    problems = send_failure(AlertsConfig(webhook=webhook + path), secrets, GROUP, RUNS)
    assert all(reason in problem for problem in problems)
    if reason:
        assert len(problems) == 1
        assert problems[0] in caplog.text
    assert SENTINEL not in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/x", "ftp://x/y", "nonsense", "$UNSET"])
def test_a_webhook_that_cannot_be_reached_never_raises(secrets: Secrets, address: str) -> None:
    (problem,) = send_failure(AlertsConfig(webhook=address), secrets, GROUP, RUNS)
    assert problem.startswith("The alert about group nightly could not be sent by webhook: ")


def test_a_silent_server_is_given_up(secrets: Secrets) -> None:
    with _TcpServer(("127.0.0.1", 0), Smtp) as server:  # accepts, never answers
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        (problem,) = send_failure(AlertsConfig(webhook=address, timeout_s=0.3), secrets, GROUP, RUNS)
    assert "timed out" in problem


def test_mail(secrets: Secrets, smtp_port: int) -> None:
    assert send_failure(mail(smtp_port), secrets, GROUP, RUNS) == []
    message = message_from_bytes(Smtp.messages[0], policy=policy.default)
    assert message["Subject"] == "pipekit: group nightly failed (1 of 2 modules)"
    assert (message["From"], message["To"]) == ("pipekit@x.org", "dba@x.org")
    text = message.get_content()  # type: ignore[attr-defined]
    assert "b (run 2, phase stage):" in text
    assert "in: SELECT 'é'" in text
    assert SENTINEL not in text


def test_mail_logs_in_with_a_secret(secrets: Secrets, smtp_port: int) -> None:
    assert send_failure(mail(smtp_port, username="u", password="$DW"), secrets, GROUP, RUNS) == []
    assert any(line.startswith("AUTH PLAIN ") for line in Smtp.said)


def test_mail_that_is_refused_or_has_no_server_never_raises(secrets: Secrets, smtp_port: int) -> None:
    Smtp.refuse = True
    (refused,) = send_failure(mail(smtp_port), secrets, GROUP, RUNS)
    assert "could not be sent by mail" in refused
    (unreachable,) = send_failure(mail(1), secrets, GROUP, RUNS)
    assert "refused" in unreachable
    (no_tls,) = send_failure(mail(smtp_port, starttls=True), secrets, GROUP, RUNS)
    assert "STARTTLS" in no_tls


def test_one_way_that_fails_does_not_stop_the_other(secrets: Secrets, smtp_port: int) -> None:
    both = AlertsConfig(webhook="http://127.0.0.1:1/", mail=mail(smtp_port).mail)
    assert len(send_failure(both, secrets, GROUP, RUNS)) == 1
    assert len(Smtp.messages) == 1
