"""What the operator decides about an intermediary."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from services.http.proxying.allowed import Allowed
from services.http.proxying.bounds import Bounds
from services.http.urls import Origin

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
