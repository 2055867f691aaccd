"""SSH tunnels, by OpenSSH's own client: one for each jrunner session, SSH server and database.

A tunnel belongs to the session whose connections go through it, and ends with it; a run that finds it broken opens it anew. The
client runs under a guardian (`common/guardian.py`), so that it ends also when this process is killed. It takes nothing from the
user's configuration of SSH, asks nobody, uses no agent, and goes on only with a host key that is known.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.common import guardian
from pipekit_engine.errors import ConnectError, RuntimeMissing
from pipekit_engine.jrunner.errors import JRunnerCancelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.databases.addresses import Address
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Connection, Tunnel

HERE = "127.0.0.1"
POLL_S = 0.02
#: Seconds that the client may take to end, once the tunnel is broken, until what it said is known.
LAST_WORDS_S = 0.5
#: A free port may be taken by somebody else before the client has it.
TRIES = 3
_READY = "pipekit-tunnel-is-open"
_PORT_TAKEN = ("Address already in use", "cannot listen to port")


class SshTunnel:
    """A running client of OpenSSH that forwards a port of this machine. `port` is that port."""

    def __init__(self, label: str, command: list[str], port: int) -> None:
        self.label = label
        self.port = port
        self._said: deque[str] = deque(maxlen=30)
        self._ready = threading.Event()
        # The shell that says when the forwarding stands is the client's own, by SHELL.
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "PATH", "USER", "LOGNAME", "TZ")}
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", guardian.__file__, "--", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "LC_ALL": "C", "SHELL": "/bin/sh"},
            start_new_session=True,
        )
        self._readers = [
            threading.Thread(target=target, name=f"ssh-{self._process.pid}", daemon=True)
            for target in (self._read_ready, self._read_said)
        ]
        for reader in self._readers:
            reader.start()

    def wait(self, timeout_s: float, cancel: threading.Event | None) -> str | None:
        """Wait until the forwarding stands; None then, else what the client said. Raises JRunnerCancelled."""
        deadline = time.monotonic() + timeout_s
        while not self._ready.is_set():
            if self._process.poll() is not None:
                return self.last_words() or "ssh ended without a word"
            if cancel is not None and cancel.is_set():
                self.close()
                raise JRunnerCancelled("cancelled while the tunnel was being opened")
            if time.monotonic() > deadline:
                self.close()
                return f"no tunnel within {timeout_s:g} s"
            time.sleep(POLL_S)
        return None

    @property
    def alive(self) -> bool:
        """Whether the client runs."""
        return self._process.poll() is None

    def last_words(self) -> str:
        """What the client said, if anything."""
        if not self.alive:
            self._readers[1].join(LAST_WORDS_S)
        return "\n".join(self._said)

    def complaint(self) -> str | None:
        """Why the tunnel is broken, for the error of a lost connection; None while it holds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS_S)
        return (
            None
            if self.alive
            else f"the SSH tunnel through {self.label} ended: {self.last_words() or 'no word from ssh'}"
        )

    def hint(self) -> str:
        """What to say beside the error of a connection that goes through it, beginning with a line break."""
        said = self.last_words()
        return f"\nIt goes through the SSH tunnel of {self.label}" + (f"; ssh says: {said}" if said else ".")

    def close(self) -> None:
        """End the client; safe to call twice."""
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(OSError):
            stdin.close()
        try:
            self._process.wait(guardian.STOP_SECONDS + 1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(1)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    def _read_ready(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            for line in self._process.stdout:
                if line.strip().decode(errors="replace") == _READY:
                    self._ready.set()

    def _read_said(self) -> None:
        assert self._process.stderr is not None
        with suppress(OSError, ValueError):
            for line in self._process.stderr:
                if text := line.decode(errors="replace").strip():
                    self._said.append(text)


def tunnel_to(
    session: Session,
    connection: Connection,
    address: Address,
    *,
    folder: Path,
    timeout_s: float,
    cancel: threading.Event | None,
) -> SshTunnel:
    """The session's tunnel to `address`, which is opened where there is none or where it is broken.

    Raises RuntimeMissing (no OpenSSH), ConnectError saying what to do, JRunnerCancelled.
    """
    tunnel = connection.tunnel
    assert tunnel is not None
    key = (tunnel, address.host, address.port)
    attached = session.process.attached
    with session.process.attaching.setdefault(key, threading.Lock()):
        present = attached.get(key)
        if isinstance(present, SshTunnel) and present.alive:
            return present
        if present is not None:
            present.close()
        attached[key] = opened = _opened(connection, tunnel, address, folder, timeout_s, cancel)
        return opened


def _opened(
    connection: Connection,
    tunnel: Tunnel,
    address: Address,
    folder: Path,
    timeout_s: float,
    cancel: threading.Event | None,
) -> SshTunnel:
    said = ""
    for _ in range(TRIES):
        port = _free_port()
        opened = SshTunnel(_label(tunnel), _command(connection, tunnel, address, folder, port, timeout_s), port)
        try:
            failed = opened.wait(timeout_s, cancel)
        except BaseException:
            opened.close()
            raise
        if failed is None:
            return opened
        opened.close()
        said = failed
        if not any(part in said for part in _PORT_TAKEN):
            break
    raise ConnectError(
        f"Connection {connection.name!r}: the SSH tunnel through {_label(tunnel)} could not be opened: {said}"
        + _advice(said, tunnel, folder)
    )


def _label(tunnel: Tunnel) -> str:
    return tunnel.host if tunnel.port == 22 else f"{tunnel.host} port {tunnel.port}"


def _command(
    connection: Connection, tunnel: Tunnel, address: Address, folder: Path, port: int, timeout_s: float
) -> list[str]:
    """OpenSSH's command line. It holds no secret: the key is named by its file."""
    ssh = shutil.which("ssh")
    if ssh is None:
        raise RuntimeMissing(
            f"Connection {connection.name!r} has a tunnel, and there is no ssh on the PATH: install OpenSSH."
        )
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "ExitOnForwardFailure": "yes",
        "ConnectTimeout": str(max(1, round(timeout_s))),
        # A server that is gone without a word ends the tunnel within a minute.
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "3",
        "PreferredAuthentications": "publickey",
        "IdentityAgent": "none",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ControlPath": "none",
        "GatewayPorts": "no",
        # Run when the forwarding stands.
        "PermitLocalCommand": "yes",
        "LocalCommand": f"echo {_READY}",
    }
    if tunnel.known_hosts is not None:
        file = _file(connection, "known_hosts", tunnel.known_hosts, folder)
        options |= {"UserKnownHostsFile": f'"{file}"', "GlobalKnownHostsFile": "none"}
    command = [ssh, "-F", "none", "-N", "-T"]
    if tunnel.key is not None:
        command += ["-i", _file(connection, "key", tunnel.key, folder)]
        options["IdentitiesOnly"] = "yes"
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    to = f"[{address.host}]" if ":" in address.host else address.host
    command += ["-L", f"{HERE}:{port}:{to}:{address.port}", "-p", str(tunnel.port)]
    if tunnel.user is not None:
        command += ["-l", tunnel.user]
    return [*command, "--", tunnel.host]


def _file(connection: Connection, field: str, name: str, folder: Path) -> str:
    """A file for the client's command line, in which a percent sign begins a placeholder. Raises ConnectError."""
    path = folder / Path(name).expanduser()
    why = None
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        why = f"there is no file {path}"
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}"
    if '"' in str(path) or "${" in str(path):
        why = f"{path}: OpenSSH takes no path with a quote or ${{"
    if why:
        raise ConnectError(f"Connection {connection.name!r}: tunnel.{field}: {why}.")
    return str(path).replace("%", "%%")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def _advice(said: str, tunnel: Tunnel, folder: Path) -> str:
    login = f"ssh -p {tunnel.port} {tunnel.user + '@' if tunnel.user else ''}{tunnel.host}"
    file = str(folder / tunnel.known_hosts) if tunnel.known_hosts else "~/.ssh/known_hosts of who runs pipekit"
    if "Permission denied" in said and tunnel.key and _has_passphrase(folder / Path(tunnel.key).expanduser()):
        said += "incorrect passphrase"
    for words, advice in _advices(login, file, keyed=tunnel.key is not None):
        if words in said:
            return f"\n{advice}"
    return ""


def _has_passphrase(key: Path) -> bool:
    """Whether a private key cannot be read without one; OpenSSH's client asked by nobody does not say it."""
    tried = ["ssh-keygen", "-y", "-P", "", "-f", str(key)]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(tried, capture_output=True, stdin=subprocess.DEVNULL, timeout=10, check=False)
        return b"passphrase" in done.stderr
    return False


def _advices(login: str, known_hosts: str, *, keyed: bool) -> Iterator[tuple[str, str]]:
    yield (
        "HOST IDENTIFICATION HAS CHANGED",
        (
            f"Its host key is another than the one in {known_hosts}: somebody stands between, or the server was made anew. "
            "Ask who runs it for the new key's fingerprint before you replace the line."
        ),
    )
    yield (
        "Host key verification failed",
        (
            f"Its host key is not in {known_hosts}. Compare the fingerprint that `{login}` shows with what its administrator "
            "says, and let it be added there."
        ),
    )
    yield "bad permissions", "tunnel.key: OpenSSH takes no key that others may read: chmod 600."
    yield (
        "incorrect passphrase",
        (
            "tunnel.key has a passphrase, and nobody is there to type it: give a key without one that may do nothing but this "
            'forwarding (in authorized_keys: restrict,port-forwarding,permitopen="HOST:PORT").'
        ),
    )
    if not keyed:
        yield (
            "Permission denied",
            "The server takes none of the keys that stand in ~/.ssh under OpenSSH's own names. No agent is asked: name the key's "
            "file by tunnel.key.",
        )
    yield (
        "Permission denied",
        (f"The server takes neither the key nor the user: is the public key in its authorized_keys? Try `{login}`."),
    )
