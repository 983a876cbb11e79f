"""Which replicas are up, and how much they have to do, as far as checks can tell.

    table = HealthTable(addresses, failures_max=1)
    table.note(address, Report(True, load=3.0))    -> Change(address, State.UP, ...)
    table.note(address, Report(False))             -> Change(address, State.DOWN, ...)

A replica that nobody has seen up counts as down. One success takes a replica in, `failures_max` failures in a row take
it out.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite

from services.dns.address_space import Address
from services.http.fields import Fields
from services.http.http1.client_connection import ClientConnection
from services.http.messages import Data, EndOfMessage, Event, Fault, Request, Response


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


# A replica's answer to the question how it is, read from octets: well or not, and how much it has to do.
#
#     GET /lab7-status HTTP/1.1              HTTP/1.1 200 OK
#     Host: 10.8.1.10                        Content-Type: application/json
#     Connection: close
#                                            {"requests_under_way": 3}
#
# A final status of 2xx with whole content is a replica that is well (RFC 9110 section 15.3). Of the content
# one number is read, if it is a JSON object that has one; a status page of any other kind says nothing of the load.
# Left out: redirections, which a status has no use for and which count as failures.

# A status is a few numbers.
STATUS_OCTETS_MAX = 65_536
# With the longest header section that is read, and some interim responses.
ANSWER_OCTETS_MAX = 4 * STATUS_OCTETS_MAX
# The first of these that is there counts; capacities in the map have the same unit.
LOAD_KEYS = ("load", "requests_under_way", "requests_per_s")


class StatusCheck:
    """One check: request() goes out, receive() and end() take what comes until there is a Report."""

    def __init__(self, address: Address, port: int, path: str) -> None:
        host = f"[{address}]" if address.version == 6 else str(address)
        self._authority = (host if port == 80 else f"{host}:{port}").encode("ascii")
        self._path = path.encode("ascii")
        self._connection = ClientConnection(STATUS_OCTETS_MAX)
        self._status = 0
        self._content = bytearray()
        self._octets = 0

    def request(self) -> bytes:
        """Return the octets to send."""
        fields = ((b"Host", self._authority), (b"Accept", b"application/json"), (b"Connection", b"close"))
        return self._connection.send_request(Request(b"GET", self._path, Fields(fields)))

    def receive(self, data: bytes) -> Report | None:
        """Take octets; returns the report once it is clear."""
        self._octets += len(data)
        report = self._take(self._connection.receive_data(data))
        if report is None and self._octets > ANSWER_OCTETS_MAX:
            return Report(False, detail=f"the answer has more than {ANSWER_OCTETS_MAX} octets")
        return report

    def end(self) -> Report:
        """Take note of the connection's end."""
        report = self._take(self._connection.receive_eof())
        return Report(False, detail="the connection ended without an answer") if report is None else report

    def _take(self, events: list[Event]) -> Report | None:
        for event in events:
            if isinstance(event, Fault):
                return Report(False, detail=event.detail)
            if isinstance(event, Response):
                self._status = event.status
            elif isinstance(event, Data):
                self._content += event.data
            elif isinstance(event, EndOfMessage):
                return self._report()
        return None

    def _report(self) -> Report:
        if self._status // 100 != 2:
            return Report(False, detail=f"it answered {self._status}")
        return Report(True, load_in(bytes(self._content)), f"it answered {self._status}")


def load_in(content: bytes) -> float | None:
    """Return the load that a status says, a number from 0 on; None where it says none that can be used."""
    try:
        said = json.loads(content)
    # Brackets in brackets exhaust the parser, which is a way to say nothing, too.
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    for key in LOAD_KEYS:
        value = said.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _usable(value)
    return None


def _usable(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) and number >= 0 else None
