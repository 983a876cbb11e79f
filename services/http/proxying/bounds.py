"""How many connections an intermediary has to origins, and how long it waits for them, each with its source."""

from dataclasses import dataclass

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
