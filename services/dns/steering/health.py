"""Health of CDN replicas: states and loads from HTTP checks, and the HTTP exchange of one check, without I/O.

    table = HealthTable(addresses, failures_max=1)
    table.update(address, CheckResult(True, load=3.0))    -> Change(address, State.UP, ...)
    table.update(address, CheckResult(False))             -> Change(address, State.DOWN, ...)

One success marks a replica up, `failures_max` consecutive failures mark it down; a replica that was never up is not
used.

HealthCheck is the HTTP exchange of one check:

    GET /lab7-status HTTP/1.1              HTTP/1.1 200 OK
    Host: 10.8.1.10                        Content-Type: application/json
    Connection: close
                                           {"requests_under_way": 3}

A complete response with a final 2xx status (RFC 9110 section 15.3) is a success. If its content is a JSON object with
a number under one of LOAD_KEYS, the number is the load; other content is ignored. Left out: redirects, which count as
failures.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from math import isfinite

from lab7.services.dns.address_space import Address
from lab7.services.http.fields import Fields
from lab7.services.http.http1.connection import ClientConnection
from lab7.services.http.messages import Data, EndOfMessage, Event, Fault, Request, Response

# Maximum size in octets of the content of a response to a health check.
STATUS_OCTETS_MAX = 65_536
# Maximum size in octets of a response to a health check: content, header section and interim responses.
RESPONSE_OCTETS_MAX = 4 * STATUS_OCTETS_MAX
# JSON keys of a replica's load, in order of preference; the load has the unit of capacities in the region map.
LOAD_KEYS = ("load", "requests_under_way", "requests_per_s")


class State(Enum):
    """State of a replica: unknown before the first check, up, or down."""

    UNKNOWN = "not checked yet"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; `load` is as reported by the replica, None if it reports none."""

    healthy: bool
    load: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a replica's state; `detail` is the result of the check that caused it, in words."""

    address: Address
    state: State
    detail: str


# Table (state, success of the check) -> state; UP becomes DOWN only after `failures_max` consecutive failures.
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
    """Health states and loads of replicas, keyed by address."""

    def __init__(self, addresses: Iterable[Address] = (), failures_max: int = 1) -> None:
        self._health = {address: _Health() for address in addresses}
        self._failures_max = failures_max

    def add(self, addresses: Iterable[Address]) -> None:
        """Add replicas in state UNKNOWN; replicas that are already in the table keep their state."""
        for address in addresses:
            self._health.setdefault(address, _Health())

    def retain(self, addresses: Collection[Address]) -> None:
        """Remove all replicas from the table except those in `addresses`."""
        self._health = {address: health for address, health in self._health.items() if address in addresses}

    def update(self, address: Address, result: CheckResult) -> Change | None:
        """Apply the result of a check; return the change of state, None if there is none."""
        health = self._health.get(address)
        if health is None:
            return None
        health.failures = 0 if result.healthy else health.failures + 1
        health.load = result.load if result.healthy else health.load
        state = _NEXT[health.state, result.healthy]
        if health.state is State.UP and state is State.DOWN and health.failures < self._failures_max:
            return None
        if state is health.state:
            return None
        health.state = state
        return Change(address, state, result.detail)

    def is_up(self, address: Address) -> bool:
        """Tell whether a replica is up."""
        health = self._health.get(address)
        return health is not None and health.state is State.UP

    def load(self, address: Address) -> float | None:
        """Return the last load that a replica reported; None if there is none."""
        health = self._health.get(address)
        return None if health is None else health.load


class HealthCheck:
    """Sans-IO HTTP exchange of one health check of a replica.

    The caller sends request(), then passes received data to receive(), and the end of the connection to end(), until
    one of them returns a CheckResult.
    """

    def __init__(self, address: Address, port: int, path: str) -> None:
        host = f"[{address}]" if address.version == 6 else str(address)
        self._authority = (host if port == 80 else f"{host}:{port}").encode("ascii")
        self._path = path.encode("ascii")
        self._connection = ClientConnection(STATUS_OCTETS_MAX)
        self._status = 0
        self._content = bytearray()
        self._octets = 0

    def request(self) -> bytes:
        """Encode the HTTP request of the health check."""
        fields = ((b"Host", self._authority), (b"Accept", b"application/json"), (b"Connection", b"close"))
        return self._connection.send_request(Request(b"GET", self._path, Fields(fields)))

    def receive(self, data: bytes) -> CheckResult | None:
        """Process received data; return the result of the check if the response is complete, else None."""
        self._octets += len(data)
        result = self._handle(self._connection.receive_data(data))
        if result is None and self._octets > RESPONSE_OCTETS_MAX:
            return CheckResult(False, detail=f"response larger than {RESPONSE_OCTETS_MAX} octets")
        return result

    def end(self) -> CheckResult:
        """Process the end of the connection; return the result of the health check."""
        result = self._handle(self._connection.receive_eof())
        return CheckResult(False, detail="connection closed without a response") if result is None else result

    def _handle(self, events: list[Event]) -> CheckResult | None:
        for event in events:
            if isinstance(event, Fault):
                return CheckResult(False, detail=event.detail)
            if isinstance(event, Response):
                self._status = event.status
            elif isinstance(event, Data):
                self._content += event.data
            elif isinstance(event, EndOfMessage):
                return self._result()
        return None

    def _result(self) -> CheckResult:
        if self._status // 100 != 2:
            return CheckResult(False, detail=f"status {self._status}")
        return CheckResult(True, load_in(bytes(self._content)), f"status {self._status}")


def load_in(content: bytes) -> float | None:
    """Parse the load, a number from 0 on, from the content of a status response; None if there is no valid load."""
    try:
        status = json.loads(content)
    # The JSON parser raises RecursionError for deeply nested content.
    except (ValueError, RecursionError):
        return None
    if not isinstance(status, dict):
        return None
    for key in LOAD_KEYS:
        value = status.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(value)
    return None


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) and number >= 0 else None
