"""Numbers, sizes, lengths of time and moments as people read them, in the terminal and in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from pipekit_engine.models import RunRecord


def count(number: int | None) -> str:
    """336,776; empty for a count that was never reached."""
    return "" if number is None else f"{number:,}"


def seconds(value: float | None) -> str:
    """0.42s, 12.3s, 4m05s, 2h07m; empty for None."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.2f}s"
    if value < 60:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def size(value: int | None) -> str:
    """Bytes as kB, MB or GB."""
    if value is None:
        return ""
    number = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"


def moment(value: datetime | None, zone: str | None = None) -> str:
    """A time in the reader's own zone, or in the named one with its offset; empty for None."""
    if value is None:
        return ""
    if zone is None:
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    from zoneinfo import ZoneInfo

    return value.astimezone(ZoneInfo(zone)).isoformat(" ", "seconds")


def changes(record: RunRecord) -> str:
    """Rows inserted, updated, deleted and unchanged, such as `+120 ~3 -120 =4`; empty before the merge."""
    counts = (
        ("+", record.rows_inserted), ("~", record.rows_updated), ("-", record.rows_deleted), ("=", record.rows_unchanged)
    )  # fmt: skip
    parts = [f"{sign}{number:,}" for sign, number in counts if number]
    return " ".join(parts) or ("+0" if record.rows_inserted is not None else "")
