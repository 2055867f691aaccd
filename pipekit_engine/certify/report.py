"""What a certification found, as a record that can be sent in: no data, no names of hosts, schemas or logins."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipekit_engine._version import __version__
from pipekit_engine.certify.outcomes import Finding
from pipekit_engine.records.certificates import Certificate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pipekit_engine.models import Connection

FORMAT = 1
#: Names that stand among the settings of a URL.
_NAMED = re.compile(r"[;?&](?:database|server|user|instance)\w*=([^;&]+)", re.I)


@dataclass(frozen=True)
class Report:
    """All findings, and what was met. `whole` says that no check was left out."""

    kind: str
    product: str
    product_version: str
    driver: str
    driver_version: str
    facts: Mapping[str, str]
    certified_at: datetime
    whole: bool
    took_s: float
    findings: tuple[Finding, ...]

    def count(self, outcome: str) -> int:
        """How many checks ended so."""
        return sum(finding.outcome == outcome for finding in self.findings)

    @property
    def broken(self) -> tuple[str, ...]:
        """What is broken, by subject and name."""
        return tuple(f"{item.subject}: {item.name}" for item in self.findings if item.outcome == "broken")

    def certificate(self, connection: str) -> Certificate:
        """What the store remembers of it."""
        return Certificate(
            connection=connection,
            kind=self.kind,
            product=self.product,
            product_version=self.product_version,
            driver=self.driver,
            driver_version=self.driver_version,
            pipekit=__version__,
            certified_at=self.certified_at,
            held=self.count("held"),
            refused=self.count("refused"),
            broken=self.broken,
        )

    def as_json(self) -> dict[str, Any]:
        """The report's file."""
        return {
            "format": FORMAT,
            "pipekit": __version__,
            **{name: value for name, value in asdict(self).items() if name not in ("findings", "certified_at")},
            "certified_at": f"{self.certified_at:%Y-%m-%d}",
            "findings": [asdict(finding) for finding in self.findings],
        }

    def text(self) -> str:
        """The file's text."""
        return json.dumps(self.as_json(), ensure_ascii=False, indent=1) + "\n"


class Anonymizer:
    """Takes out of a text what tells of the place: host, database, login, schema, connection, folders."""

    def __init__(self, connection: Connection, schema: str, folders: Iterable[str]) -> None:
        rest = connection.jdbc_url.split(":", 2)[-1]
        parts = urlsplit(rest if "//" in rest else f"//{rest}")
        names = {
            connection.jdbc_url: "URL",
            **dict.fromkeys(folders, "FOLDER"),
            **{name: "HOST" for name in re.split(r"[,@/;:]", parts.netloc) if name and "=" not in name},
            **dict.fromkeys(_NAMED.findall(connection.jdbc_url), "SETTING"),
            parts.path.strip("/").split(";")[0]: "DATABASE",
            connection.username or "": "LOGIN",
            schema: "SCHEMA",
            connection.name: "CONNECTION",
        }
        # What is shorter stands in ordinary words.
        self._names = sorted(
            ((name, word) for name, word in names.items() if len(name) > 2), key=lambda item: -len(item[0])
        )

    def clean(self, text: str) -> str:
        """The text without them."""
        for name, word in self._names:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", word, text)
        return text
