"""One archive with what somebody needs who helps from afar, and no secret in it.

Three nets keep secrets out. Known values (the secrets file, what connections name of other places, passwords in the
configuration, in dagster.yaml, in options of connections, in the environment) are removed wherever they appear, in every form
that programs write them in. URLs lose their passwords. And what merely looks like a password (`password=...`, `IDENTIFIED BY
'...'`) goes too, known or not.
A secrets file that cannot be read is an error: its values could not be removed.
"""

from __future__ import annotations

import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from pipekit_engine import __version__
from pipekit_engine.common.files import new_file
from pipekit_engine.common.text import first_line
from pipekit_engine.errors import PipekitError
from pipekit_engine.security.redact import STARS, Redactor, is_secret_name
from pipekit_engine.security.secrets import Secrets, reference_key

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.store import Store

_PACKAGES = (
    "dagster",
    "dagster-webserver",
    "dagster-postgres",
    "sqlalchemy",
    "alembic",
    "pydantic",
    "psycopg",
    "typer",
)
_ENVIRONMENT = (
    "PIPEKIT_CONFIG",
    "PIPEKIT_SECRETS",
    "PIPEKIT_USERS",
    "PIPEKIT_JARS",
    "DAGSTER_HOME",
    "JAVA_HOME",
    "TZ",
    "LANG",
)
#: Characters kept of one log: its end, where the trouble stands.
LOG_TAIL = 200_000
_RUN_OUTPUTS = 20
_JOURNAL_LINES = "3000"
_UNIT = Path("/etc/systemd/system/pipekit.service")

#: A quoted value: as SQL and programs write it, and once more quoted by JSON (\"...\") or YAML (''...'').
_QUOTED = r"""\\+"[^"\\]*\\+"|''[^']+''|""[^"]+""|"(?:[^"\\]|\\.|"")*"|'(?:[^'\\]|\\.|'')*'"""
_QUOTES_BEFORE, _QUOTES_AFTER = re.compile(r"""[\\"']*"""), re.compile(r"""[\\"']*$""")
#: Only from the start of a word on: a megabyte without a blank is looked through once.
_NAME = r"(?<![\w.-])[\w.-]*(?:passw|pwd|passphrase|secret|token|credential|api_?key|access_?key|private_?key)[\w.-]*"
#: name = value, name: value, "name": "value", --name value.
_ASSIGNED = re.compile(
    rf"""(?P<head>(?P<name>{_NAME})\\*["']?\s*(?:=>|:=|[=:])\s*|(?P<flag>(?=--){_NAME})\s+)(?P<value>{_QUOTED}|[^\s,;&)}}\]"']+)""",
    re.IGNORECASE,
)
#: SQL that gives a login its password, and HTTP's own.
_SPOKEN = re.compile(
    rf"(?P<head>\b(?:IDENTIFIED\s+BY|PASSWORD)\s+|\b(?:Basic|Bearer)\s+)(?P<value>{_QUOTED}|[A-Za-z0-9+/=._~-]{{8,}})",
    re.IGNORECASE,
)
_HARMLESS = {"", "true", "false", "yes", "no", "none", "null", STARS}


@dataclass(frozen=True)
class BundleReport:
    """What was written. `problems` are the parts that could not be collected, with the reason."""

    file: Path
    size: int
    members: list[str]
    problems: list[str]


class Scrubber:
    """Takes secrets out of text: those that are known, and what looks like one."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = Redactor([value for value in known if value.lower() not in _HARMLESS])

    def clean(self, text: str) -> str:
        """The text without secrets. References such as $VAR stay: they are no secrets."""
        text = self._known.clean(text)
        return _SPOKEN.sub(_starred, _ASSIGNED.sub(_starred, text))


def _starred(match: re.Match[str]) -> str:
    value, names = match["value"], match.groupdict()
    bare = value.strip("\\\"'")
    # The key `secrets` names a file.
    if reference_key(bare) or bare.lower() in _HARMLESS or (names.get("name") or "").lower() == "secrets":
        return match[0]
    before, after = _QUOTES_BEFORE.match(value), _QUOTES_AFTER.search(value)
    return f"{match['head']}{before[0] if before else ''}{STARS}{after[0] if after else ''}"


def write_bundle(
    config: Config,
    target: Path,
    *,
    runs: int = 50,
    logs: Sequence[Path] = (),
    dagster_home: Path | None = None,
    force: bool = False,
) -> BundleReport:
    """Collect everything into `target`, a .tar.gz of mode 0600.

    What cannot be collected is named in the bundle and in the report, and the rest is written. Raises SecretError when the
    secrets file cannot be read, ConfigurationError when `target` cannot be written.
    """
    secrets = Secrets.of(config)
    bundle = _Bundle(config, dagster_home, secrets)
    with new_file(target, force=force) as fresh:
        bundle.collect(runs, logs)
        scrubber = Scrubber([*secrets.values(), *bundle.found_secrets()])
        members = {name: scrubber.clean(text) for name, text in bundle.parts.items()}
        folder = f"pipekit-support-{datetime.now(timezone.utc):%Y%m%dT%H%M%S}"
        with tarfile.open(fresh, "w:gz") as archive:
            for name, text in members.items():
                content = text.encode("utf-8", "replace")
                info = tarfile.TarInfo(f"{folder}/{name}")
                info.size, info.mode, info.mtime = len(content), 0o600, int(time.time())
                archive.addfile(info, io.BytesIO(content))
        size = fresh.stat().st_size
    return BundleReport(target, size, list(members), [scrubber.clean(problem) for problem in bundle.problems])


class _Bundle:
    """The parts of a bundle as text, before anything is taken out of them."""

    def __init__(self, config: Config, dagster_home: Path | None, secrets: Secrets) -> None:
        self.parts: dict[str, str] = {}
        self.problems: list[str] = []
        self._config = config
        self._home = dagster_home
        self._options: list[str] = []
        self._secrets = secrets

    def collect(self, runs: int, logs: Sequence[Path]) -> None:
        """Every part, each by itself: one that fails is a problem of its own."""
        # What is, before the doctor looks: it releases locks of dead processes.
        self._add("about.json", self._about)
        self._add("config.yaml", self._configuration)
        self._from_store(runs)
        self._add("doctor.txt", self._doctor)
        if self._home is not None:
            self._dagster(self._home)
        self._add("journal.txt", _journal)
        for log in logs:
            self._add(f"logs/{log.name}", lambda log=log: _tail_of(log))  # type: ignore[misc]
        if self.problems:
            self.parts["problems.txt"] = "\n".join(self.problems) + "\n"

    def found_secrets(self) -> Iterator[str]:
        """Values that stand in what was collected where a secret stands."""
        yield from self._options
        yield from _secrets_in(_yaml(self.parts.get("config.yaml", "")))
        yield from _secrets_in(_yaml(self.parts.get("dagster/dagster.yaml", "")))
        yield from _url_passwords(self._config.database)
        if self._config.alerts.webhook and not reference_key(self._config.alerts.webhook):
            # The address of a webhook is what lets one post there.
            yield self._config.alerts.webhook
            yield from (part for part in urlsplit(self._config.alerts.webhook).path.split("/") if len(part) > 8)
        yield from (value for name, value in os.environ.items() if is_secret_name(name))

    def _add(self, name: str, make: Callable[[], str | None]) -> None:
        try:
            text = make()
        except Exception as error:  # whatever is broken is why somebody wants the bundle
            self.problems.append(f"{name}: {type(error).__name__}: {error}")
            return
        if text is not None:
            self.parts[name] = text

    def _about(self) -> str:
        from pipekit_engine.jrunner.locate import find_java

        def java() -> str:
            found = find_java(self._config.jrunner.java)
            return f"{found.path} {found.version}"

        free = shutil.disk_usage(self._config.folder).free
        return _json(
            {
                "made_at": datetime.now(timezone.utc),
                "pipekit": __version__,
                "python": f"{sys.version} at {sys.executable}",
                "packages": {name: found for name in _PACKAGES if (found := _version(name))},
                "system": platform.platform(),
                "java": _attempt(java),
                "cpus": os.cpu_count(),
                "bytes_free": free,
                "environment": {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                "config": str(self._config.path) if self._config.path else None,
            }
        )

    def _configuration(self) -> str | None:
        # Read and written anew: a comment may hold anything.
        return _plain_yaml(self._config.path) if self._config.path else None

    def _from_store(self, runs: int) -> None:
        from pipekit_engine.store import Store

        try:
            store = Store.open(self._config.database_url)
        except Exception as error:
            self.problems.append(f"state store: {error}")
            return
        with store:
            self._add("state.json", lambda: self._state(store))
            self._add("definitions.yaml", lambda: self._definitions(store))
            self._add("runs.json", lambda: _json([run.as_json() for run in store.runs.list(limit=runs)]))
            for run in store.runs.list(limit=runs):
                self._add(f"runs/{run.id}-{run.module}.txt", lambda number=run.id: _run_text(store, number))  # type: ignore[misc]

    def _state(self, store: Store) -> str:
        from pipekit_engine.store.upgrade import HEAD

        loaded, broken = store.definitions.load_checked()
        return _json(
            {
                "where": store.where,
                "revision": HEAD,
                "locks": [f"{lease.what} {lease.name}: {lease.describe()}" for lease in store.leases.all()],
                "broken_definitions": [f"{item.kind} {item.name}: {item.problem}" for item in broken],
                "last_fired_at": {name: store.ticks.last_fired_at(name) for name in loaded.schedules},
                "trigger_cursors": {name: store.ticks.trigger_cursor(name) for name in loaded.triggers},
                "group_runs": [record.model_dump(mode="json") for record in store.group_runs.list(limit=50)],
            }
        )

    def _definitions(self, store: Store) -> str:
        from pipekit_engine.definitions.export import to_yaml

        loaded, _ = store.definitions.load_checked()
        for connection in loaded.connections.values():
            self._options += [value for name, value in connection.options.items() if is_secret_name(name)]
            self._options += _url_passwords(connection.jdbc_url)
            for text in (connection.password or "", *connection.options.values()):
                if reference_key(text) is not None:
                    self._resolve(text)
        return to_yaml(loaded)

    def _resolve(self, reference: str) -> None:
        """Learn the value of a secret that may be kept elsewhere than in the file: a run may have told it."""
        try:
            self._options.append(self._secrets.resolve(reference))
        except PipekitError as error:
            self.problems.append(f"{reference}: {first_line(error)}")

    def _doctor(self) -> str:
        from pipekit_engine.operations.doctor import run_checks

        signs = {True: "ok     ", False: "problem", None: "note   "}
        lines = []
        for check in run_checks(self._config):
            lines.append(f"{signs[check.ok]}  {check.name}: {check.detail}")
            if check.fix and check.ok is not True:
                lines.append(f"         fix: {check.fix}")
        return "\n".join(lines) + "\n"

    def _dagster(self, home: Path) -> None:
        if (home / "dagster.yaml").is_file():
            self._add("dagster/dagster.yaml", lambda: _plain_yaml(home / "dagster.yaml"))
        outputs = sorted((home / "run_output").glob("*.log"), key=lambda file: file.stat().st_mtime)
        for file in outputs[-_RUN_OUTPUTS:]:
            self._add(f"dagster/run_output/{file.name}", lambda file=file: _tail_of(file))  # type: ignore[misc]


def _run_text(store: Store, number: int) -> str:
    run = store.runs.get(number)
    parts = {
        "error": run.error,
        "source SQL": run.source_sql,
        "merge SQL": run.merge_sql,
        "log": run.live_log,
        "stdout": run.stdout,
        "stderr": run.stderr,
    }
    head = f"run {run.id} of {run.module}: {run.status}, began {run.started_at}, ended {run.finished_at}\n"
    return head + "".join(f"\n--- {title}\n{text[-LOG_TAIL:].rstrip()}\n" for title, text in parts.items() if text)


def _tail_of(file: Path) -> str:
    with file.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - LOG_TAIL))
        text = stream.read().decode("utf-8", "replace")
    # The first line may have lost its start, and with it the half of a secret that would have been known.
    return text if size <= LOG_TAIL else text.partition("\n")[2]


def _journal() -> str | None:
    """The end of the service's log in the system's journal; None where there is none."""
    program = shutil.which("journalctl")
    if program is None:
        return None
    command = [
        program,
        "--unit",
        "pipekit",
        "--lines",
        _JOURNAL_LINES,
        "--no-pager",
        "--output",
        "short-iso",
        "--quiet",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=20, check=False)
    if answer.returncode == 0 and answer.stdout.strip():
        return answer.stdout[-10 * LOG_TAIL :]
    if _UNIT.exists():
        raise PermissionError(
            "this user may not read the journal. As root: journalctl --unit pipekit >pipekit.log; then add --log pipekit.log"
        )
    return None


def _plain_yaml(path: Path) -> str:
    import yaml

    return yaml.safe_dump(yaml.safe_load(path.read_text(encoding="utf-8")), sort_keys=False, allow_unicode=True)


def _yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text) if text else None


def _secrets_in(value: Any) -> Iterator[str]:
    """Values of keys that name secrets, and passwords in URLs, at any depth."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if (
                is_secret_name(str(key))
                and key != "secrets"
                and isinstance(item, str | int)
                and not isinstance(item, bool)
            ):
                if not reference_key(str(item)):
                    yield str(item)
            else:
                yield from _secrets_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_in(item)
    elif isinstance(value, str):
        yield from _url_passwords(value)


def _url_passwords(url: str) -> Iterator[str]:
    login = url.rpartition("@")[0].rpartition("://")[2] if "://" in url else ""
    password = login.partition(":")[2]
    if password:
        yield password
        yield unquote(password)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _attempt(make: Callable[[], str]) -> str:
    try:
        return make()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n"
