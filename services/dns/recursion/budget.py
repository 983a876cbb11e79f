"""The bounds on what one question of a client may cost, and the account of what it did cost.

RFC 1034 section 5.3.3 ("bound the amount of work") asks for such bounds; CVE-2014-8500 (endless delegations) and
CVE-2020-12662 (NXNSAttack: many hosts without addresses) are what they stop.
"""

from dataclasses import dataclass, field

from services.dns.codec.name import Name
from services.dns.recursion.query import Ask

# BIND's max-recursion-queries as it came with CVE-2014-8500, and PowerDNS Recursor's max-qperq.
QUERIES_MAX = 50
# BIND's max-recursion-depth: hosts whose addresses are needed for hosts whose addresses are needed, and so on.
DEPTH_MAX = 7
# PowerDNS Recursor's max-ns-address-qperq, which bounds NXNSAttack.
HOSTS_MAX = 10
# BIND gives a delegation up after four of its hosts led nowhere (NS_FAIL_LIMIT).
HOSTS_PER_DELEGATION_MAX = 4
# BIND follows 16 aliases, Unbound 11.
ALIASES_MAX = 16
# BIND's resolver-query-timeout.
SECONDS_MAX = 10.0
# RFC 9520 section 3.1: no server is asked the same more than three times.
ASKED_MAX = 3
# RFC 9156 section 2.3: MAX_MINIMISE_COUNT and MINIMISE_ONE_LAB.
MINIMISED_MAX = 10
MINIMISED_ONE_LABEL = 4


class ResolutionError(Exception):
    """A question cannot be answered; the text says why."""


class UnansweredError(ResolutionError):
    """Servers were asked, and none of them was of use."""


class WorkExceededError(ResolutionError):
    """A question costs more than one may."""


@dataclass(slots=True)
class Work:
    """What one question has cost; `now` is the time of the latest event."""

    now: float
    begun: float
    queries: int = 0
    hosts: int = 0
    under_way: set[tuple[Name, int]] = field(default_factory=set)

    def spend(self, ask: Ask) -> Ask:
        """Count one query; raises WorkExceededError when it is one too many."""
        if self.queries >= QUERIES_MAX:
            raise WorkExceededError(f"more than {QUERIES_MAX} queries for one question")
        if self.now - self.begun >= SECONDS_MAX:
            raise WorkExceededError(f"no answer within {SECONDS_MAX:.0f} s")
        self.queries += 1
        return ask

    def may_look_up_host(self, depth: int) -> bool:
        """Count one more host whose address is needed; False when it is one too many."""
        if depth >= DEPTH_MAX or self.hosts >= HOSTS_MAX:
            return False
        self.hosts += 1
        return True
