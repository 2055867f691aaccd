"""Downloads a jar from a Maven repository: complete, checked, and without telling anybody the repository's password."""

from __future__ import annotations

import base64
import hashlib
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from pipekit_engine.databases.urls import redact_url
from pipekit_engine.errors import RuntimeMissing

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds without a byte after which a server is given up.
SILENCE_S = 30.0
#: Seconds that a whole download may take.
DEADLINE_S = 900.0
#: Larger than any JDBC driver: stops a server that never ends.
MAX_BYTES = 300_000_000
_CHUNK = 1 << 16
_HEX = re.compile(r"\b([0-9a-fA-F]{64}|[0-9a-fA-F]{40})\b")


@dataclass(frozen=True)
class Repository:
    """A Maven repository: its address without a login, and the login's header."""

    url: str
    authorization: str | None = None

    @classmethod
    def at(cls, url: str) -> Repository:
        """From an address that may hold a login (`https://user:password@host/path`)."""
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https", "file"):
            raise RuntimeMissing(
                f"maven_repository is {redact_url(url) if '://' in url else 'no address'}: it must begin with https://, "
                "http:// or file://."
            )
        login, _, host = parts.netloc.rpartition("@")
        authorization = None
        if login:
            user, _, password = login.partition(":")
            token = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
            authorization = f"Basic {token}"
        return cls(urlunsplit((parts.scheme, host, parts.path, "", "")), authorization)

    def address(self, path: str) -> str:
        """The address of a file, without a login."""
        return f"{self.url}/{path}"

    def fetch(self, path: str, target: Path, *, silence_s: float = SILENCE_S, deadline_s: float = DEADLINE_S) -> str:
        """Write a file of the repository to `target`; its SHA-256.

        Raises RuntimeMissing when it is not there, is cut short, or does not come in time.
        """
        address = self.address(path)
        digest = hashlib.sha256()
        started = time.monotonic()
        received = 0
        try:
            with self._open(address, silence_s) as answer, target.open("wb") as file:
                promised = answer.headers.get("Content-Length")
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    digest.update(chunk)
                    received += len(chunk)
                    if received > MAX_BYTES:
                        raise RuntimeMissing(f"{address} is longer than any JDBC driver ({received:,} bytes and more).")
                    if time.monotonic() - started > deadline_s:
                        raise RuntimeMissing(f"{address} did not arrive within {deadline_s:g} s.")
        except urllib.error.HTTPError as error:
            raise RuntimeMissing(_status(address, error.code)) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise RuntimeMissing(f"{address} could not be downloaded: {reason or type(error).__name__}.") from None
        if promised is not None and received != int(promised):
            raise RuntimeMissing(f"{address} was cut short: {received:,} of {int(promised):,} bytes came. Try again.")
        return digest.hexdigest()

    def checksum(self, path: str, *, silence_s: float = SILENCE_S) -> tuple[str, str] | None:
        """The checksum that the repository keeps beside a file: ("sha256" or "sha1", hexadecimal); None without one.

        Raises RuntimeMissing when the repository fails otherwise than by not having it.
        """
        for name, length in (("sha256", 64), ("sha1", 40)):
            address = self.address(f"{path}.{name}")
            try:
                with self._open(address, silence_s) as answer:
                    match = _HEX.search(answer.read(1000).decode("ascii", "replace"))
            except urllib.error.HTTPError as error:
                if error.code in (403, 404, 410):
                    continue
                raise RuntimeMissing(_status(address, error.code)) from None
            except FileNotFoundError:
                continue
            except (OSError, HTTPException) as error:
                if isinstance(getattr(error, "reason", None), FileNotFoundError):
                    continue
                raise RuntimeMissing(f"{address} could not be downloaded: {error}.") from None
            if match and len(match[1]) == length:
                return name, match[1].lower()
        return None

    def _open(self, address: str, silence_s: float) -> Any:
        request = urllib.request.Request(address, headers={"User-Agent": "pipekit"})  # noqa: S310 - schemes are checked
        if self.authorization:
            # Not sent on when the repository redirects to another place.
            request.add_unredirected_header("Authorization", self.authorization)
        return urllib.request.build_opener(_NoDowngrade).open(request, timeout=silence_s)


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something that anybody on the way can change."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise urllib.error.URLError("the repository redirects from https to an address without it")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _status(address: str, code: int) -> str:
    if code in (401, 403):
        return f"{address}: the repository refuses the login, or wants one (status {code})."
    if code in (404, 410):
        return (
            f"{address} is not there (status {code}). Is the version right, and `maven_repository` a Maven repository?"
        )
    return f"{address}: the repository answered with status {code}. Try again later."
