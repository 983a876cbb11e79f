"""Test cases for a caching proxy: client requests, and the check of responses and of requests forwarded to the origin.

A test case is a sequence of client requests, each on its own connection, in the order of the test cases. A request from
the proxy to the origin belongs to the latest client request before it. A fault is reported with the proxy's octets that
show it: those of a request at the origin, or of a response at the client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lab7.experiments.analysis.rules import http1
from lab7.experiments.analysis.rules.http1 import Dialogue, Head
from lab7.experiments.analysis.rules.rule import Rule, Violation, as_text
from lab7.experiments.assignments.programs.deviation import DeviationError, explained
from lab7.experiments.assignments.programs.http_cases import LINES, View
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict, failed, shown, undecided

# Message rules that the proxy's requests to the origin must keep in every test case.
REQUESTS = frozenset(
    rule.id for rule in (http1.LINE_END, http1.REQUEST_LINE, http1.FIELD_LINE, http1.HEAD_END, http1.HOST)
)
END_OF_TIME_NS = 1 << 63
# Permitted difference in s between Age and the time in the capture: Age has whole seconds, and transmission takes time.
AGE_SLACK_S = 2


@dataclass(frozen=True)
class Forwarded:
    """Request that the proxy has forwarded, with the origin's response, as captured at the origin."""

    request: Head
    response: Head | None
    dialogue: Dialogue
    time_ns: int

    @property
    def content(self) -> bytes:
        """The octets of the request's content."""
        return self.dialogue.client.stream.data[self.request.content : self.request.end]

    @property
    def answered_ns(self) -> int:
        """Time in ns of the origin's first response octet; time of the request if there is no response."""
        if self.response is None:
            return self.time_ns
        start = self.response.start
        return self.dialogue.server.stream.span(start, start + 1)[0].time_ns

    def fault(self, rule: Rule, found: str, expected: str, name: bytes = b"") -> DeviationError:
        """Return a DeviationError that cites the field line `name` of the request, or else the request line."""
        data = self.dialogue.client.stream.data
        start = next((at for known, _, at in self.request.fields if known == name), self.request.start)
        end = data.find(b"\n", start) + 1
        return DeviationError(self.dialogue.client.violation(rule, start, end, found, expected))

    def content_fault(self, rule: Rule, found: str, expected: str) -> DeviationError:
        """Return a DeviationError for a fault in the content of the request."""
        start, end = self.request.content, max(self.request.end, self.request.content)
        return DeviationError(self.dialogue.client.violation(rule, start, end, found, expected))


@dataclass(frozen=True)
class Turn:
    """Request of the client, the proxy's response, and the requests that the proxy sent to the origin meanwhile."""

    view: View
    target: str
    forwarded: tuple[Forwarded, ...]

    @property
    def time_ns(self) -> int:
        """Time in ns of the first octet of the proxy's response. Raises DeviationError if there is none."""
        start = self.view.response().start
        return self.view.dialogue.server.stream.span(start, start + 1)[0].time_ns

    def expect_content(self, content: bytes, rule: Rule, what: str = "") -> Head:
        """Require a 200 response with this content; return the head of the response. Raises DeviationError."""
        head = self.view.response()
        asked = what or f"the request for {self.target}"
        self.view.expect_status(head, (b"200",), rule, asked)
        self.view.expect_content(head, self.target, content)
        return head

    def expect_forwarded(self, rule: Rule, why: str, expected: str) -> Forwarded:
        """Require that the proxy has forwarded the request; return the first such request. Raises DeviationError."""
        if self.forwarded:
            return self.forwarded[0]
        head = self.view.response()
        found = f"a response to the request for {self.target} without a request to the origin, {why}"
        raise self.view.line_fault(rule, head, b"", found, expected)

    def expect_stored(self, rule: Rule, why: str) -> None:
        """Require that the proxy serves a stored response, without a request to the origin. Raises DeviationError."""
        self.view.response()
        for one in self.forwarded:
            raise one.fault(rule, f"a request for {self.target} to the origin, {why}", "no octets: the stored response")


@dataclass(frozen=True)
class Ask:
    """Request that the client is to send: octets, target in origin-form, and the pause in s before the request."""

    octets: bytes
    target: str
    wait_s: float = 0.0


@dataclass(frozen=True)
class Case:
    """Test case of a claim: client requests in sequence, the check of their packets, and rules for the messages.

    The check returns its evidence as one sentence, or raises DeviationError. `rules` are the ids of message rules in
    addition to those that apply in every test case.
    """

    claim: str
    asks: tuple[Ask, ...]
    check: Callable[[Sequence[Turn]], str]
    rules: frozenset[str] = frozenset()

    def requests(self, address: str, port: int) -> list[dict[str, object]]:
        """Return the JSON requests with which the raw client sends the HTTP requests to the proxy."""
        return [
            {"address": address, "port": port, "send": [one.octets.hex()], "wait_s": one.wait_s} for one in self.asks
        ]


def absolute(name: str, target: str, *fields: str, method: str = "GET", content: bytes = b"") -> bytes:
    """Return a request in absolute-form for a target of the host `name` (RFC 9112 section 3.2.2)."""
    sized = [f"Content-Length: {len(content)}"] if content or method == "POST" else []
    lines = [f"{method} http://{name}{target} HTTP/1.1", f"Host: {name}", *fields, *sized, "", ""]
    return "\r\n".join(lines).encode("ascii") + content


@dataclass
class _AtOrigin:
    """Requests of the proxy as captured at the origin, and the message rules that they violate."""

    requests: list[Forwarded] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    def add(self, connection: Connection, interface: str) -> None:
        parsed = http1.dialogue(connection, interface)
        self.violations += [one for one in parsed.violations if one.sender == str(connection.client)]
        for number, request in enumerate(parsed.requests):
            time_ns = parsed.client.stream.span(request.start, request.start + 1)[0].time_ns
            response = parsed.responses[number] if number < len(parsed.responses) else None
            self.requests.append(Forwarded(request, response, parsed, time_ns))


def decide_cases(
    captured: CaptureFile, at_client: str, proxy_port: int, at_origin: str, cases: Sequence[Case]
) -> tuple[Verdict, ...]:
    """Return a verdict on each claim: failed by its first deviating test case, shown if all its test cases pass."""
    asked = [one for one in connections(captured.at(at_client)) if one.server.port == proxy_port]
    origin = _AtOrigin()
    for connection in connections(captured.at(at_origin)):
        origin.add(connection, at_origin)
    origin.requests.sort(key=lambda one: one.time_ns)
    verdicts: dict[str, Verdict] = {}
    first = 0
    for case in cases:
        last = first + len(case.asks)
        before = verdicts.get(case.claim)
        if before is None or before.verdict == "shown":
            if len(asked) < last:
                one = undecided(case.claim, "The run ended before this was requested.")
            else:
                end_ns = asked[last].syn.time_ns if last < len(asked) else END_OF_TIME_NS
                one = _decide(case, asked[first:last], end_ns, at_client, origin)
            if before is not None and one.verdict == "shown":
                one = shown(case.claim, f"{before.evidence} {one.evidence}", (*before.frames, *one.frames))
            verdicts[case.claim] = one
        first = last
    return tuple(verdicts.values())


def _decide(case: Case, asked: Sequence[Connection], end_ns: int, interface: str, origin: _AtOrigin) -> Verdict:
    frame, begin_ns = asked[0].syn.frame, asked[0].syn.time_ns
    ends = [*(one.syn.time_ns for one in asked[1:]), end_ns]
    turns: list[Turn] = []
    violations = [
        one for one in origin.violations if begin_ns <= one.time_ns < end_ns and one.rule.id in REQUESTS | case.rules
    ]
    for ask, connection, until_ns in zip(case.asks, asked, ends, strict=True):
        if connection.from_server.syn is None:
            how = "is refused" if connection.from_server.reset else "is not answered"
            number = connection.syn.frame
            return failed(case.claim, f"Frame {number}: the connection to {connection.server} {how}.", (number,))
        view = View(connection, http1.dialogue(connection, interface))
        sent = tuple(one for one in origin.requests if connection.syn.time_ns <= one.time_ns < until_ns)
        turns.append(Turn(view, ask.target, sent))
        violations += [
            one
            for one in view.dialogue.violations
            if one.rule.id in LINES | case.rules and one.sender == str(connection.server)
        ]
    for violation in sorted(violations, key=lambda one: one.time_ns):
        return failed(case.claim, explained(violation), (violation.frame,))
    try:
        return shown(case.claim, case.check(turns), (frame,))
    except Contradiction as fault:
        return failed(case.claim, fault.evidence, fault.frames)


def field_text(head: Head, name: bytes) -> str:
    """Return a header field as `Name: value`, or `no Name` if the message lacks it."""
    values = head.values(name)
    return f"{name.decode().title()}: {as_text(values[0])}" if values else f"no {name.decode().title()}"
