"""Where `pipekit serve` keeps Dagster's files, and the files that its parts find each other by."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pipekit_engine.common.files import new_file, take_or_refuse
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from pipekit_engine.config import Config

LOCATION = "pipekit"
#: Environment variable through which dagster.yaml gets the URL of Dagster's storage: the file holds no password.
STORAGE_URL = "PIPEKIT_DAGSTER_STORAGE"
#: Environment variable by which the supervisor asks a code server to have everything ready before it takes over.
PREPARE_SNAPSHOTS = "PIPEKIT_PREPARE_SNAPSHOTS"
#: Environment variable with the address of pipekit's own pages, to which Dagster's metadata links; none where there are none.
PAGES = "PIPEKIT_PAGES"
#: Longest path of a Unix socket that every system takes.
_SOCKET_PATH_MAX = 100


@dataclass(frozen=True)
class Home:
    """The folder of a Dagster instance (DAGSTER_HOME), and of the services that run on it."""

    folder: Path
    #: URL of the PostgreSQL database of Dagster's own records; None keeps them in the folder.
    storage: str | None = None
    #: Whether runs go to workers of other hosts.
    spread: bool = False

    @classmethod
    def of(cls, config: Config) -> Home:
        """DAGSTER_HOME where it is set, else the folder `dagster` beside the state. Raises ConfigurationError."""
        storage, spread = config.dagster_storage_url, config.workers is not None
        named = os.environ.get("DAGSTER_HOME")
        if named:
            return cls(Path(named).absolute(), storage, spread)
        if config.database_url.startswith("sqlite:///"):
            return cls(Path(config.database_url.removeprefix("sqlite:///")).parent / "dagster", storage, spread)
        return cls(config.folder.absolute() / "dagster", storage, spread)

    def environment(self) -> dict[str, str]:
        """What a process needs to find this instance. It holds no password: others can read a process's environment."""
        found = {"DAGSTER_HOME": str(self.folder)}
        return found | {STORAGE_URL: self._without_password(self.storage)} if self.storage else found

    def _without_password(self, url: str) -> str:
        """The URL with its password moved into a file that only this user can read."""
        parts = urlsplit(url)
        login, _, host = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        options = parse_qsl(parts.query, keep_blank_values=True)
        passwords = [unquote(password), *(value for name, value in options if name == "password")]
        options = [(name, value) for name, value in options if name != "password"]
        if any(passwords):
            file = self._runtime / "dagster.pgpass"
            self._runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
            escaped = re.sub(r"([\\:])", r"\\\1", passwords[-1])
            with new_file(file, force=True) as fresh:
                fresh.write_text(f"*:*:*:*:{escaped}\n", encoding="utf-8")
            options.append(("passfile", str(file)))
        netloc = f"{user}@{host}" if user else host
        return urlunsplit((parts.scheme, netloc, parts.path, urlencode(options), ""))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the only `pipekit serve` on this folder: two daemons would fire every schedule twice.

        Makes the folder, with pipekit's dagster.yaml unless there is one. Raises ConfigurationError.
        """
        self.prepare()
        with (self._runtime / "lock").open("a") as lock:
            take_or_refuse(
                lock, f"Another `pipekit serve` runs on {self.folder}. Stop it, or set DAGSTER_HOME to another folder."
            )
            self._prepare_files()
            yield

    def prepare(self) -> None:
        """Make the folder, with pipekit's dagster.yaml unless there is one. Raises ConfigurationError."""
        try:
            # Events and logs of runs lie in it: SQL, errors, values of watermarks.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._prepare_dagster_yaml()
        except OSError as error:
            raise _unwritable(error) from None

    def _prepare_dagster_yaml(self) -> None:
        """Write dagster.yaml where there is none, or one of pipekit's own for another storage. A person's own stays."""
        shared = self.storage is not None
        file, wanted = self.folder / "dagster.yaml", default_dagster_yaml(shared=shared, spread=self.spread)
        present = file.read_text(encoding="utf-8") if file.exists() else None
        others = ((False, False), (True, False), (True, True))
        if present is None or (
            present != wanted and present in [default_dagster_yaml(shared=one, spread=two) for one, two in others]
        ):
            fresh = file.with_suffix(".new")
            fresh.write_text(wanted, encoding="utf-8")
            fresh.replace(file)
        elif self.storage is not None and STORAGE_URL not in present:
            raise ConfigurationError(
                f"{file} does not follow `dagster_storage` of the configuration. Move it away to get pipekit's own, or add:\n"
                f"{_SHARED_STORAGE}"
            )

    def _prepare_files(self) -> None:
        try:
            self.socket.unlink(missing_ok=True)
            self.workspace.write_text(
                f"load_from:\n  - grpc_server:\n      socket: {json.dumps(str(self.socket))}\n      location_name: {LOCATION}\n",
                encoding="utf-8",
            )
        except OSError as error:
            raise _unwritable(error) from None

    @property
    def socket(self) -> Path:
        """Socket of the code server. The same after each restart, since Dagster's records name it."""
        path = self._runtime / "code.sock"
        if len(str(path)) <= _SOCKET_PATH_MAX:
            return path
        short = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"pipekit-{os.geteuid()}-{short}.sock"

    @property
    def workspace(self) -> Path:
        """The workspace file for the daemon and the web server."""
        return self._runtime / "workspace.yaml"

    @property
    def services(self) -> Path:
        """Which process is which service; the supervisor writes it, `/health` reads it."""
        return self._runtime / "services.json"

    @property
    def _runtime(self) -> Path:
        return self.folder / "serve"

    def write_services(self, services: dict[str, dict[str, Any]]) -> None:
        """Replace the list of services in one step."""
        fresh = self.services.with_suffix(".new")
        fresh.write_text(json.dumps(services), encoding="utf-8")
        fresh.replace(self.services)

    def read_services(self) -> dict[str, dict[str, Any]]:
        """The list of services; empty when there is none."""
        try:
            found: dict[str, dict[str, Any]] = json.loads(self.services.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found


def _unwritable(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{error.filename}: cannot be written ({error.strerror}); Dagster keeps its files there."
        " DAGSTER_HOME names another folder."
    )


_SHARED_STORAGE = f"""\
# Dagster's own records, in the PostgreSQL database that `dagster_storage` of pipekit's configuration names.
storage:
  postgres:
    postgres_url: {{env: {STORAGE_URL}}}
"""


#: What is set otherwise where runs go to workers: how many there are says how much is done at once, and a run that waits for
#: one of them has been launched.
_SPREAD = {
    "max_concurrent_runs: 10\n": "max_concurrent_runs: 1000\n",
    "  cancel_timeout_seconds: 60\n": "  cancel_timeout_seconds: 60\n  start_timeout_seconds: 86400\n",
}


def default_dagster_yaml(*, shared: bool = False, spread: bool = False) -> str:
    """The dagster.yaml that `pipekit serve` starts with.

    `shared` puts Dagster's records where `dagster_storage` says; `spread` is for runs that go to workers.
    """
    text = resources.files("pipekit_dagster").joinpath("dagster.yaml").read_text(encoding="utf-8")
    for line, other in _SPREAD.items() if spread else ():
        text = text.replace(line, other)
    return f"{text}\n{_SHARED_STORAGE}" if shared else text
