"""Times to live: their range, and the units that master files write them with.

RFC 2181 section 8 (31 bits; a larger value on the wire counts as 0). The units are BIND's, which every server reads.
"""

import re

from services.dns.codec.errors import TextError

TTL_MAX = 2**31 - 1

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"([0-9]{1,10})([smhdw]?)", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,10}|(?:[0-9]{1,10}[smhdw])+(?:[0-9]{1,10})?", re.ASCII)


def ttl_from_wire(number: int) -> int:
    """Return the TTL that four octets mean."""
    return number if number <= TTL_MAX else 0


def is_ttl(text: str) -> bool:
    """Tell whether a word has the form of a TTL, such as 3600 or 1h30m."""
    return _WHOLE.fullmatch(text.lower()) is not None


def ttl_from_text(text: str, what: str = "the TTL") -> int:
    """Return the seconds that a word such as 3600 or 1h30m means; raises TextError."""
    if not is_ttl(text):
        raise TextError(f"{what} is {text!r}, where seconds or a time such as 1h30m should be")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in _PART.findall(text.lower()))
    if seconds > TTL_MAX:
        raise TextError(f"{what} is {text!r}, more than {TTL_MAX} seconds")
    return seconds
