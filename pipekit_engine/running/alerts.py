"""Tells people that a group failed: a webhook (JSON POST) and/or mail, as the configuration's `alerts:` says.

An alert that cannot be sent is logged, without secrets, and never fails a run.
"""

from __future__ import annotations

import json
import logging
import smtplib
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipekit_engine._version import __version__
from pipekit_engine.databases.urls import redact_url
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import reference_key

if TYPE_CHECKING:
    from pipekit_engine.config import AlertsConfig, MailAlert
    from pipekit_engine.models import GroupRunRecord, RunRecord
    from pipekit_engine.security.secrets import Secrets

_log = logging.getLogger(__name__)
#: Port on which mail servers speak TLS from the first byte.
_SMTPS_PORT = 465
#: Characters of one module's error in an alert; the whole of it is in run_log.
_ERROR_LIMIT = 2000


def send_failure(
    alerts: AlertsConfig, secrets: Secrets, group_run: GroupRunRecord, runs: Sequence[RunRecord]
) -> list[str]:
    """Send what the configuration asks for about a failed group run; returns what could not be sent, and why.

    Each way has `timeout_s` for each step of its conversation. Nothing is raised.
    """
    redactor = Redactor(secrets.values())
    problems: list[str] = []

    def attempt(what: str, send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:
            problem = redactor.clean(
                f"The alert about group {group_run.group} could not be sent by {what}: {_why(error)}"
            )
            _log.error("%s", problem)
            problems.append(problem)

    if alerts.webhook is None and alerts.mail is None:
        return problems
    message = redactor.clean(failure_text(group_run, runs))
    if alerts.webhook is not None:
        payload = _cleaned(failure_payload(group_run, runs, message), redactor)
        address = alerts.webhook
        attempt("webhook", lambda: _post(_resolved(address, secrets), payload, alerts.timeout_s))
    if alerts.mail is not None:
        mail = alerts.mail
        attempt("mail", lambda: _mail(mail, secrets, failure_subject(group_run, runs), message, alerts.timeout_s))
    return problems


def failure_subject(group_run: GroupRunRecord, runs: Sequence[RunRecord]) -> str:
    """One line: which group failed, and how much of it."""
    failed = sum(run.status == "error" for run in runs)
    return f"pipekit: group {group_run.group} failed ({failed} of {len(runs)} modules)"


def failure_text(group_run: GroupRunRecord, runs: Sequence[RunRecord]) -> str:
    """Which modules failed and why, for people."""
    lines = [failure_subject(group_run, runs)]
    lines.append(
        f"group run {group_run.id}, started {group_run.started_at:%Y-%m-%d %H:%M:%S} UTC by {group_run.triggered_by}"
    )
    failed = [run for run in runs if run.status == "error"]
    for run in failed:
        lines += ["", f"{run.module} (run {run.id}, phase {run.phase}):", _short(run.error)]
    if not failed and group_run.error:
        lines += ["", _short(group_run.error)]
    if failed:
        lines += ["", f"More: pipekit runs show {failed[0].id}"]
    return "\n".join(lines)


def failure_payload(group_run: GroupRunRecord, runs: Sequence[RunRecord], text: str) -> dict[str, Any]:
    """The webhook's JSON. `text` is what chat services show."""
    return {
        "event": "group_failed",
        "text": text,
        "group": group_run.group,
        "group_run": group_run.id,
        "status": group_run.status,
        "triggered_by": group_run.triggered_by,
        "dagster_run_id": group_run.dagster_run_id,
        "started_at": group_run.started_at.isoformat(),
        "finished_at": group_run.finished_at.isoformat() if group_run.finished_at else None,
        "error": _short(group_run.error),
        "modules": [
            {
                "module": run.module,
                "run": run.id,
                "status": run.status,
                "phase": run.phase,
                "error": _short(run.error) or None,
                "rows_read": run.rows_read,
                "duration_s": run.duration_s,
            }
            for run in runs
        ],
    }


def _short(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= _ERROR_LIMIT else text[:_ERROR_LIMIT] + " …"


def _cleaned(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, str):
        return redactor.clean(value)
    if isinstance(value, dict):
        return {key: _cleaned(item, redactor) for key, item in value.items()}
    return [_cleaned(item, redactor) for item in value] if isinstance(value, list) else value


def _resolved(text: str, secrets: Secrets) -> str:
    """A `$VAR` reference as the secret it stands for; other text as it is."""
    return secrets.resolve(text) if reference_key(text) is not None else text


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without its body: better an error than an alert that nobody gets."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _post(url: str, payload: dict[str, Any], timeout: float) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("alerts.webhook must be an http or https URL")
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": f"pipekit/{__version__}"}
    data = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
    # The scheme is checked above.
    request = urllib.request.Request(url, data=data, headers=headers, method="POST")  # noqa: S310
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=timeout):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise ConnectionError(f"{redact_url(_origin(url))} answered {error.code} {error.reason}") from None


def _origin(url: str) -> str:
    """Scheme and host: a webhook's path is often its password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")


def _mail(mail: MailAlert, secrets: Secrets, subject: str, text: str, timeout: float) -> None:
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.to)
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=mail.sender.rpartition("@")[2] or None)
    message.set_content(text, cte="quoted-printable")
    password = secrets.resolve(mail.password) if mail.password is not None else None
    with _connect(mail, timeout) as server:
        if mail.username is not None:
            server.login(mail.username, password or "")
        refused = server.send_message(message)
    if refused:
        raise ConnectionError(f"{mail.host} refused {', '.join(refused)}")


def _connect(mail: MailAlert, timeout: float) -> smtplib.SMTP:
    # The plain host name: asking DNS for the full one can take longer than the mail.
    name = socket.gethostname()
    if mail.port == _SMTPS_PORT:
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(mail.host, mail.port, name, timeout=timeout, context=context)
    server = smtplib.SMTP(mail.host, mail.port, name, timeout=timeout)
    if mail.starttls:
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _why(error: Exception) -> str:
    """An error for people: the system's words for a connection that failed, without a traceback."""
    reason = getattr(error, "reason", None)
    return str(reason if isinstance(reason, Exception) else error) or type(error).__name__
