"""Which replicas are up, and how much they have to do, as far as checks can tell.

    table = HealthTable(addresses, failures_max=1)
    table.note(address, Report(True, load=3.0))    -> Change(address, State.UP, ...)
    table.note(address, Report(False))             -> Change(address, State.DOWN, ...)

A replica that nobody has seen up counts as down. One success takes a replica in, `failures_max` failures in a row take
it out.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum

from services.dns.address_space import Address


class State(Enum):
    """What the checks have shown so far."""

    UNKNOWN = "not checked yet"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one check; `load` is what the replica says of itself, None where it says nothing."""

    is_well: bool
    load: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A replica was taken in or out; `detail` says what its last check showed."""

    address: Address
    state: State
    detail: str


# (state, what the check showed) -> state. The step from UP to DOWN waits for as many failures in a row as are allowed.
_NEXT = {
    (State.UNKNOWN, True): State.UP,
    (State.UNKNOWN, False): State.DOWN,
    (State.DOWN, True): State.UP,
    (State.DOWN, False): State.DOWN,
    (State.UP, True): State.UP,
    (State.UP, False): State.DOWN,
}


@dataclass(slots=True)
class _Health:
    state: State = State.UNKNOWN
    failures: int = 0
    load: float | None = field(default=None)


class HealthTable:
    """The health of replicas by address."""

    def __init__(self, addresses: Iterable[Address] = (), failures_max: int = 1) -> None:
        self._health = {address: _Health() for address in addresses}
        self._failures_max = failures_max

    def add(self, addresses: Iterable[Address]) -> None:
        """Begin with further replicas; what is known of others stays."""
        for address in addresses:
            self._health.setdefault(address, _Health())

    def keep(self, addresses: Collection[Address]) -> None:
        """Forget all replicas but these."""
        self._health = {address: health for address, health in self._health.items() if address in addresses}

    def note(self, address: Address, report: Report) -> Change | None:
        """Take what a check showed; returns the change that it makes, if it makes one."""
        health = self._health.get(address)
        if health is None:
            return None
        health.failures = 0 if report.is_well else health.failures + 1
        health.load = report.load if report.is_well else health.load
        state = _NEXT[health.state, report.is_well]
        if health.state is State.UP and state is State.DOWN and health.failures < self._failures_max:
            return None
        if state is health.state:
            return None
        health.state = state
        return Change(address, state, report.detail)

    def is_up(self, address: Address) -> bool:
        """Tell whether a replica may be named in an answer."""
        health = self._health.get(address)
        return health is not None and health.state is State.UP

    def load(self, address: Address) -> float | None:
        """Return what a replica said last of its load; None where it said nothing."""
        health = self._health.get(address)
        return None if health is None else health.load
