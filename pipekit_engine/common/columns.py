"""A column as a database describes it: what jrunner reports, and what dialects, plans and the wizard reason about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column of a query or table. ``family`` is jrunner's sorting of all types, ``type_name`` the database's own name."""

    name: str
    family: str
    type_name: str
    jdbc_type: int
    precision: int
    scale: int
    nullable: bool
    remarks: str | None = None

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Column:
        """From an item of a describe result."""
        return cls(
            name=item["name"],
            family=item["family"],
            type_name=item.get("type_name") or "",
            jdbc_type=item.get("jdbc_type") or 0,
            precision=item.get("precision") or 0,
            scale=item.get("scale") or 0,
            nullable=item.get("nullable") is not False,
            remarks=item.get("remarks"),
        )
