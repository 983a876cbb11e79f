"""EDNS options of a server's responses: cookies, NSID, TCP keepalive, padding.

    first query   COOKIE 2464c4abcf10c957                                      client cookie (8 octets)
    response      COOKIE 2464c4abcf10c957 010000005cf79f11 1f8130c3eee29480    client cookie, server cookie (16 octets)
    next queries  COOKIE with both cookies, which the server verifies

A server cookie proves that the client receives what is sent to its source address: a query with a valid server cookie
is not spoofed by a host off the path (RFC 7873 section 1). The server cookie is the one of RFC 9018, so that servers of
one anycast address, of any vendor, accept each other's cookies if they have the same secret. It is valid for an hour.

NSID (RFC 5001) identifies which of several servers answered. TCP keepalive (RFC 7828) informs a client how long it may
leave a connection idle. Padding (RFC 7830) extends responses over TLS and HTTPS to multiples of 468 octets (RFC 8467
section 4.1), so that their length discloses less about their content.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address

from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.message import Option

OPTION_NSID, OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_PADDING = 3, 10, 11, 12

CLIENT_COOKIE_OCTETS, SECRET_OCTETS = 8, 16
# RFC 7873 section 4: a client cookie has 8 octets, a server cookie 8 to 32.
_COOKIE_SIZES = frozenset({CLIENT_COOKIE_OCTETS, *range(16, 41)})
# Version 1 and three reserved octets.
_COOKIE_HEAD = b"\x01\0\0\0"
# RFC 9018 section 4.3: seconds for which a server cookie is valid, for which it is returned unchanged, and by which its
# time may be ahead of the clock.
_VALID_S, _FRESH_S, _AHEAD_S = 3600, 1800, 300
# RFC 8467 section 4.1: the recommended block size of responses, in octets.
PADDING_BLOCK_OCTETS = 468

_MASK = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class Transport:
    """Transport by which a query arrived; `idle_s`: idle timeout of its TCP connection in seconds, None for UDP."""

    address: str
    encrypted: bool = False
    idle_s: float | None = None


@dataclass(frozen=True, slots=True)
class EDNSOptions:
    """EDNS options that a server adds to its responses.

    secret: key of the server cookies, 16 octets; nsid: identifier of this server, empty for none; require_cookie: over
    UDP, respond only to queries with a valid server cookie; now: clock, in seconds since 1970.
    """

    now: Callable[[], float]
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(SECRET_OCTETS), repr=False)
    nsid: bytes = b""
    require_cookie: bool = False

    def has_valid_cookie(self, options: tuple[Option, ...], transport: Transport) -> bool:
        """Tell whether a query has a valid server cookie, which proves that its source address is not spoofed."""
        cookie = cookie_of(options)
        return cookie is not None and self._age_s(cookie, transport) is not None

    def in_response(self, options: tuple[Option, ...], transport: Transport) -> tuple[Option, ...]:
        """Return the EDNS options of the response to a query that has `options`; padding is added by padding_of()."""
        added = list[Option]()
        codes = {option.code for option in options}
        if OPTION_NSID in codes and self.nsid:
            added.append(Option(OPTION_NSID, self.nsid))
        cookie = cookie_of(options)
        # A cookie of an invalid length, which causes FORMERR, is not returned.
        if cookie is not None and len(cookie) in _COOKIE_SIZES:
            added.append(Option(OPTION_COOKIE, self._renewed(cookie, transport)))
        if OPTION_KEEPALIVE in codes and transport.idle_s is not None:
            # RFC 7828 section 3.1: the timeout is in units of 100 ms.
            tenths = min(round(transport.idle_s * 10), 0xFFFF)
            added.append(Option(OPTION_KEEPALIVE, tenths.to_bytes(2, "big")))
        return tuple(added)

    def _renewed(self, cookie: bytes, transport: Transport) -> bytes:
        age_s = self._age_s(cookie, transport)
        if age_s is not None and age_s <= _FRESH_S:
            return cookie
        client = cookie[:CLIENT_COOKIE_OCTETS]
        return client + server_cookie(client, int(self.now()), transport.address, self.secret)

    def _age_s(self, cookie: bytes, transport: Transport) -> int | None:
        """Return the age of a server cookie in seconds; None if it is missing or invalid (RFC 9018 section 4.3)."""
        client, server = cookie[:CLIENT_COOKIE_OCTETS], cookie[CLIENT_COOKIE_OCTETS:]
        if len(server) != 16 or server[:1] != _COOKIE_HEAD[:1]:
            return None
        made = int.from_bytes(server[4:8], "big")
        # Serial number arithmetic (RFC 1982), because 32 bits of seconds overflow in 2106.
        age_s = (int(self.now()) - made + 2**31) % 2**32 - 2**31
        if not -_AHEAD_S <= age_s <= _VALID_S:
            return None
        # The reserved octets are part of the hash, and other servers may use them.
        expected = _signed(client, server[:8], transport.address, self.secret)
        return age_s if secrets.compare_digest(server, expected) else None


def check_options(options: tuple[Option, ...], transport: Transport) -> None:
    """Raise WireError for an option that requires FORMERR (RFC 7873 section 5.2.2, RFC 7828 section 3.2.1)."""
    for option in options:
        if option.code == OPTION_COOKIE and len(option.data) not in _COOKIE_SIZES:
            raise WireError("cookie of an invalid length")
        if option.code == OPTION_KEEPALIVE and option.data and transport.idle_s is not None:
            raise WireError("TCP keepalive with a timeout in a query")


def cookie_of(options: tuple[Option, ...]) -> bytes | None:
    """Return the first cookie option's data (RFC 7873 section 5.2: further ones are ignored); None if there is none."""
    return next((option.data for option in options if option.code == OPTION_COOKIE), None)


def padding_of(octets: int, limit: int) -> Option:
    """Return the padding option for a response of `octets` octets, which must not exceed `limit` octets with it."""
    padded = octets + 4
    return Option(OPTION_PADDING, bytes(max(0, min(-padded % PADDING_BLOCK_OCTETS, limit - padded))))


def server_cookie(client_cookie: bytes, made: int, address: str, secret: bytes) -> bytes:
    """Return the server cookie of RFC 9018 section 4: version, reserved octets, time in seconds, and hash."""
    return _signed(client_cookie, _COOKIE_HEAD + (made % 2**32).to_bytes(4, "big"), address, secret)


def _signed(client_cookie: bytes, head: bytes, address: str, secret: bytes) -> bytes:
    packed = ip_address(address.partition("%")[0]).packed
    return head + siphash24(client_cookie + head + packed, secret)


def siphash24(data: bytes, key: bytes) -> bytes:
    """Return the SipHash-2-4 of `data` under a key of 16 octets, as 8 octets (Aumasson and Bernstein, 2012)."""
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    state = (
        low ^ 0x736F6D6570736575,
        high ^ 0x646F72616E646F6D,
        low ^ 0x6C7967656E657261,
        high ^ 0x7465646279746573,
    )
    padded = data + bytes(7 - len(data) % 8) + bytes((len(data) & 0xFF,))
    for offset in range(0, len(padded), 8):
        word = int.from_bytes(padded[offset : offset + 8], "little")
        a, b, c, d = _rounds(2, (state[0], state[1], state[2], state[3] ^ word))
        state = (a ^ word, b, c, d)
    a, b, c, d = _rounds(4, (state[0], state[1], state[2] ^ 0xFF, state[3]))
    return (a ^ b ^ c ^ d).to_bytes(8, "little")


def _rounds(count: int, state: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for _ in range(count):
        a = (a + b) & _MASK
        b = _rotated(b, 13) ^ a
        a = _rotated(a, 32)
        c = (c + d) & _MASK
        d = _rotated(d, 16) ^ c
        a = (a + d) & _MASK
        d = _rotated(d, 21) ^ a
        c = (c + b) & _MASK
        b = _rotated(b, 17) ^ c
        c = _rotated(c, 32)
    return a, b, c, d


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (64 - bits)) & _MASK
