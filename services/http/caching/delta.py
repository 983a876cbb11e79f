"""delta-seconds: a number of seconds as Age and the cache directives write it (RFC 9111 section 1.2.2).

>>> delta_seconds(b"0060"), delta_seconds(b"99999999999"), delta_seconds(b"-1")
(60, 2147483648, None)
"""

# RFC 9111 section 1.2.2: what a greater value counts as.
INFINITY_S = 2_147_483_648
_DIGITS_MOST = len(str(INFINITY_S))


def delta_seconds(value: bytes) -> int | None:
    """Return the seconds, 2147483648 at most; None for anything but decimal digits."""
    # bytes.isdigit knows ASCII digits alone.
    if not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return INFINITY_S if len(digits) > _DIGITS_MOST else min(int(digits or b"0"), INFINITY_S)
