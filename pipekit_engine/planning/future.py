"""Times in a watermark's text, as databases write them: `2024-05-01 10:00:00.123`, `2024-05-01T10:00:00Z`, `infinity`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

#: How far clocks and time zones may differ before a time counts as one to come.
_CLOCKS_DIFFER = timedelta(days=2)
_DAY = re.compile(r"\s*(\d{4,})-(\d\d)-(\d\d)(?!\d)")


def is_future(value: str) -> bool:
    """Whether a value is a time that lies in the future; False for what is no time."""
    if value.strip() == "infinity":
        return True
    match = _DAY.match(value)
    if match is None:
        return False
    latest = datetime.now(timezone.utc) + _CLOCKS_DIFFER
    return tuple(map(int, match.groups())) > (latest.year, latest.month, latest.day)
