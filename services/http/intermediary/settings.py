"""Settings of an intermediary: name, origin, access control for clients and CONNECT, limits of origin connections.

CONNECT is permitted to a list of targets only, which is empty by default (RFC 9110 section 9.3.6): an open proxy can be
abused to reach ports of internal hosts, or as a relay.

    >>> is_connect_permitted(Origin("a.example", 443), [parse_connect_target("*:443")])
    True
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from lab7.services.http.urls import Origin

ANY_HOST = "*"


@dataclass(frozen=True, slots=True)
class ConnectTarget:
    """Access rule that permits CONNECT to a host, or to any host (ANY_HOST), on one port."""

    host: str
    port: int

    def matches(self, origin: Origin) -> bool:
        """Return True if this rule permits a tunnel to `origin`."""
        return self.port == origin.port and self.host in (ANY_HOST, origin.host)


def parse_connect_target(text: str) -> ConnectTarget:
    """Parse a permitted target of CONNECT, HOST:PORT; raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError(f"{text!r} does not have the form HOST:PORT")
    return ConnectTarget(host.strip("[]").lower(), int(port))


def is_connect_permitted(origin: Origin, allowed: Sequence[ConnectTarget]) -> bool:
    """Return True if a rule permits a tunnel to `origin`."""
    return any(target.matches(origin) for target in allowed)


# Limits of connections to origins.

# Maximum content of a request and of a response: in effect no limit, since content is streamed and not held in memory.
REQUEST_OCTETS = 2**62
RESPONSE_OCTETS = 2**62
# Maximum number of interim responses before a final one, 502 beyond it; RFC 8297 needs one or two.
INTERIM_RESPONSES = 32
# Seconds subtracted from the idle timeout in an origin's Keep-Alive field, since a request takes time to arrive.
KEEP_ALIVE_MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class UpstreamLimits:
    """Limits of the connections to origins: maximum numbers, and timeouts in seconds."""

    # Maximum connections: 1024 is the default of Envoy's circuit breakers; a quarter of these may go to one origin.
    connections: int = 1024
    connections_per_origin: int = 256
    # Time limit in seconds for connecting: Linux retransmits a SYN after 1, 3 and 7 s, so three retransmissions fit.
    connect_s: float = 10.0
    # Time limits in seconds for a response's head and for content without progress: nginx's proxy_read_timeout.
    head_s: float = 60.0
    stall_s: float = 60.0
    # Idle seconds after which a connection is closed: nginx's keepalive_timeout for upstreams.
    idle_s: float = 60.0
    # Maximum idle connections to one origin: half of its connections stay open for the next burst of requests.
    idle_connections_per_origin: int = 128
    # Idle seconds after which a tunnel is closed: nginx's proxy_timeout; RFC 5382 REQ-5 requires 124 min of NATs.
    tunnel_idle_s: float = 600.0
    # Seconds between two checks of the time limits.
    sweep_s: float = 0.5


Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one intermediary, a forward or reverse proxy.

    name      the pseudonym in Via, unique in a chain of proxies: a token, or host:port (RFC 9110 section 7.6.3)
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
