"""A JDBC driver: the class, what its URLs look like, and the jar with its origin, checksum and licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_PREFIX = re.compile(r"jdbc:[a-z0-9]+:")
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_PORT = re.compile(r"HOST:(\d+)")


@dataclass(frozen=True)
class JdbcDriver:
    """A driver of one kind of database, in the version that the tests load. Data only.

    `scripts/setup.py` reads these records from the source text, before anything is installed: every argument is given by
    its name and is a plain literal.
    """

    class_name: str
    #: What a URL looks like, with HOST:port, DATABASE, SERVICE, LIBRARY or /path in place of what differs.
    url: str
    #: Names of the jar's file as shell patterns, the likelier one first.
    files: tuple[str, ...]
    #: Maven's coordinates. Another version may be asked for; nothing is known of its checksum then.
    group: str
    artifact: str
    version: str
    #: SHA-256 of the jar of this version in the central repository.
    sha256: str
    licence: str
    #: What versions before `oldest` do; where there is none, how much is known of older ones.
    older: str
    #: A Debian package that puts `debian_jar` into /usr/share/java.
    debian: str | None = None
    debian_jar: str | None = None
    #: What a person should know before taking it.
    note: str | None = None
    #: How the name begins that the driver gives itself.
    told_as: str | None = None
    #: The oldest version that is right; None: none is known to be wrong.
    oldest: str | None = None
    #: The driver holds the database, whose version it tells in place of its own.
    is_database: bool = False

    @property
    def url_prefix(self) -> str:
        """`jdbc:postgresql:`, by which a URL of the driver is known."""
        match = _PREFIX.match(self.url)
        assert match is not None
        return match.group()

    @property
    def default_port(self) -> str | None:
        """The port that the server listens on unless it was told otherwise."""
        match = _PORT.search(self.url)
        return match[1] if match else None

    def is_file(self, name: str) -> bool:
        """Whether a file of this name is the driver's jar."""
        return any(fnmatchcase(name, pattern) for pattern in self.files)

    def file_name(self, version: str) -> str:
        """`postgresql-42.7.13.jar`."""
        return f"{self.artifact}-{version}.jar"

    def is_named(self, name: str) -> bool:
        """Whether it is the driver that calls itself so."""
        return self.told_as is not None and name.startswith(self.told_as)

    def too_old(self, name: str, version: str) -> str | None:
        """Why a driver that calls itself so must not be used; None for one that may, or is another."""
        if self.oldest is None or not self.is_named(name):
            return None
        told = _VERSION.search(version)
        if told is None or _numbers(told.group()) >= _numbers(self.oldest):
            return None
        return f"{name} {told.group()} is too old: before version {self.oldest} {self.older}"

    def path(self, version: str) -> str:
        """Where it stands in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{version}/{self.file_name(version)}"

    def coordinate(self, version: str) -> str:
        """`group:artifact:version`, as Maven writes it."""
        return f"{self.group}:{self.artifact}:{version}"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
