"""Metrics of an intermediary: monotonic counters since its start."""

from dataclasses import asdict, dataclass


@dataclass(slots=True)
class Counts:
    """Requests by outcome.

    requests        received, including refused ones
    hits            satisfied by a stored response without forwarding
    stale_hits      hits with a stale response (RFC 9111 section 4.2.4, RFC 5861)
    misses          forwarded without a validator
    revalidations   forwarded with a validator, for a client or in the background
    not_modified    revalidations with a 304 from the origin
    collapsed       satisfied by the response to another client's request
    failures        without a usable response from the origin
    refused         by this proxy's own rules
    tunnels         opened by CONNECT
    """

    requests: int = 0
    hits: int = 0
    stale_hits: int = 0
    misses: int = 0
    revalidations: int = 0
    not_modified: int = 0
    collapsed: int = 0
    failures: int = 0
    refused: int = 0
    tunnels: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name."""
        return asdict(self)
