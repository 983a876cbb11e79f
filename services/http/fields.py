"""Header and trailer fields: names, values, lists and dates (RFC 9110 section 5).

    >>> fields = Fields(((b"Via", b"1.1 a"), (b"via", b"1.1 b")))
    >>> fields.get(b"via")
    b'1.1 a, 1.1 b'
    >>> list_members(b'a, "b, c" ,, d')
    [b'a', b'"b, c"', b'd']
    >>> format_date(784111777)
    b'Sun, 06 Nov 1994 08:49:37 GMT'
    >>> parse_date(b"Sunday, 06-Nov-94 08:49:37 GMT", now=784111777)
    784111777

RFC 9110 sections 5.1 (names are case-insensitive), 5.2 and 5.3 (lines of one name combine, in order), 5.6 (tokens,
lists, quoted strings) and 5.6.7 (HTTP-date: all three formats are parsed; only IMF-fixdate is written). Left out:
parameters and weights; no field that the origin interprets has them.

The methods of Fields expect names in lower case: callers pass literals, so the hot path needs no case folding.
"""

import calendar
import re
import time
from collections.abc import Collection, Iterator
from functools import lru_cache

# Tokens, lists and quoted strings (RFC 9110 section 5.6).

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_QDTEXT = rb"[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]"
QUOTED_STRING = rb'"%b*+(?>(?:\\[\t \x21-\x7e\x80-\xff]%b*+)*)"' % (_QDTEXT, _QDTEXT)
TOKEN = re.compile(TCHAR + rb"++")

_QUOTED = re.compile(rb'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"', re.DOTALL)
# The part of a value before an unterminated quoted-string. The match takes linear time; a search from each quotation
# mark would take quadratic time, seconds for a long value.
_BALANCED = re.compile(rb'[^"]*+(?>(?:"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"[^"]*+)*)', re.DOTALL)


def is_token(value: bytes) -> bool:
    """Return whether `value` is a token (RFC 9110 section 5.6.2)."""
    return TOKEN.fullmatch(value) is not None


def list_members(value: bytes) -> list[bytes]:
    """Split the combined value of a list field into its non-empty members (RFC 9110 section 5.6.1.2)."""
    return [stripped for member in split_outside_quotes(value, b",") if (stripped := member.strip(b" \t"))]


def split_outside_quotes(value: bytes, separator: bytes) -> list[bytes]:
    """Split a value at each `separator` (one octet) outside of quoted-strings.

    An unterminated quoted-string counts as unquoted and is split as well.
    """
    if b'"' not in value:
        return value.split(separator)
    end = balanced_octets(value)
    # Octets of quoted-strings are masked, so that separators in them are not found.
    masked = _QUOTED.sub(lambda found: b"x" * len(found[0]), value[:end]) + value[end:]
    parts, start = [], 0
    for part in masked.split(separator):
        parts.append(value[start : start + len(part)])
        start += len(part) + 1
    return parts


def balanced_octets(value: bytes) -> int:
    """Return the number of octets before an unterminated quoted-string; the whole length if there is none."""
    found = _BALANCED.match(value)
    return len(value) if found is None else found.end()


def lower_tokens(value: bytes | None) -> list[bytes]:
    """Return the members of a list of case-insensitive tokens, in lower case; [] for an absent field."""
    return [] if value is None else list_members(value.lower())


# HTTP-date (RFC 9110 section 5.6.7).

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name.encode(): number for number, name in enumerate(_MONTHS, 1)}
_DAY = "|".join(_DAYS).encode()
_LONG_DAY = b"Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTH = b"(?P<month>" + "|".join(_MONTHS).encode() + b")"
_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"

_DATE_FORMATS = (
    re.compile(rb"(?:%b), (?P<day>\d\d) %b (?P<year>\d{4}) %b GMT" % (_DAY, _MONTH, _TIME)),
    re.compile(rb"(?:%b), (?P<day>\d\d)-%b-(?P<year>\d\d) %b GMT" % (_LONG_DAY, _MONTH, _TIME)),
    re.compile(rb"(?:%b) %b (?P<day>[ \d]\d) %b (?P<year>\d{4})" % (_DAY, _MONTH, _TIME)),
)

FIXDATE_OCTETS = len(b"Sun, 06 Nov 1994 08:49:37 GMT")
# Fifty years in seconds: the limit in the rule on two-digit years (RFC 9110 section 5.6.7).
_FIFTY_YEARS_S = 50 * 365.2425 * 86_400


@lru_cache(maxsize=256)
def format_date(seconds: int) -> bytes:
    """Format a time, in whole seconds since 1970 UTC, as IMF-fixdate."""
    moment = time.gmtime(seconds)
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    return f"{day}, {moment.tm_mday:02} {month} {moment.tm_year:04} {clock} GMT".encode("ascii")


def parse_date(value: bytes, now: float) -> int | None:
    """Parse an HTTP-date in any of its three formats into seconds since 1970 UTC; return None for an invalid value.

    `now`, in the same unit, resolves a two-digit year.
    """
    seconds = _parse_fixdate(value) if len(value) == FIXDATE_OCTETS else None
    if seconds is not None:
        return seconds
    for pattern in _DATE_FORMATS:
        match = pattern.fullmatch(value)
        if match:
            return _epoch_seconds(match, now)
    return None


@lru_cache(maxsize=1024)
def _parse_fixdate(value: bytes) -> int | None:
    """Parse an IMF-fixdate to seconds since 1970 UTC; no current time is needed, as the year has four digits."""
    match = _DATE_FORMATS[0].fullmatch(value)
    return None if match is None else _epoch_seconds(match, 0)


def _epoch_seconds(match: re.Match[bytes], now: float) -> int | None:
    day, hour, minute, second = (int(match[name]) for name in ("day", "hour", "minute", "second"))
    month, year = _MONTH_NUMBER[match["month"]], int(match["year"])
    if len(match["year"]) == 2:
        year = _full_year(year, month, day, now)
    # RFC 9110 section 5.6.7: second 60 is valid, as a leap second.
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


# Sections of fields.

FieldLine = tuple[bytes, bytes]

# RFC 9110 section 7.6.1: hop-by-hop fields, even if Connection does not list them.
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings")
)
# RFC 9110 section 11.7: fields of a proxy's own authentication.
PROXY_AUTHENTICATION = frozenset((b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization"))


class Fields:
    """Immutable header section or trailer section of a message: field lines in order.

    Methods expect names in lower case.
    """

    __slots__ = ("_hash", "_index", "lines")

    def __init__(self, lines: tuple[FieldLine, ...] = ()) -> None:
        self.lines = lines
        self._index = _combined_values(lines)
        self._hash: int | None = None

    def __iter__(self) -> Iterator[FieldLine]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fields) and self.lines == other.lines

    def __hash__(self) -> int:
        # Computed at the first use, since most sections are never used as a dictionary key.
        if self._hash is None:
            self._hash = hash(self.lines)
        return self._hash

    def __repr__(self) -> str:
        return f"Fields({self.lines!r})"

    def get(self, name: bytes) -> bytes | None:
        """Return the values of all lines with this name, joined by comma and space; None without such a line."""
        return self._index.get(name)

    def get_all(self, name: bytes) -> list[bytes]:
        """Return the values of all lines with this name, in order."""
        if name not in self._index:
            return []
        if len(self._index) == len(self.lines):
            return [self._index[name]]
        return [value for other, value in self.lines if other.lower() == name]

    def has_any(self, names: Collection[bytes]) -> bool:
        """Return whether a line with any of these names is present."""
        return not self._index.keys().isdisjoint(names)

    def adding(self, *lines: FieldLine) -> "Fields":
        """Return a copy of the section with further lines at the end."""
        return Fields(self.lines + lines)

    def without(self, names: Collection[bytes]) -> "Fields":
        """Return a copy of the section without the lines of the given names."""
        return Fields(self.lines_without(names)) if self.has_any(names) else self

    def lines_without(self, names: Collection[bytes]) -> tuple[FieldLine, ...]:
        """Return the lines that do not have any of the given names."""
        if not self.has_any(names):
            return self.lines
        return tuple([line for line in self.lines if line[0].lower() not in names])


def _combined_values(lines: tuple[FieldLine, ...]) -> dict[bytes, bytes]:
    """Return the combined values of the fields, keyed by lower-case name (RFC 9110 section 5.3)."""
    index = {name.lower(): value for name, value in lines}
    if len(index) < len(lines):
        values: dict[bytes, list[bytes]] = {}
        for name, value in lines:
            values.setdefault(name.lower(), []).append(value)
        index = {name: b", ".join(several) for name, several in values.items()}
    return index
