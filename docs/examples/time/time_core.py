"""The Time protocol's one message (RFC 868): the seconds since 1900 as four octets. No socket and no clock in here.

Left out: what RFC 868 says of a server that does not know the time; a host of lab7 always does.

    client  (an empty datagram to port 37)
    server  ee af 80 3d
"""

from __future__ import annotations

OCTETS = 4
# RFC 868: "the time 2,208,988,800 corresponds to 00:00 1 Jan 1970 GMT".
SECONDS_1900_TO_1970 = 2_208_988_800


def encode(unix_s: float) -> bytes:
    """The message for a moment, given in seconds since 1970."""
    # RFC 868: "this base will serve until the year 2036"; then a number of 32 bits begins again at 0.
    return ((int(unix_s) + SECONDS_1900_TO_1970) % 2**32).to_bytes(OCTETS, "big")


def answer(datagram: bytes, unix_s: float) -> bytes | None:
    """What a datagram is answered with: only an empty one is a question.

    Everything else is dropped. So two servers, made to talk by a forged source address, do not go on for ever.
    """
    return None if datagram else encode(unix_s)
