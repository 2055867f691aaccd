"""Ages as people write them: `90d`, `36h`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: Ages beyond it are taken for slips of the finger.
LONGEST_AGE: Final = timedelta(days=36525)


def read_age(text: str, units: str = "mhdw") -> timedelta | None:
    """`36h` as a duration; None unless the text is a whole number and one of the units. What is too long is `timedelta.max`."""
    match = re.fullmatch(rf"(\d+)\s*([{units}])", text.strip())
    if match is None:
        return None
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except (OverflowError, ValueError):
        return timedelta.max
