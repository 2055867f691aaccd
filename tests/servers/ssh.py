"""Debian's SSH server for the tests: on a free port, with keys and known hosts of its own, for the user who runs them."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
from pathlib import Path

from pipekit_engine.demo.local_server import HOST, ServerProcess, ServerUnavailable, listens
from tests.ports import lasting_port


class SshServer:
    """The server; `tunnel(**changes)` gives the fields of a connection's tunnel through it."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if program is None or shutil.which("ssh") is None:
            raise ServerUnavailable("sshd was not found; on Debian: apt-get install openssh-server openssh-client")
        if os.geteuid() == 0:
            # Where its unprivileged part is locked in; Debian's service makes it.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.folder, self.port = folder, lasting_port()
        self.key, self.other_key, self.locked_key = (self.new_key(name) for name in ("id", "other id", "locked"))
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(self.locked_key)],
            check=True,
            capture_output=True,
        )
        authorized = folder / "authorized_keys"
        authorized.write_text(self.public(self.key) + self.public(self.locked_key))
        authorized.chmod(0o600)
        self._program = program
        self.host_key = self.new_key("host")
        self.known_hosts = folder / "known hosts"
        self.know(self.host_key)
        self.start()

    def new_key(self, name: str) -> Path:
        """A key pair."""
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        return path

    def public(self, key: Path) -> str:
        """A key's public part, a line."""
        return key.with_name(f"{key.name}.pub").read_text()

    def know(self, host_key: Path) -> None:
        """Write the file of known hosts: the server under this key."""
        self.known_hosts.write_text(f"[{HOST}]:{self.port} {self.public(host_key)}")

    def start(self) -> None:
        """Start the server, in the foreground of its guardian."""
        settings = {
            "ListenAddress": f"{HOST}:{self.port}",
            "HostKey": f'"{self.host_key}"',
            "AuthorizedKeysFile": f'"{self.folder / "authorized_keys"}"',
            "PidFile": "none",
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "yes",
            "MaxStartups": "100",
        }
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self._process = ServerProcess(
            [self._program, "-D", "-e", "-f", str(config)],
            log=self.folder / "sshd.log",
            answers=lambda: listens(self.port),
            stop_signal=signal.SIGTERM,
        )

    def cut(self) -> None:
        """Kill what serves the connections that are open; new ones are taken."""
        found = subprocess.run(["pgrep", "-f", "^sshd: "], capture_output=True, text=True, check=False)
        for pid in map(int, found.stdout.split()):
            if str(self.folder).encode() not in _command_line(pid) and self._is_ours(pid):
                os.kill(pid, signal.SIGKILL)

    def _is_ours(self, pid: int) -> bool:
        """Whether a process descends from our server: the command line of its listener names our file."""
        while pid > 1:
            if str(self.folder).encode() in _command_line(pid):
                return True
            try:
                pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                return False
        return False

    def tunnel(self, **changes: object) -> dict[str, object]:
        """The fields of a tunnel through it."""
        fields = {
            "host": HOST,
            "port": self.port,
            "user": getpass.getuser(),
            "key": str(self.key),
            "known_hosts": str(self.known_hosts),
        }
        return {**fields, **changes}

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
