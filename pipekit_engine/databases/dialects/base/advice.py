"""What a person does about an error whose own words leave him alone: data of a kind, shown behind the database's message."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """A way out of the errors that have one of the vendor `codes` or SQLStates, or whose message `pattern` is found in."""

    text: str
    codes: frozenset[int] = frozenset()
    states: frozenset[str] = frozenset()
    pattern: str | None = None

    def fits(self, sqlstate: str | None, vendor_code: int | None, message: str) -> bool:
        """Whether it is for this error."""
        return (
            vendor_code in self.codes
            or sqlstate in self.states
            or (self.pattern is not None and re.search(self.pattern, message, re.IGNORECASE) is not None)
        )
