"""Names of time zones."""

from __future__ import annotations


def check_timezone(value: str) -> str:
    """The name, if it is one of the IANA time zones. Raises ValueError, with the nearest name."""
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except Exception:
        from difflib import get_close_matches
        from zoneinfo import available_timezones

        near = get_close_matches(value, available_timezones(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"{value!r} is not an IANA time zone such as Europe/Paris{hint}") from None
    return value
