"""What is known of servers: how fast each answers, what it does not understand, which zones it does not serve.

RFC 1034 section 5.3.3 step 2 and RFC 1035 section 7.2 (the best server first, by history), RFC 6298 section 2 for the
estimate. A server that was never asked comes first, so that each gets its turn; one that does not answer is waited for
twice as long and then comes last, until the time it is left alone for has passed. Everything is forgotten in time, so
that a server that was repaired is found again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from services.bounded_dict import BoundedDict
from services.dns.codec.name import Name

# Unbound's infra-cache-numhosts is 10 000 and its infra-host-ttl 900 s.
SERVERS_MAX = 10_000
REMEMBERED_S = 900.0
# BIND's lame-ttl was 600 s for a server that does not serve the zone it was named for.
LAME_S = 600.0
# BIND waits 0.8 s for a first answer; Unbound expects 0.376 s of a server it does not know.
TIMEOUT_UNKNOWN_S = 0.8
TIMEOUT_MIN_S = 0.4
# RFC 1035 section 7.2: successive retries back off; BIND's ceiling is 10 s for a whole question, so three fit below.
TIMEOUT_MAX_S = 3.2
# RFC 9520 section 3.1: after three queries without an answer a server counts as unresponsive. It then is asked last,
# and once, for a second, then two, four, and so on.
TIMEOUTS_BEFORE_REST = 3
REST_MAX_S = 60.0


@dataclass(slots=True)
class Server:
    """One address."""

    srtt_s: float | None = None
    rttvar_s: float = 0.0
    timeouts: int = 0
    edns: bool = True
    keeps_case: bool = True
    # RFC 7871 section 12.1: who answers without the option is not told of clients again.
    takes_subnet: bool = True
    rest_until: float = 0.0
    known_until: float = 0.0

    def timeout_s(self) -> float:
        """Return how long to wait for an answer."""
        # RFC 6298 section 2.3
        base = TIMEOUT_UNKNOWN_S if self.srtt_s is None else self.srtt_s + 4 * self.rttvar_s
        return min(max(base, TIMEOUT_MIN_S) * 2.0 ** min(self.timeouts, 8), TIMEOUT_MAX_S)

    def expected_s(self) -> float:
        """Return what a question is expected to take; a server that was never asked is tried first."""
        if self.timeouts:
            return self.timeout_s()
        return self.srtt_s if self.srtt_s is not None else 0.0


class ServerTable:
    """The servers that are known, by address."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._servers: BoundedDict[str, Server] = BoundedDict(SERVERS_MAX)
        self._lame: BoundedDict[tuple[str, Name], float] = BoundedDict(SERVERS_MAX)

    def get(self, address: str, now: float) -> Server:
        """Return what is known of a server, which is nothing after REMEMBERED_S."""
        server = self._servers.get(address)
        if server is None or now >= server.known_until:
            server = Server(known_until=now + REMEMBERED_S)
            self._servers.put(address, server)
        return server

    def answered(self, address: str, rtt_s: float, now: float) -> None:
        """Note that a server answered after `rtt_s`."""
        server = self.get(address, now)
        if server.srtt_s is None:
            # RFC 6298 section 2.2
            server.srtt_s, server.rttvar_s = rtt_s, rtt_s / 2
        else:
            server.rttvar_s += (abs(server.srtt_s - rtt_s) - server.rttvar_s) / 4
            server.srtt_s += (rtt_s - server.srtt_s) / 8
        server.timeouts = 0
        server.rest_until = 0.0

    def timed_out(self, address: str, now: float) -> None:
        """Note that a server did not answer."""
        server = self.get(address, now)
        server.timeouts += 1
        if server.timeouts >= TIMEOUTS_BEFORE_REST:
            rest_s = min(2.0 ** min(server.timeouts - TIMEOUTS_BEFORE_REST, 8), REST_MAX_S)
            server.rest_until = now + rest_s

    def is_resting(self, address: str, now: float) -> bool:
        """Tell whether a server counts as unresponsive."""
        return now < self.get(address, now).rest_until

    def lame(self, address: str, zone: Name, now: float) -> None:
        """Note that a server does not serve a zone that it was named for."""
        self._lame.put((address, zone), now + LAME_S)

    def is_lame(self, address: str, zone: Name, now: float) -> bool:
        """Tell whether a server is known not to serve a zone."""
        until = self._lame.get((address, zone))
        return until is not None and now < until

    def best(self, addresses: Iterable[str], zone: Name, asked: dict[str, int], now: float) -> str | None:
        """Return the address to ask next: least asked, not lame, not resting, fastest; equals by chance."""

        def order(address: str) -> tuple[int, bool, bool, float, float]:
            server = self.get(address, now)
            resting = now < server.rest_until
            chance = self._random.random()
            return (asked.get(address, 0), self.is_lame(address, zone, now), resting, server.expected_s(), chance)

        return min(addresses, key=order, default=None)
