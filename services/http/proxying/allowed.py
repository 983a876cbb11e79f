"""Where CONNECT may lead: nowhere but where the operator said, host and port (RFC 9110 section 9.3.6).

    >>> is_allowed(Origin("a.example", 443), [parse_allowed("*:443")])
    True

An open proxy is a relay for strangers, and an open port of a host inside is not for those outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from services.http.urls import Origin

ANY_HOST = "*"


@dataclass(frozen=True, slots=True)
class Allowed:
    """One --allow-connect: a host, or ANY_HOST, and a port."""

    host: str
    port: int

    def covers(self, origin: Origin) -> bool:
        """Tell whether a tunnel to `origin` is allowed by this."""
        return self.port == origin.port and self.host in (ANY_HOST, origin.host)


def parse_allowed(text: str) -> Allowed:
    """Return what HOST:PORT means; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError(f"{text!r} is not HOST:PORT")
    return Allowed(host.strip("[]").lower(), int(port))


def is_allowed(origin: Origin, allowed: Sequence[Allowed]) -> bool:
    """Tell whether a tunnel to `origin` may be opened."""
    return any(one.covers(origin) for one in allowed)
