"""Which process is it, and does it still live?

A process id alone is given out again; together with the moment at which the process started, and the boot of the machine it
runs on, it names one process for ever. Locks are held by such names.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True)
class ProcessName:
    """One process on one machine. `started` is the kernel's start time, as text; empty where it cannot be told."""

    host: str
    boot: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessName:
        """Name of a process of this machine, by its id."""
        return cls(socket.gethostname(), _boot(), pid, _started(pid) or "")

    @classmethod
    def current(cls) -> ProcessName:
        """Name of this process."""
        return cls.of(os.getpid())

    @classmethod
    def parse(cls, text: str | None) -> ProcessName | None:
        """Back from `str()`; None when the text is empty or not a process name."""
        try:
            return cls(**json.loads(text)) if text else None
        except (ValueError, TypeError):
            return None

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def label(self) -> str:
        """For people: `process 4711 on host`."""
        return f"process {self.pid} on {self.host}"

    @property
    def is_here(self) -> bool:
        """Whether this machine, in this boot and this process-id namespace, can look at the process."""
        return self.host == socket.gethostname() and self.boot == _boot()

    def alive(self) -> bool | None:
        """True or False for a process of this machine; None when it cannot be told from here."""
        if self.host == socket.gethostname() and self.boot.split("/")[0] != _boot().split("/")[0]:
            # Containers share a boot; another boot under the same name means that the machine was restarted.
            return None if not self.boot else False
        if not self.is_here:
            return None
        started = _started(self.pid)
        return started is not None and (not self.started or started == self.started)

    def kill(self, timeout_s: float = 5) -> bool:
        """SIGKILL the process group that it leads, or itself; True when it is gone within `timeout_s`."""
        if self.alive():
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + timeout_s
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True


@lru_cache(maxsize=1)
def _boot() -> str:
    """This boot of this machine and this process-id namespace; empty where the system tells neither."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Start time of a process as the system gives it; None when there is no such process, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _started_by_ps(pid)
    except OSError:
        return None
    # The second field is the program's name in parentheses and may itself hold blanks and parentheses.
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] in "ZX" else fields[19]


def _started_by_ps(pid: int) -> str | None:
    result = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return result.stdout.strip() or None
