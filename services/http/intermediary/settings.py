"""Settings of an intermediary: name, origin, access control for CONNECT and clients, limits for origin connections."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from services.http.urls import Origin

# Access control for CONNECT: a list of permitted targets, empty by default (RFC 9110 section 9.3.6). An open proxy can
# be abused to reach ports of internal hosts, or as a relay.
#
#     >>> is_connect_permitted(Origin("a.example", 443), [parse_connect_target("*:443")])
#     True

ANY_HOST = "*"


@dataclass(frozen=True, slots=True)
class ConnectTarget:
    """A permitted target of CONNECT: a host, or ANY_HOST, and a port."""

    host: str
    port: int

    def matches(self, origin: Origin) -> bool:
        """Return True where this rule permits a tunnel to `origin`."""
        return self.port == origin.port and self.host in (ANY_HOST, origin.host)


def parse_connect_target(text: str) -> ConnectTarget:
    """Parse HOST:PORT; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError(f"{text!r} is not HOST:PORT")
    return ConnectTarget(host.strip("[]").lower(), int(port))


def is_connect_permitted(origin: Origin, allowed: Sequence[ConnectTarget]) -> bool:
    """Return True where a rule permits a tunnel to `origin`."""
    return any(target.matches(origin) for target in allowed)


# Limits of connections to origins, with their sources.

# Maximum content of a request and of a response. It is streamed, so this is a limit of the parser and not of memory.
REQUEST_OCTETS = 2**62
RESPONSE_OCTETS = 2**62
# Maximum number of interim responses before a final one; RFC 8297 needs one or two.
INTERIM_RESPONSES = 32
# Subtracted from the timeout in an origin's Keep-Alive field, for the delay of the request on its way.
KEEP_ALIVE_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """Limits in numbers and seconds for the connections to origins."""

    # Envoy's circuit breakers default to 1024 connections; one origin gets a quarter of them.
    connections: int = 1024
    connections_per_origin: int = 256
    # Linux retransmits a SYN after 1, 3 and 7 s: three retransmissions fit.
    connect_s: float = 10.0
    # nginx's proxy_read_timeout and proxy_send_timeout.
    head_s: float = 60.0
    stall_s: float = 60.0
    # nginx's keepalive_timeout for connections to upstreams.
    idle_s: float = 60.0
    # HAProxy's pool-max-conn is unlimited; half of an origin's connections stay open for the next burst.
    idle_connections_per_origin: int = 128
    # An idle tunnel: RFC 5382 REQ-5 requires 124 min of NATs, nginx's proxy_timeout is 10 min.
    tunnel_idle_s: float = 600.0
    # Interval between checks of the timeouts.
    sweep_s: float = 0.5


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one intermediary.

    name      its pseudonym in Via, unique in a chain of proxies: a token, or host:port (RFC 9110 section 7.6.3)
    origin    the origin of a reverse proxy; None for a forward proxy
    allowed   permitted targets of CONNECT
    clients   permitted networks of clients; () for all
    status    the path of the metrics on the proxy itself, None for none
    """

    name: bytes
    origin: Origin | None = None
    allowed: tuple[ConnectTarget, ...] = ()
    clients: tuple[Network, ...] = ()
    status: bytes | None = None
    limits: UpstreamLimits = field(default_factory=UpstreamLimits)
