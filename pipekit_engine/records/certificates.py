"""What `pipekit connections certify` found out about a connection's database, as the store remembers it."""

from __future__ import annotations

from datetime import datetime

from pipekit_engine.records.runs import Record


class Certificate(Record):
    """The newest certificate of a connection: what was met, how many checks held or were refused, and what is broken."""

    connection: str
    kind: str
    product: str
    product_version: str
    driver: str
    driver_version: str
    pipekit: str
    certified_at: datetime
    held: int
    refused: int
    broken: tuple[str, ...] = ()

    @property
    def met(self) -> str:
        """The server and the driver, with their versions."""
        return f"{self.product} {self.product_version}, {self.driver} {self.driver_version}"


def standing(certificate: Certificate | None, *, certified_here: bool) -> str | None:
    """What a person has to know of a connection's certificate: that there is none, or what is broken; None for nothing.

    `certified_here`: pipekit's own tests certify this kind of database, so that a missing certificate is no news.
    """
    if certificate is None:
        return None if certified_here else "never certified"
    if certificate.broken:
        return f"certified on {certificate.certified_at:%Y-%m-%d}, broken: {', '.join(certificate.broken)}"
    return None
