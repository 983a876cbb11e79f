"""The connection table of a TCP service: admission of new connections, eviction of old ones, and refusal.

    table = ConnectionTable(ConnectionLimits(1000))
    admitted = table.admit("192.0.2.7", now)       # Admission(entry, evicted=None) or Refusal.FULL
    admitted.entry.stage = Stage.ACTIVE            # the service sets the stage
    admitted.entry.complete(now)                   # a command, request or query was complete
    table.remove(admitted.entry)

A full table that refuses new connections is a lock-out: one client that opens all connections and keeps them open
denies service to all others. So a new connection evicts the least useful one (RFC 4732 section 3.4 and RFC 7766
section 6.2.2 leave the choice to the server). The order of eviction:

    1. connections without a complete command, or not logged in, once OPENING_GRACE_S have passed
    2. idle ones between two commands (RFC 9112 section 9.5, RFC 7766 section 6.2.3: a server may close them any time)
    3. active or logged-in ones of an address or prefix that holds far more than its share
    4. connections that have only just been opened

and among equals the prefix with the most connections, then the address with the most, then the connection that has been
longest without a complete command. An active or logged-in connection of any other address is never evicted. A new
connection never evicts one of an address that holds fewer than its own, unless that was silent for the grace time: an
attacker that connects again and again evicts only its own connections.

The limits of an address and a prefix are shares of the table that count only when it is nearly full, so a single host
(a benchmark, a network behind one NAT) has nearly all of it while it is alone. No I/O and no clock.
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from ipaddress import IPv6Address, ip_address

# Postfix: smtpd_client_connection_count_limit is 50 of default_process_limit's 100.
ADDRESS_SHARE = 0.5
# An address at its share leaves half of the table; its prefix may have half of that as well.
PREFIX_SHARE = 0.75
# The part of the table that is reserved for addresses and prefixes below their share; Dovecot's login processes
# likewise close their oldest connections before the very last one is taken.
RESERVED_SHARE = 1 / 8
# A /24 is the longest IPv4 prefix that is routed on the Internet (RIPE-399 section 2).
IPV4_PREFIX_BITS = 24
# RFC 6177 section 2: an end site has a /56 or more.
IPV6_PREFIX_BITS = 56
# RFC 6298 section 2.1: the first retransmission comes after 1 s, the next after 2 more: two losses are forgiven.
OPENING_GRACE_S = 3.0
# Active connections of one address that are not evicted whatever its share: browsers open 6 to one host.
PROTECTED_PER_ADDRESS = 8
# Active connections of one prefix that are not evicted whatever its share: those of eight such hosts.
PROTECTED_PER_PREFIX = 64


class Stage(IntEnum):
    """Stages of a connection, the least useful first."""

    OPENING = 0
    """In the TLS handshake, without a complete command or request, or not logged in where there is a login."""
    IDLE = 1
    """Between two commands or requests, where there is no login."""
    ACTIVE = 2
    """With a command, request or transfer under way, or logged in."""


class Refusal(Enum):
    """Reasons to refuse a connection."""

    FULL = auto()
    ADDRESS = auto()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Concurrent connections; `per_address` is a limit that counts also while the table has room."""

    connections: int
    per_address: int | None = None


@dataclass(eq=False, slots=True)
class Entry:
    """One connection of the table."""

    address: str
    prefix: str
    completed_at: float
    stage: Stage = Stage.OPENING

    def complete(self, now: float) -> None:
        """Note that a command, request or query was complete."""
        self.completed_at = now


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted connection, and the one that the caller has to close for it, if any."""

    entry: Entry
    evicted: Entry | None = None


def prefix_of(address: str) -> str:
    """Return the network prefix that counts as one source; text that is not an IP address is its own prefix."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return f"{int(parsed) >> (128 - IPV6_PREFIX_BITS):x}/{IPV6_PREFIX_BITS}"
        parsed = parsed.ipv4_mapped
    return f"{int(parsed) >> (32 - IPV4_PREFIX_BITS):x}/{IPV4_PREFIX_BITS}"


@dataclass(slots=True)
class ConnectionTable:
    """All connections of one service, on all its ports."""

    limits: ConnectionLimits
    _entries: dict[Entry, None] = field(default_factory=dict)
    _by_address: Counter[str] = field(default_factory=Counter)
    _by_prefix: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry: Entry) -> bool:
        return entry in self._entries

    def admit(self, address: str, now: float) -> Admission | Refusal:
        """Add a new connection, if need be instead of another, which is removed; or refuse it."""
        new_entry = Entry(address, prefix_of(address), now)
        refusal, candidates = self._exceeded_limit(new_entry)
        evicted = None
        if refusal is not None:
            evicted = self._least_useful(new_entry, candidates, now)
            if evicted is None:
                return refusal
            self.remove(evicted)
        self._entries[new_entry] = None
        self._by_address[address] += 1
        self._by_prefix[new_entry.prefix] += 1
        return Admission(new_entry, evicted)

    def remove(self, entry: Entry) -> None:
        """Remove a connection, if it is in the table."""
        if entry not in self._entries:
            return
        del self._entries[entry]
        for counter, key in ((self._by_address, entry.address), (self._by_prefix, entry.prefix)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    def evict_any(self, now: float) -> Entry | None:
        """Remove and return the least useful connection, whatever the limits; None where none may be evicted."""
        evicted = self._least_useful(Entry("", "", now), list(self._entries), now)
        if evicted is not None:
            self.remove(evicted)
        return evicted

    def _exceeded_limit(self, new_entry: Entry) -> tuple[Refusal | None, list[Entry]]:
        """Return the limit that a new connection exceeds, if any, and the connections that it may evict."""
        maximum, limits = self.limits.connections, self.limits
        address_count, prefix_count = self._by_address[new_entry.address], self._by_prefix[new_entry.prefix]
        nearly_full = len(self._entries) >= maximum - int(maximum * RESERVED_SHARE)
        is_over = limits.per_address is not None and address_count >= limits.per_address
        if is_over or (nearly_full and address_count >= max(1, int(maximum * ADDRESS_SHARE))):
            return Refusal.ADDRESS, [entry for entry in self._entries if entry.address == new_entry.address]
        if nearly_full and prefix_count >= max(1, int(maximum * PREFIX_SHARE)):
            return Refusal.FULL, [entry for entry in self._entries if entry.prefix == new_entry.prefix]
        return (None, []) if len(self._entries) < maximum else (Refusal.FULL, list(self._entries))

    def _least_useful(self, new_entry: Entry, candidates: list[Entry], now: float) -> Entry | None:
        by_address, by_prefix = self._by_address, self._by_prefix
        address_share = self._fair_share(by_address, new_entry.address, PROTECTED_PER_ADDRESS)
        prefix_share = self._fair_share(by_prefix, new_entry.prefix, PROTECTED_PER_PREFIX)
        own_weight = (by_prefix[new_entry.prefix], by_address[new_entry.address])
        best: tuple[int, int, int, float] | None = None
        evicted: Entry | None = None
        for entry in candidates:
            prefix_count, address_count = by_prefix[entry.prefix], by_address[entry.address]
            is_large = address_count > address_share or prefix_count > prefix_share
            is_young = now - entry.completed_at < OPENING_GRACE_S
            if (prefix_count, address_count) <= own_weight and not self._may_evict(new_entry, entry, is_young):
                continue
            if entry.stage is Stage.ACTIVE:
                if not is_large:
                    continue
                rank = 2
            elif entry.stage is Stage.IDLE:
                rank = 1
            else:
                rank = 3 if is_young and not is_large else 0
            key = (rank, -prefix_count, -address_count, entry.completed_at)
            if best is None or key < best:
                best, evicted = key, entry
        return evicted

    @staticmethod
    def _may_evict(new_entry: Entry, entry: Entry, is_young: bool) -> bool:
        """Return whether a connection is evicted for one of an address that holds as many or more."""
        if entry.stage is Stage.ACTIVE:
            return False
        return not is_young or (entry.stage is Stage.IDLE and entry.address == new_entry.address)

    def _fair_share(self, counts: Counter[str], key: str, protected: int) -> int:
        sources = len(counts) + (key not in counts)
        return max(protected, self.limits.connections // sources)


def paid_deadline(deadline: float, octets: int, rate_octets_s: float, latest: float) -> float:
    """Return a deadline after `octets` of content: extended by the time that they take at the minimum rate.

    A client that sends more slowly reaches its deadline however often it sends; `latest` is the maximum. Apache's
    mod_reqtimeout (MinRate) is the model.
    """
    return max(deadline, min(deadline + octets / rate_octets_s, latest))
