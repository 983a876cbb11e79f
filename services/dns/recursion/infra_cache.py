"""Infra cache: RTT, timeouts, EDNS support and lameness of upstream servers, for server selection.

RFC 1034 section 5.3.3 step 2 and RFC 1035 section 7.2: the server with the best history is queried first. The timeout
is computed as in RFC 6298 section 2. A server without a measurement is tried first, so that all servers are measured.
Each timeout doubles the server's next timeout. Until the server responds again, this doubled value counts as its RTT in
the selection. After TIMEOUTS_BEFORE_BACKOFF consecutive timeouts, the server is in back-off (RFC 9520 section 3.1). All
entries expire, so that a repaired server is used again.

The name is from Unbound. lab7.services.dns.recursion.cache explains the difference from the RRset cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from lab7.services.bounded_dict import BoundedDict
from lab7.services.dns.codec.name import Name

# Maximum number of servers and lifetime of an entry in seconds: Unbound's infra-cache-numhosts and infra-host-ttl.
SERVERS_MAX = 10_000
ENTRY_TTL_S = 900.0
# Time in seconds that a server counts as lame for a zone: BIND's former lame-ttl.
LAME_TTL_S = 600.0
# Timeout in seconds for a server whose RTT is unknown: BIND's; Unbound's initial estimate is 0.376 s.
TIMEOUT_UNKNOWN_S = 0.8
TIMEOUT_MIN_S = 0.4
# Maximum timeout in seconds (RFC 1035 section 7.2: retries back off); three fit in BIND's 10 s per question.
TIMEOUT_MAX_S = 3.2
# RFC 9520 section 3.1: after three timeouts in a row a server is in back-off (1 s, 2 s, 4 s ...) and selected last.
TIMEOUTS_BEFORE_BACKOFF = 3
BACKOFF_MAX_S = 60.0


@dataclass(slots=True)
class InfraEntry:
    """Round-trip time, timeouts and capabilities of one server address; times are in seconds."""

    srtt_s: float | None = None
    rttvar_s: float = 0.0
    timeouts: int = 0
    edns: bool = True
    preserves_case: bool = True
    # RFC 7871 section 12.1: a server that responds without the option gets no client subnets any more.
    accepts_subnet: bool = True
    backoff_until: float = 0.0
    expires: float = 0.0

    def timeout_s(self) -> float:
        """Return the timeout in seconds for the next query to the server."""
        # RFC 6298 section 2.3
        base = TIMEOUT_UNKNOWN_S if self.srtt_s is None else self.srtt_s + 4 * self.rttvar_s
        return min(max(base, TIMEOUT_MIN_S) * 2.0 ** min(self.timeouts, 8), TIMEOUT_MAX_S)

    def expected_s(self) -> float:
        """Return the expected response time of the server in seconds.

        The result is 0 if the server has not been measured, so that it is tried first.
        """
        if self.timeouts:
            return self.timeout_s()
        return self.srtt_s if self.srtt_s is not None else 0.0


class InfraCache:
    """Cache of InfraEntry objects keyed by server address, and of lameness keyed by address and zone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._servers: BoundedDict[str, InfraEntry] = BoundedDict(SERVERS_MAX)
        self._lame: BoundedDict[tuple[str, Name], float] = BoundedDict(SERVERS_MAX)

    def get(self, address: str, now: float) -> InfraEntry:
        """Return the entry of a server; a new entry if there is none, or if it is older than ENTRY_TTL_S."""
        server = self._servers.get(address)
        if server is None or now >= server.expires:
            server = InfraEntry(expires=now + ENTRY_TTL_S)
            self._servers.put(address, server)
        return server

    def answered(self, address: str, rtt_s: float, now: float) -> None:
        """Record a response with its round-trip time: update the server's smoothed RTT, and end its back-off."""
        server = self.get(address, now)
        if server.srtt_s is None:
            # RFC 6298 section 2.2
            server.srtt_s, server.rttvar_s = rtt_s, rtt_s / 2
        else:
            server.rttvar_s += (abs(server.srtt_s - rtt_s) - server.rttvar_s) / 4
            server.srtt_s += (rtt_s - server.srtt_s) / 8
        server.timeouts = 0
        server.backoff_until = 0.0

    def timed_out(self, address: str, now: float) -> None:
        """Record a timeout of a server; the third in a row begins the server's back-off."""
        server = self.get(address, now)
        server.timeouts += 1
        if server.timeouts >= TIMEOUTS_BEFORE_BACKOFF:
            backoff_s = min(2.0 ** min(server.timeouts - TIMEOUTS_BEFORE_BACKOFF, 8), BACKOFF_MAX_S)
            server.backoff_until = now + backoff_s

    def is_unresponsive(self, address: str, now: float) -> bool:
        """Tell whether a server is in back-off."""
        return now < self.get(address, now).backoff_until

    def mark_lame(self, address: str, zone: Name, now: float) -> None:
        """Store that a server is lame for a zone."""
        self._lame.put((address, zone), now + LAME_TTL_S)

    def is_lame(self, address: str, zone: Name, now: float) -> bool:
        """Tell whether a server is lame for a zone: the zone is delegated to it, but it is not authoritative."""
        until = self._lame.get((address, zone))
        return until is not None and now < until

    def best(self, addresses: Iterable[str], zone: Name, queries: dict[str, int], now: float) -> str | None:
        """Return the best of several server addresses; None if there is none.

        The criteria, in order: fewest `queries` so far, not lame for the zone, not in back-off, shortest RTT, random
        choice.
        """

        def order(address: str) -> tuple[int, bool, bool, float, float]:
            server = self.get(address, now)
            unresponsive = now < server.backoff_until
            tie = self._random.random()
            return (queries.get(address, 0), self.is_lame(address, zone, now), unresponsive, server.expected_s(), tie)

        return min(addresses, key=order, default=None)
