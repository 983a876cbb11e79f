"""Date formatter for webmail's pages, in UTC: full dates, and short dates for lists (`14:05`, `28 Nov`)."""

from datetime import UTC, datetime

_UNKNOWN = "?"


def _date(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def full_date(seconds: float) -> str:
    """Format seconds since 1970 UTC as date and time, such as `2026-11-30 14:05`."""
    date = _date(seconds)
    return _UNKNOWN if date is None else f"{date:%Y-%m-%d %H:%M}"


def short_date(seconds: float, now: float) -> str:
    """Format seconds since 1970 UTC for a list: `14:05` of today, `28 Nov` of this year, else `28 Nov 2025`."""
    date, today = _date(seconds), _date(now)
    if date is None or today is None:
        return _UNKNOWN
    if date.date() == today.date():
        return f"{date:%H:%M}"
    day = f"{date.day} {_MONTHS[date.month - 1]}"
    return day if date.year == today.year else f"{day} {date.year}"


# strftime() would name months in the language of the server's locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
