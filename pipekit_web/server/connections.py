"""Limits of the web server's connections: none waits for ever, and no one takes all of them.

A connection that has sent no whole request is the first to go when its address, or the server, has too many: so a new one is
taken whatever waits. Requests that are answered and websockets are not disturbed; where they alone fill the limit, the new one is
closed.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from pipekit_web.server.address import client_network

if TYPE_CHECKING:
    from pipekit_engine.config import Config

#: Open files that the web server asks its system for, and the share of them that connections may take.
_FILES = 65_536
_SHARE = 0.5
_SWEEP_S = 1.0
#: Seconds that open connections get when the server stops.
_CLOSE_TIMEOUT_S = 3


@dataclass(frozen=True)
class Limits:
    """Connections in all and from one address; seconds for a request's head and for its body; bytes of its head."""

    total: int = 4000
    per_address: int = 256
    head_s: float = 15
    body_s: float = 60
    head_bytes: int = 64 * 1024
    #: Proxies, whose connections are other people's.
    shared: Collection[str] = ()


def limits_of(config: Config) -> Limits:
    """The limits, after the process was given as many open files as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        wanted = _FILES
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return Limits(total=min(Limits.total, int(wanted * _SHARE)), shared=config.trusted_proxies)


@dataclass(eq=False)
class Connections:
    """The open connections of a server, by where they come from, oldest first."""

    limits: Limits
    by_address: dict[str, dict[BoundedProtocol, None]] = field(default_factory=dict)
    count: int = 0
    _sweeping: bool = False

    def add(self, new: BoundedProtocol) -> bool:
        """Take a connection in, another one's place if need be; False when there is none."""
        own = self.by_address.setdefault(new.address, {})
        if not self._is_shared(new.address) and len(own) >= self.limits.per_address and not self._make_room(own):
            return False
        if self.count >= self.limits.total:
            largest = max(self.by_address.values(), key=len)
            if not (self._make_room(largest) or any(map(self._make_room, list(self.by_address.values())))):
                return False
        self.by_address.setdefault(new.address, {})[new] = None
        self.count += 1
        if not self._sweeping:
            self._sweeping = True
            asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
        return True

    def remove(self, old: BoundedProtocol) -> None:
        """Forget a connection. Safe to call twice."""
        own = self.by_address.get(old.address, {})
        if old in own:
            del own[old]
            self.count -= 1
        if not own:
            self.by_address.pop(old.address, None)

    def _is_shared(self, address: str) -> bool:
        try:
            return any(ip_address(address) in ip_network(proxy) for proxy in self.limits.shared)
        except ValueError:
            return False  # a network of IPv6, which no proxy is

    def _make_room(self, own: dict[BoundedProtocol, None]) -> bool:
        for stages in (("gone",), ("head",), ("body",)):
            for protocol in list(own):
                if protocol.stage() in stages:
                    protocol.drop()
                    return True
        return False

    def _sweep(self) -> None:
        now = time.monotonic()
        for own in list(self.by_address.values()):
            for protocol in list(own):
                protocol.look(now)
        self._sweeping = self.count > 0
        if self._sweeping:
            asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)


class BoundedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol within the limits of `bounds`, which `bounded` sets.

    Check with a new version: `cycle` with `response_complete` and `more_body`, and that an upgrade sets another protocol.
    """

    bounds: Connections
    address = "?"

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or close it at once."""
        peer = transport.get_extra_info("peername")
        self.address = client_network(str(peer[0])) if isinstance(peer, tuple) and peer else "?"
        self._transport, self._stage, self._since, self._head_bytes = transport, "head", time.monotonic(), 0
        super().connection_made(transport)
        if not self.bounds.add(self):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.bounds.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass data on, unless a head never ends."""
        waited = self.stage() == "head"
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if waited and self.stage() == "head" else 0
        if self._head_bytes > self.bounds.limits.head_bytes:
            self.drop()

    def stage(self) -> str:
        """What it waits for: a request's `head` or `body`; `work` while one is answered, `socket`, `gone`."""
        if self._transport.is_closing():
            return "gone"
        if self._transport.get_protocol() is not self:
            return "socket"
        if self.cycle is None or self.cycle.response_complete:
            return "head"
        return "body" if self.cycle.more_body else "work"

    def look(self, now: float) -> None:
        """Close the connection if it has waited too long."""
        stage = self.stage()
        if stage != self._stage:
            self._stage, self._since = stage, now
        limits = self.bounds.limits
        waits = {"head": limits.head_s, "body": limits.body_s, "gone": 0.0}.get(stage)
        if waits is not None and now - self._since > waits:
            self.drop()

    def drop(self) -> None:
        """Close the connection now."""
        self.bounds.remove(self)
        self._transport.abort()


def bounded(limits: Limits) -> type[BoundedProtocol]:
    """The protocol of one server, with its limits."""
    return type("BoundedProtocol", (BoundedProtocol,), {"bounds": Connections(limits)})


def listen(app: Any, config: Config, host: str, port: int) -> None:
    """Serve an ASGI application within the configuration's limits until a signal ends it."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        server_header=False,
        http=bounded(limits_of(config)),
        # By default uvicorn believes every process of this machine, so anyone behind a proxy here chose their address.
        proxy_headers=bool(config.trusted_proxies),
        forwarded_allow_ips=config.trusted_proxies,
    )
