"""TTLs in presentation format: seconds such as 3600, or with units such as 1h30m.

RFC 2181 section 8 (31 bits). The units s, m, h, d, w are BIND's, which all servers accept.
"""

import re

from lab7.services.dns.codec.errors import TextError

TTL_MAX = 2**31 - 1
U32_MAX = 2**32 - 1

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}

_TERM = re.compile(r"([0-9]{1,10})([smhdw]?)", re.ASCII)

_TTL = re.compile(r"[0-9]{1,10}|(?:[0-9]{1,10}[smhdw])+(?:[0-9]{1,10})?", re.ASCII)


def is_ttl(text: str) -> bool:
    """Tell whether a token has the syntax of a TTL, such as 3600 or 1h30m."""
    return _TTL.fullmatch(text.lower()) is not None


def ttl_from_text(text: str, label: str = "the TTL", maximum: int = TTL_MAX) -> int:
    """Parse a TTL such as 3600 or 1h30m into seconds; raises TextError with the field's name `label`."""
    if not is_ttl(text):
        raise TextError(f"{label} is {text!r}, expected seconds or a time such as 1h30m")
    seconds = sum(int(count) * _UNITS[unit] for count, unit in _TERM.findall(text.lower()))
    if seconds > maximum:
        raise TextError(f"{label} is {text!r}, more than {maximum} seconds")
    return seconds
