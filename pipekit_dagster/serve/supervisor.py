"""The supervisor: starts code server, daemon and web server, and keeps them and the shown definitions up to date.

Two more make things begin at once: the run server, which forks the processes of runs, and the agent, which takes commands.

Runs are not its children: `PipekitRunLauncher` gives each a session of its own. So a restart of any part, and a stop of the
whole, leaves running runs alone; their locks have living owners, and after a start they are shown as before.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_dagster.serve.home import LOCATION, PAGES, PREPARE_SNAPSHOTS, Home
from pipekit_dagster.serve.leader import Leader
from pipekit_dagster.serve.lease import LEASE_VARIABLE
from pipekit_dagster.serve.reload import Reloader
from pipekit_dagster.serve.services import Service
from pipekit_engine.agent.forking import listening
from pipekit_engine.agent.server import path_for
from pipekit_engine.common.signals import on_signals
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.store import Store
from pipekit_web.server.address import check_address

if TYPE_CHECKING:
    from pipekit_engine.config import Config

_log = logging.getLogger("pipekit.serve")
_TICK_S = 0.2
#: Seconds that each service gets to end after SIGTERM.
_STOP_TIMEOUT_S = 10.0
#: Seconds that the agent gets, before it is left to the commands that it works at.
_AGENT_TIMEOUT_S = 3.0


def serve(
    config: Config, *, host: str | None = None, port: int | None = None, reload_: bool = False, agent: bool = False
) -> int:
    """Serve until SIGINT or SIGTERM; 0 after a clean stop.

    Raises ConfigurationError before anything is started: no state store, an address that needs a password, a port in use,
    another server on the same folder.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    _refuse_missing_packages(config)
    host, port = host or config.host, port or config.port
    check_address(config, host, port)
    Store.open(config.database_url).close()
    home = Home.of(config)
    with home.hold():
        stop = threading.Event()
        with on_signals((signal.SIGINT, signal.SIGTERM), stop.set):
            Supervisor(config, home, host, port, watch_code=reload_, agent=agent).run(stop)
    return 0


def _refuse_missing_packages(config: Config) -> None:
    """Raise RuntimeMissing for a package that a service would die of again and again."""
    names = ("dagster", "dagster_webserver", "fastapi", "jinja2", "python_multipart")
    wanted = dict.fromkeys(names, "dagster")
    if config.dagster_storage_url is not None:
        wanted["dagster_postgres"] = "hosts"
    if config.workers is not None:
        wanted |= {"dagster_celery": "celery", "amqp" if config.workers.is_rabbitmq else "redis": "celery"}
    for package, extra in wanted.items():
        if find_spec(package) is None:
            raise RuntimeMissing(f"`pipekit serve` needs {package}. Install it with: pip install 'pipekit[{extra}]'")


class Supervisor:
    """Runs the services. `run` returns when asked to stop."""

    def __init__(
        self, config: Config, home: Home, host: str, port: int, *, watch_code: bool = False, agent: bool = False
    ) -> None:
        self._home = home
        self._url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        found = {"PIPEKIT_CONFIG": str(config.path)} if config.path is not None else {}
        # The agent is what its clients are: it gets the environment that this process was started with.
        as_started = {**os.environ, **found}
        env = {**as_started, **home.environment(), "PYTHONUNBUFFERED": "1", PAGES: "/pipekit"}
        os.environ.update(env)
        python = sys.executable
        self._code = Service(
            "code server",
            [
                *(python, "-m", "dagster", "code-server", "start", "--socket", str(home.socket)),
                *("--location-name", LOCATION, "--log-level", "warning", "-m", "pipekit_dagster.definitions"),
            ],
            {**env, PREPARE_SNAPSHOTS: "1"},
            before_start=lambda: home.socket.unlink(missing_ok=True),
        )
        self._daemon = Service(
            "daemon",
            [python, "-m", "pipekit_dagster.serve.daemon", "run", "-w", str(home.workspace), "--log-level", "warning"],
            env,
            before_start=lambda: self._daemon.set_environment(LEASE_VARIABLE, self._leader.token),
            ready=lambda: bool(self._leader.token) and _listens(home.socket),
        )
        self._leader = Leader(config)
        self._standby = (False, False)
        #: Whether `services.json` is out of date, and why it could not be written.
        self._services_outdated = True
        self._write_error = ""
        self._web = Service(
            "web server",
            [python, "-m", "pipekit_dagster.serve.web", "--host", host, "--port", str(port)],
            env,
            ready=lambda: _listens(home.socket),
        )
        self._services = [self._code, self._daemon, self._web]
        #: Whether the web server has answered: what only makes things faster is started after that.
        self._answered = False
        self._runs = Service(
            "run server", [python, "-m", "pipekit_dagster.run_server"], env, ready=lambda: self._answered
        )
        agent_socket = path_for(config)
        self._agent = Service(
            "agent",
            [python, "-m", "pipekit_engine.cli.entry", "agent"],
            as_started,
            ready=lambda: self._answered and listening(agent_socket) is None,
        )
        if sys.platform == "linux":
            self._services += [self._runs, self._agent] if agent else [self._runs]
        self._reloader = Reloader(
            config,
            home.socket,
            code_server=self._code,
            watch_code=watch_code,
            reloaded=lambda: self._runs.send_signal(signal.SIGHUP),
        )

    def run(self, stop: threading.Event) -> None:
        """Start the services, keep them running until `stop` is set, stop them."""
        thread = threading.Thread(target=self._reloader.run, args=(stop,), name="reloader", daemon=True)
        try:
            self._leader.start()
            self._reloader.mark_shown()
            self._poll_services()
            thread.start()
            while not stop.wait(_TICK_S):
                self._poll_services()
                if not self._answered and _answers(self._url):
                    self._answered = True
                    _log.info("pipekit is served at %s", self._url)
        finally:
            stop.set()
            _log.info("stopping; running runs go on by themselves")
            for service in reversed(self._services):
                service.terminate()
            for service in self._services:
                if service is self._agent:
                    service.wait_stopped(_AGENT_TIMEOUT_S, kill=False)
                else:
                    service.wait_stopped(_STOP_TIMEOUT_S)
            self._leader.stop()
            if thread.is_alive():
                thread.join(5)
            with suppress(OSError):
                self._home.services.unlink(missing_ok=True)
                self._home.socket.unlink(missing_ok=True)

    def _poll_services(self) -> None:
        if not self._leader.leads and self._daemon.pid is not None:
            _log.warning("the lead is lost: stopping the daemon")
            self._daemon.terminate()
            self._daemon.wait_stopped(_STOP_TIMEOUT_S)
        changed = [service.poll() for service in self._services]  # all of them, whatever the first says
        standby = (self._leader.stands_by, self._leader.nobody_leads)
        if any(changed) or standby != self._standby:
            self._standby = standby
            self._services_outdated = True
        if self._services_outdated:
            self._write_services()

    def _write_services(self) -> None:
        """Write down which process is which service. A full disk ends nothing: the next turn tries again."""
        services = {
            service.name: {
                "process": service.process_name(),
                "restarts": max(service.restarts, 0),
                "since": service.since,
                "standby": self._standby[0] and service is self._daemon,
                "nobody leads": self._standby[1] and service is self._daemon,
            }
            for service in self._services
        }
        try:
            self._home.write_services(services)
        except OSError as error:
            if str(error) != self._write_error:
                self._write_error = str(error)
                _log.error(
                    "%s: cannot be written (%s); /health is wrong until it can", self._home.services, error.strerror
                )
        else:
            self._services_outdated, self._write_error = False, ""


def _listens(path: Path) -> bool:
    """Whether somebody answers at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(0.2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _answers(url: str) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=0.2):
            return True
    except OSError:
        return False
