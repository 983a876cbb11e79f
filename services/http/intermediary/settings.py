"""What the operator decides about an intermediary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from services.http.urls import Origin

# Where CONNECT may lead: nowhere but where the operator said, host and port (RFC 9110 section 9.3.6).
#
#     >>> is_allowed(Origin("a.example", 443), [parse_allowed("*:443")])
#     True
#
# An open proxy is a relay for strangers, and an open port of a host inside is not for those outside.

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


# How many connections an intermediary has to origins, and how long it waits for them, each with its source.

# What a client may send through: it is passed on while it comes, so this bounds a number and no memory (RFC 9112 6.3).
REQUEST_OCTETS = 2**62
RESPONSE_OCTETS = 2**62
# Interim responses before one final response: a handful is honest (RFC 8297 sends one or two).
INTERIM_RESPONSES = 32
# A Keep-Alive field's time-out ends at the origin; this much earlier here, for the way there.
KEEP_ALIVE_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Counts and seconds for the connections to origins."""

    # Envoy's circuit breakers default to 1024 connections; a quarter of them for one origin leaves room for others.
    connections: int = 1024
    connections_per_origin: int = 256
    # Linux repeats a SYN after 1, 3 and 7 s: three of them fit.
    connect_s: float = 10.0
    # nginx's proxy_read_timeout and proxy_send_timeout.
    head_s: float = 60.0
    stall_s: float = 60.0
    # nginx's keepalive_timeout for connections to upstreams.
    idle_s: float = 60.0
    # HAProxy's pool-max-conn is without bound; half of all that one origin may have, so that a burst finds them open.
    idle_connections_per_origin: int = 128
    # A tunnel in which nothing moves: RFC 5382 REQ-5 has routers wait 124 min, nginx's proxy_timeout is 10 min.
    tunnel_idle_s: float = 600.0
    # How often waits are looked at.
    sweep_s: float = 0.5


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """How one intermediary behaves.

    name      its pseudonym, for Via and Cache-Status: a token, or host:port (RFC 9110 section 7.6.3)
    origin    whom a reverse proxy stands for; None: a forward proxy
    allowed   where CONNECT may lead
    clients   the networks of those whom it serves; () for everybody
    status    the path under which it tells its numbers to whoever asks the proxy itself, None for none
    """

    name: bytes
    origin: Origin | None = None
    allowed: tuple[Allowed, ...] = ()
    clients: tuple[Network, ...] = ()
    status: bytes | None = None
    bounds: Bounds = field(default_factory=Bounds)
