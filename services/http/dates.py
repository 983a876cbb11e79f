"""HTTP-date: parsing and formatting (RFC 9110 section 5.6.7).

    >>> format_date(784111777)
    b'Sun, 06 Nov 1994 08:49:37 GMT'
    >>> parse_date(b"Sunday, 06-Nov-94 08:49:37 GMT", now=784111777)
    784111777

All three formats are parsed; only IMF-fixdate is written.
"""

import calendar
import re
import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name.encode(): number for number, name in enumerate(_MONTHS, 1)}
_DAY = "|".join(_DAYS).encode()
_LONG_DAY = b"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTH = b"(?P<month>" + "|".join(_MONTHS).encode() + b")"
_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"

_FORMATS = (
    re.compile(rb"(?:%b), (?P<day>\d\d) %b (?P<year>\d{4}) %b GMT" % (_DAY, _MONTH, _TIME)),
    re.compile(rb"(?:%b), (?P<day>\d\d)-%b-(?P<year>\d\d) %b GMT" % (_LONG_DAY, _MONTH, _TIME)),
    re.compile(rb"(?:%b) %b (?P<day>[ \d]\d) %b (?P<year>\d{4})" % (_DAY, _MONTH, _TIME)),
)

# Threshold of the rule on two-digit years (RFC 9110 section 5.6.7).
_FIFTY_YEARS_S = 50 * 365.2425 * 86_400


@lru_cache(maxsize=256)
def format_date(seconds: int) -> bytes:
    """Format a time, in whole seconds since 1970 UTC, as IMF-fixdate."""
    moment = time.gmtime(seconds)
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    return f"{day}, {moment.tm_mday:02} {month} {moment.tm_year:04} {clock} GMT".encode("ascii")


def parse_date(value: bytes, now: float) -> int | None:
    """Parse any of the three formats into seconds since 1970 UTC; return None for an invalid value.

    `now`, in the same unit, resolves a two-digit year.
    """
    for pattern in _FORMATS:
        match = pattern.fullmatch(value)
        if match:
            return _seconds(match, now)
    return None


def _seconds(match: re.Match[bytes], now: float) -> int | None:
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    month, year = _MONTH_NUMBER[match["month"]], int(match["year"])
    if len(match["year"]) == 2:
        year = _full_year(year, month, day, now)
    # RFC 9110 section 5.6.7: second 60 is a leap second.
    if not (1 <= day <= calendar.monthrange(2000, month)[1] and hour < 24 and minute < 60 and second <= 60):
        return None
    if month == 2 and day == 29 and not calendar.isleap(year):
        return None
    return calendar.timegm((year, month, day, hour, minute, second)) if year else None


def _full_year(year: int, month: int, day: int, now: float) -> int:
    """Resolve a two-digit year: more than 50 years ahead means the last century (RFC 9110 section 5.6.7)."""
    century = time.gmtime(now).tm_year // 100 * 100
    full = century + year
    if calendar.timegm((full, month, min(day, 28), 0, 0, 0)) - now > _FIFTY_YEARS_S:
        return full - 100
    return full
