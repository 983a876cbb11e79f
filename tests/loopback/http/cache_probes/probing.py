"""A probe of a cache: requests of a client, the origin's response to each forwarded one, and the expected results.

    Probe("a name", "9111 4.2", (
        Step(reply=Reply(fields=("Cache-Control: max-age=60",)), asked=True),
        Step(asked=False, content=0),
    ))

asks for one resource twice: the first request comes to the origin, the second does not and brings what step 0 brought.
A probe is required where it tests a sentence with MUST or SHOULD, and allowed where the behaviour is optional and
useful. In fields, `{now+60}` becomes the date of a minute later (also `{rfc850+60}` and `{asctime+60}`),
`{authority}` the proxy's host and port, and `{name}` the probe's own path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

Line = tuple[str, str]
Check = Callable[["Outcome"], str | None]

# As a step's content: the content of that step's own reply.
OWN = -1
# RFC 9211 section 2: a List whose members are Tokens or Strings with parameters.
_STATUS_PARAMETER = (
    r"(?:hit(?:=\?1)?|fwd=(?:bypass|method|uri-miss|vary-miss|miss|request|stale|partial)|fwd-status=\d{3}|ttl=-?\d+"
    r'|stored(?:=\?[01])?|collapsed(?:=\?[01])?|key="[^"]*"|detail=(?:"[^"]*"|[A-Za-z*][^\s;,]*))'
)
CACHE_STATUS = re.compile(rf'(?:[A-Za-z*][^\s;,"]*|"[^"]*")(?:; *{_STATUS_PARAMETER})*')


@dataclass(frozen=True)
class Reply:
    """Response of the origin: a message of these, or literal `pieces`, where a number is a pause in seconds."""

    status: int = 200
    fields: tuple[str, ...] = ()
    content: bytes | None = None
    pieces: tuple[bytes | float, ...] = ()
    has_date: bool = True
    has_length: bool = True
    is_closed: bool = False


@dataclass(frozen=True)
class Step:
    """One request and its expected results; None: no expectation; a number as content: that of that step's reply."""

    fields: tuple[str, ...] = ()
    method: str = "GET"
    target: str = ""
    host: str = ""
    version: str = "1.1"
    sent: bytes = b""
    raw: bytes = b""
    after_s: float = 0.0
    reply: Reply | None = None
    asked: bool | None = None
    status: int | None = 200
    content: int | bytes | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Probe:
    """Steps in order, under a name; `section` is RFC and section."""

    name: str
    section: str
    steps: tuple[Step, ...]
    is_required: bool = True

    @property
    def label(self) -> str:
        """The name of the test."""
        return f"{self.section} {'required' if self.is_required else 'allowed'}: {self.name}"


@dataclass(frozen=True)
class Message:
    """A request or response as received, with the interim responses before it and the trailer fields after it."""

    start: str
    lines: tuple[Line, ...]
    content: bytes = b""
    is_whole: bool = True
    interim: tuple[Message, ...] = ()
    trailers: tuple[Line, ...] = ()

    @property
    def status(self) -> int:
        """The status code; 0 without a response."""
        return int(self.start.split(" ")[1]) if self.start.startswith("HTTP/") else 0

    def values(self, name: str) -> list[str]:
        """Return a field's values, line by line."""
        return [value for known, value in self.lines if known.lower() == name.lower()]


@dataclass
class Outcome:
    """Result of a step: the response, and the requests that the origin received meanwhile."""

    got: Message
    seen: list[Message] = field(default_factory=list)
    before: list[Outcome] = field(default_factory=list)


def has(name: str, *expected: str) -> Check:
    """Expect the field in the response; with these values line by line, if given."""

    def check(outcome: Outcome) -> str | None:
        values = outcome.got.values(name)
        return None if values and (not expected or values == list(expected)) else f"{name} is {values}"

    return check


def lacks(*names: str) -> Check:
    """Expect none of the fields in the response."""
    return lambda outcome: next((f"{name} is there" for name in names if outcome.got.values(name)), None)


def sees(name: str, *expected: str) -> Check:
    """Expect the field in the first request that the origin receives in the step; with these values, if given."""

    def check(outcome: Outcome) -> str | None:
        values = outcome.seen[0].values(name) if outcome.seen else []
        return None if values and (not expected or values == list(expected)) else f"the origin saw {name} {values}"

    return check


def sees_no(*names: str) -> Check:
    """Expect none of the fields in the request that the origin receives."""
    return lambda outcome: next(
        (f"the origin saw {name}" for name in names for message in outcome.seen if message.values(name)), None
    )


def age(least: int, most: int) -> Check:
    """Expect a single Age between these."""

    def check(outcome: Outcome) -> str | None:
        values = outcome.got.values("Age")
        good = len(values) == 1 and values[0].isdigit() and least <= int(values[0]) <= most
        return None if good else f"Age is {values}"

    return check


def cache_status(part: str) -> Check:
    """Expect this in Cache-Status."""
    return lambda outcome: None if part in ", ".join(outcome.got.values("Cache-Status")) else f"not {part!r}"


def status_in(*allowed: int) -> Check:
    """Expect one of these status codes."""
    return lambda outcome: None if outcome.got.status in allowed else f"status {outcome.got.status}"


def get(*fields: str, **rest: object) -> Step:
    """A request that may or may not be forwarded."""
    return Step(fields=fields, **rest)  # type: ignore[arg-type]


def first(*fields: str, status: int = 200, **rest: object) -> Step:
    """A request that must be forwarded, and its response."""
    known = {"asked": True, "status": status, "reply": Reply(status, fields), **rest}
    return Step(**known)  # type: ignore[arg-type]


def hit(*fields: str, of: int | bytes = 0, **rest: object) -> Step:
    """A request that must be satisfied by a stored response."""
    return Step(**{"fields": fields, "asked": False, "content": of, **rest})  # type: ignore[arg-type]


def miss(*fields: str, **rest: object) -> Step:
    """A request that must be forwarded, and whose response must be relayed."""
    return Step(**{"fields": fields, "asked": True, "content": OWN, **rest})  # type: ignore[arg-type]


def required(section: str, name: str, *steps: Step) -> Probe:
    """Define a probe of a requirement."""
    return Probe(name, section, steps)


def allowed(section: str, name: str, *steps: Step) -> Probe:
    """Define a probe of an optional, useful behaviour."""
    return Probe(name, section, steps, is_required=False)


def reused(section: str, name: str, *fields: str, **rest: object) -> Probe:
    """Define a probe: a response with these fields may be reused."""
    after_s, status = rest.pop("after_s", 0.0), rest.get("status", 200)
    return allowed(section, name, first(*fields, **rest), hit(after_s=after_s, status=status))  # type: ignore[arg-type]


def asked_again(section: str, name: str, *fields: str, **rest: object) -> Probe:
    """Define a probe: a response with these fields must not be reused without validation."""
    after_s = rest.pop("after_s", 0.0)
    return required(section, name, first(*fields, **rest), miss(after_s=after_s))  # type: ignore[arg-type]
