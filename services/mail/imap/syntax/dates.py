"""Parser and encoder of IMAP dates: `date` in SEARCH, `date-time` in APPEND and INTERNALDATE (RFC 3501 section 9)."""

import email.utils
import re
from datetime import UTC, date, datetime, timedelta, timezone

from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.syntax.reader import Reader

MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH = rb"(" + rb"|".join(MONTHS) + rb")"
_DATE = re.compile(rb"(\d{1,2})-" + _MONTH + rb"-(\d{4})", re.IGNORECASE)
_QUOTED_DATE = re.compile(rb'"' + _DATE.pattern + rb'"', re.IGNORECASE)
_DATE_TIME = re.compile(
    rb'"( \d|\d\d)-' + _MONTH + rb'-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"', re.IGNORECASE
)
# Pattern of the date in a Date field (RFC 5322 section 3.3), without time and zone.
_FIELD_DATE = re.compile(rb"(?:[A-Za-z]+\s*+,?\s*)?(\d{1,2})\s+" + _MONTH + rb"[a-z]*\s+(\d{2,4})(?!\d)", re.IGNORECASE)

# Maximum length of a parsed Date field; valid dates with comments are shorter.
_DATE_OCTETS = 256
_DAY_S = 86_400


def _month(name: bytes) -> int:
    return MONTHS.index(name.capitalize()) + 1


def read_date(reader: Reader) -> date:
    """Parse the `date` of a SEARCH key, quoted or not; raise BadError."""
    pattern = _QUOTED_DATE if reader.starts_with(b'"') else _DATE
    match = pattern.fullmatch(reader.match(pattern, "date"))
    if match is None:
        raise BadError("The date is not well formed.")
    try:
        return date(int(match[3]), _month(match[2]), int(match[1]))
    except ValueError:
        raise BadError("The date does not exist.") from None


def read_date_time(reader: Reader) -> float:
    """Parse the `date-time` of APPEND; return seconds since 1970 UTC; raise BadError."""
    match = _DATE_TIME.fullmatch(reader.match(_DATE_TIME, "date and time"))
    if match is None:
        raise BadError("The date is not well formed.")
    day, month, year = int(match[1]), _month(match[2]), int(match[3])
    hour, minute, second = int(match[4]), int(match[5]), int(match[6])
    offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        zone = timezone(-offset if match[7] == b"-" else offset)
        # POSIX time has no leap seconds, so second 60 becomes 59.
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        raise BadError("The time does not exist.") from None


def day_of(seconds: float) -> date:
    """Return the day in UTC of an internal date, which is in seconds since 1970 UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()


def date_time(seconds: float) -> bytes:
    """Encode an internal date for FETCH: `"01-Feb-2026 09:30:00 +0000"`."""
    when = datetime.fromtimestamp(int(seconds), UTC)
    month = MONTHS[when.month - 1].decode("ascii")
    return f'"{when.day:02}-{month}-{when.year:04} {when:%H:%M:%S} +0000"'.encode("ascii")


def sent_day(value: bytes | None) -> date | None:
    """Return the day stated in a Date field, regardless of its time and zone; None if invalid (RFC 3501, SENTON)."""
    match = None if value is None else _FIELD_DATE.match(value.strip())
    if match is None:
        return None
    year = int(match[3])
    if len(match[3]) < 4:
        # RFC 5322 section 4.3: a two-digit year below 50 is 20xx; other two- and three-digit years count from 1900.
        year += 2000 if len(match[3]) == 2 and year < 50 else 1900
    try:
        return date(year, _month(match[2]), int(match[1]))
    except ValueError:
        return None


def sent_time(value: bytes | None) -> float | None:
    """Parse a Date field; return seconds since 1970 UTC, None without a valid date (RFC 5256 section 2.2).

    An invalid time is read as 00:00:00, an invalid zone as UTC.
    """
    if value is None:
        return None
    parsed = email.utils.parsedate_tz(value[:_DATE_OCTETS].decode("latin-1"))
    day = sent_day(value)
    if parsed is None:
        return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    year, month, number, hour, minute, second, *_, offset_s = parsed
    offset_s = offset_s if offset_s is not None and abs(offset_s) < _DAY_S else 0
    try:
        midnight = datetime(year, month, number, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    if not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second <= 60):
        return midnight
    return midnight + 3600 * hour + 60 * minute + min(second, 59) - offset_s
