"""Test cases for an HTTP/1.1 server: requests as octets, and the check of the captured dialogue of each.

A test case is one connection. Connections are opened in the order of the test cases, so that the capture alone assigns
each connection to its test case. Responses are parsed tolerantly (analysis.rules.http1). A malformed response is
reported by the requirement of an RFC that it violates, a well-formed but wrong response by the check of the test case.
Both reports give frame, offset, octets, RFC section and the correct form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from lab7.experiments.analysis.rules import http1
from lab7.experiments.analysis.rules.http1 import Dialogue, Head
from lab7.experiments.analysis.rules.rule import Rule
from lab7.experiments.assignments.programs.deviation import DeviationError, explained
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict, failed, shown, undecided
from lab7.experiments.http.wire.http1 import GrammarError, chunked_body

# Message rules that hold in every test case: a response that violates them cannot be read.
LINES = frozenset(
    rule.id for rule in (http1.LINE_END, http1.STATUS_LINE, http1.FIELD_LINE, http1.HEAD_END, http1.UNREQUESTED)
)
EXPECTED_OCTETS = 24
ANSWER = Rule("http-server-answer", "http", "A server answers each request by a response.", "RFC 9110 section 3.4")
STATUS = Rule("http-server-status", "http", "The status code says how the request ended.", "RFC 9110 section 15")
WHOLE = Rule(
    "http-server-whole-request",
    "http",
    "A recipient reads a head up to its empty line, in however many segments it comes.",
    "RFC 9112 section 2.2",
)
CONTENT = Rule(
    "http-server-content", "http", "The content of 200 to GET is the representation.", "RFC 9110 section 9.3.1"
)


@dataclass(frozen=True)
class View:
    """Captured connection of a test case: parsed requests and responses, and checks (`expect_...`) of responses."""

    connection: Connection
    dialogue: Dialogue

    @property
    def data(self) -> bytes:
        """The octets that the server sent."""
        return self.dialogue.server.stream.data

    def response(self, number: int = 0) -> Head:
        """Return the head of the response to request `number`, from 0. Raises DeviationError if it is missing."""
        if number < len(self.dialogue.responses):
            return self.dialogue.responses[number]
        end = self.dialogue.responses[-1].end if self.dialogue.responses else 0
        if end < len(self.data):
            found = f"{len(self.data) - end} octets that are no whole response"
            raise self.fault(ANSWER, end, len(self.data), found, "HTTP/1.1 200 OK\\r\\n...\\r\\n\\r\\n")
        raise self._no_answer(number)

    def _no_answer(self, number: int) -> DeviationError:
        """Return a DeviationError for a request to which the server sent no octet."""
        if number < len(self.dialogue.requests):
            start, end = self.dialogue.requests[number].start, self.dialogue.requests[number].content
        else:
            start, end = 0, len(self.dialogue.client.stream.data)
        how = "the server closed the connection" if self.connection.from_server.fin else "no octet came"
        found = f"no response to this request ({how})"
        expected = "a response, which begins with HTTP/1.1 and a status code"
        return DeviationError(self.dialogue.client.violation(ANSWER, start, end, found, expected))

    def expect_whole_requests(self) -> None:
        """Require that no response begins before its request's head was sent completely. Raises DeviationError."""
        client, server = self.dialogue.client.stream, self.dialogue.server.stream
        for request, response in zip(self.dialogue.requests, self.dialogue.responses, strict=False):
            asked = client.span(request.content - 1, request.content)[0]
            if server.span(response.start, response.start + 1)[0].frame < asked.frame:
                found = f"a response before the end of the request in frame {asked.frame}"
                raise self.fault(WHOLE, response.start, response.content, found, "a response after the empty line")

    def fault(self, rule: Rule, start: int, end: int, found: str, expected: str) -> DeviationError:
        """Return a DeviationError for a fault in the octets [start, end) of the server's stream."""
        return DeviationError(self.dialogue.server.violation(rule, start, end, found, expected))

    def line_fault(self, rule: Rule, head: Head, name: bytes, found: str, expected: str) -> DeviationError:
        """Return a DeviationError that cites the field line `name` of a response, or else the status line."""
        start = next((at for known, _, at in head.fields if known == name), head.start)
        return self.fault(rule, start, self.data.find(b"\n", start) + 1, found, expected)

    def expect_status(self, head: Head, allowed: Sequence[bytes], rule: Rule, to: str) -> None:
        """Require that a response has one of the status codes `allowed`. Raises DeviationError."""
        status = head.words[1]
        if status not in allowed:
            expected = f"HTTP/1.1 {allowed[0].decode()} {HTTPStatus(int(allowed[0])).phrase}\\r\\n"
            raise self.line_fault(rule, head, b"", f"status {status.decode()} to {to}", expected)

    def content(self, head: Head) -> bytes:
        """Return the content of a response after removal of the chunked transfer coding."""
        sent = self.data[head.content : head.end]
        if b"chunked" in head.tokens(b"transfer-encoding"):
            try:
                return chunked_body(sent, 0)[0]
            except (GrammarError, EOFError):
                return sent
        return sent

    def expect_file(self, head: Head, path: str, content: bytes) -> None:
        """Require that a response has the status 200 and the content of the file at `path`. Raises DeviationError."""
        self.expect_status(head, (b"200",), STATUS, f"GET {path}, which exists")
        self.expect_content(head, path, content)

    def expect_content(self, head: Head, path: str, content: bytes) -> None:
        """Require that a response has the content `content`, that of the file `path`. Raises DeviationError."""
        got = self.content(head)
        if got == content:
            return
        same = next((at for at, (a, b) in enumerate(zip(got, content, strict=False)) if a != b), None)
        if same is None:
            same = min(len(got), len(content))
            found = f"the content of {path} has {len(got)} of {len(content)} octets"
        else:
            found = f"the content differs from that of {path} at octet {same}"
        at = min(head.content + same, max(head.content, head.end - 1))
        right = content[same : same + EXPECTED_OCTETS].hex(" ") or "the end of the content"
        raise self.fault(CONTENT, at, head.end, found, right)


@dataclass(frozen=True)
class Case:
    """Test case of a claim on one connection: octets to send, the check of the responses, and message rules for them.

    `sends`: the pieces of the octets; each is sent once the server is silent. The check returns its evidence as one
    sentence, or raises DeviationError.
    """

    claim: str
    sends: tuple[bytes, ...]
    check: Callable[[View], str]
    rules: frozenset[str] = frozenset()

    def request(self, address: str, port: int) -> dict[str, object]:
        """Return the JSON request with which the raw client sends the octets to the server at `address`."""
        return {"address": address, "port": port, "send": [octets.hex() for octets in self.sends]}


def get(
    path: str, *fields: str, method: str = "GET", version: str = "HTTP/1.1", host: str = "www.example.com"
) -> bytes:
    """Return the octets of a request without content; an empty `host` omits the Host field."""
    lines = [f"{method} {path} {version}", *([f"Host: {host}"] if host else []), *fields, "", ""]
    return "\r\n".join(lines).encode("ascii")


def decide_cases(captured: CaptureFile, interface: str, port: int, cases: Sequence[Case]) -> tuple[Verdict, ...]:
    """Return a verdict on each claim: failed by its first deviating test case, shown if all its test cases pass."""
    seen = [one for one in connections(captured.at(interface)) if one.server.port == port]
    verdicts: dict[str, Verdict] = {}
    for number, case in enumerate(cases):
        if case.claim in verdicts and verdicts[case.claim].verdict != "shown":
            continue
        one = _decide(case, seen[number], interface) if number < len(seen) else _not_sent(case)
        before = verdicts.get(case.claim)
        if before is not None and one.verdict == "shown":
            one = shown(case.claim, f"{before.evidence} {one.evidence}", (*before.frames, *one.frames))
        verdicts[case.claim] = one
    return tuple(verdicts.values())


def _not_sent(case: Case) -> Verdict:
    return undecided(case.claim, "The run ended before this was requested.")


def _decide(case: Case, connection: Connection, interface: str) -> Verdict:
    frame = connection.syn.frame
    if connection.from_server.syn is None:
        how = "is refused" if connection.from_server.reset else "is not answered"
        return failed(case.claim, f"Frame {frame}: the connection to {connection.server} {how}.", (frame,))
    view = View(connection, http1.dialogue(connection, interface))
    for violation in view.dialogue.violations:
        if violation.rule.id in LINES | case.rules and violation.sender == str(connection.server):
            return failed(case.claim, explained(violation), (violation.frame,))
    try:
        view.expect_whole_requests()
        return shown(case.claim, case.check(view), (frame,))
    except Contradiction as fault:
        return failed(case.claim, fault.evidence, fault.frames)
