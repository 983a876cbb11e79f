"""Lines of a captured TCP stream with their offsets, to check line-based protocols; LF without CR also ends a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lab7.experiments.analysis.rules.rule import EXCERPT_OCTETS, Checked, Rule, Source, Violation, as_text
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, Direction, Endpoint, connections


@dataclass(frozen=True)
class Line:
    """One line of a TCP stream: text without the line end, offset of its first octet, and offset of the next line."""

    start: int
    text: bytes
    after: int


@dataclass
class LineStream:
    """One direction of a TCP connection, read line by line, with the violations found in it.

    `line_end` is the rule of the protocol that LF without CR violates.
    """

    source: Source
    line_end: Rule
    violations: list[Violation] = field(default_factory=list)
    at: int = 0
    bare_lf: bool = False

    @property
    def data(self) -> bytes:
        """Return the octets of the stream."""
        return self.source.stream.data

    def note(self, rule: Rule, start: int, end: int, found: str, expected: str) -> None:
        """Record a Violation of `rule` by the octets [start, end) of the stream."""
        self.violations.append(self.source.violation(rule, start, end, found, expected))

    def next(self) -> Line | None:
        """Return the next complete line; None at the end of the stream.

        A bare LF ends a line too. It is reported once per direction, since a program that ends one line by LF alone
        does so for all lines.
        """
        end = self.data.find(b"\n", self.at)
        if end < 0:
            return None
        start, self.at = self.at, end + 1
        if end > start and self.data[end - 1 : end] == b"\r":
            return Line(start, self.data[start : end - 1], end + 1)
        if not self.bare_lf:
            self.bare_lf = True
            first = max(start, end + 1 - EXCERPT_OCTETS)
            self.note(
                self.line_end, first, end + 1, "the line ends in LF alone", f"{as_text(self.data[first:end])}\\r\\n"
            )
        return Line(start, self.data[start:end], end + 1)

    def time_ns(self, offset: int) -> int:
        """Return the capture time of an octet of the stream, in ns."""
        return self.source.stream.span(offset, offset + 1)[0].time_ns


@dataclass
class LineConnection:
    """Connection of a line-based protocol, with one LineStream per direction."""

    connection: Connection
    client: LineStream
    server: LineStream

    @property
    def violations(self) -> list[Violation]:
        """Return the violations of both directions in order of time."""
        both = self.client.violations + self.server.violations
        return sorted(both, key=lambda one: (one.time_ns, one.frame, one.offset))


def line_connections(
    captured: CaptureFile, interface: str, ports: Sequence[int], line_end: Rule
) -> Iterator[LineConnection]:
    """Yield the TCP connections to these server ports, in the order of their SYNs."""
    for connection in connections(captured.at(interface)):
        if connection.server.port not in ports:
            continue

        def stream(endpoint: Endpoint, direction: Direction) -> LineStream:
            return LineStream(Source(interface, str(endpoint), direction.stream), line_end)

        yield LineConnection(
            connection,
            stream(connection.client, connection.from_client),
            stream(connection.server, connection.from_server),
        )


def check_each(found: Iterable[LineConnection], check: Callable[[LineConnection], None]) -> Checked:
    """Call `check` for each connection; return the number of lines, and the violations that `check` recorded."""
    lines, violations = 0, list[Violation]()
    for one in found:
        check(one)
        lines += one.client.data.count(b"\n") + one.server.data.count(b"\n")
        violations += one.violations
    return Checked(lines, tuple(violations))
