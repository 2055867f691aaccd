"""Hosts that are network namespaces of this machine, each with a name and an address of its own, on one bridge.

Everything has a name of its own, and is taken away at the end; nothing of this machine's own network changes.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


class Network:
    """A bridge, whose address servers may listen at, and the hosts on it."""

    def __init__(self) -> None:
        self._tag = secrets.token_hex(2)
        self._bridge = f"pk{self._tag}"
        self._subnet = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}"
        self._stack = ExitStack()
        self._hosts: list[str] = []
        self.address = f"{self._subnet}.1"

    def __enter__(self) -> Network:
        try:
            self._add(["link", "add", self._bridge, "type", "bridge"], ["link", "del", self._bridge])
            _ip("addr", "add", f"{self.address}/24", "dev", self._bridge)
            _ip("link", "set", self._bridge, "up")
        except OSError as error:
            self._stack.close()
            pytest.skip(f"hosts need root's right to make network namespaces: {error}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _add(self, words: Sequence[str], undo: Sequence[str]) -> None:
        _ip(*words)
        self._stack.callback(lambda: subprocess.run(["ip", *undo], capture_output=True, check=False))

    def add(self) -> Host:
        """A host more."""
        number = len(self._hosts) + 2
        name, link = f"pk{self._tag}-{number}", f"pk{self._tag}{number}"
        self._hosts.append(name)
        self._add(["netns", "add", name], ["netns", "del", name])
        self._add(["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name], ["link", "del", link])
        _ip("link", "set", link, "master", self._bridge, "up")
        address = f"{self._subnet}.{number}"
        _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        return Host(name, link, address, self.address)


class Host:
    """A namespace. Its processes see its own host name."""

    def __init__(self, name: str, link: str, address: str, hub: str) -> None:
        self.name, self._link, self.address, self._hub = name, link, address, hub

    @contextmanager
    def running(
        self, command: Sequence[str], *, out: Path, environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A process on this host, and all that it starts: killed at the end."""
        inside = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name, *command]
        with out.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *inside],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        try:
            yield process
        finally:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
            process.wait()

    def signal(self, number: signal.Signals) -> None:
        """To every process of the host."""
        found = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True).stdout
        for pid in found.split():
            try:
                os.kill(int(pid), number)
            except ProcessLookupError:
                continue

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Nothing goes to it or comes from it."""
        _ip("link", "set", self._link, "down")
        try:
            yield
        finally:
            _ip("link", "set", self._link, "up")

    @contextmanager
    def mute(self) -> Iterator[None]:
        """What it sends gets nowhere; what is sent to it arrives."""
        _ip("-n", self.name, "route", "add", "blackhole", f"{self._hub}/32")
        try:
            yield
        finally:
            _ip("-n", self.name, "route", "del", "blackhole", f"{self._hub}/32")

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """What is sent to it gets nowhere; what it sends arrives."""
        _ip("route", "add", "blackhole", f"{self.address}/32")
        try:
            yield
        finally:
            _ip("route", "del", "blackhole", f"{self.address}/32")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """None of its processes moves."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.signal(signal.SIGCONT)
