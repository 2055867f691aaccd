"""A JDBC driver: the class, what its URLs look like, and the jar with its origin, checksum and licence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

_PREFIX = re.compile(r"jdbc:[a-z0-9]+:")
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
    #: A Debian package that puts `debian_jar` into /usr/share/java.
    debian: str | None = None
    debian_jar: str | None = None
    #: What a person should know before taking it.
    note: str | None = None

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

    def path(self, version: str) -> str:
        """Where it stands in a Maven repository."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{version}/{self.file_name(version)}"

    def coordinate(self, version: str) -> str:
        """`group:artifact:version`, as Maven writes it."""
        return f"{self.group}:{self.artifact}:{version}"
