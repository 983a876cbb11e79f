"""Lines of a TCP stream with their offsets, for the rules of line protocols: tolerant of LF without CR."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from experiments.analysis.rules.rule import EXCERPT_OCTETS, Checked, Rule, Source, Violation, as_text
from experiments.harness.judge.frames import CaptureFile, Connection, Direction, Endpoint, connections


@dataclass(frozen=True)
class Line:
    """A line without its end, and the offsets of its first octet and of the first octet behind its end."""

    start: int
    text: bytes
    after: int


@dataclass
class LineStream:
    """One direction of a connection as lines; collects violations. `line_end` is the protocol's rule for CRLF."""

    source: Source
    line_end: Rule
    violations: list[Violation] = field(default_factory=list)
    at: int = 0
    bare_lf: bool = False

    @property
    def data(self) -> bytes:
        """The octets of the stream."""
        return self.source.stream.data

    def note(self, rule: Rule, start: int, end: int, found: str, expected: str) -> None:
        """Record a violation by the octets [start, end)."""
        self.violations.append(self.source.violation(rule, start, end, found, expected))

    def next(self) -> Line | None:
        """Return the next whole line, None at the end of the octets.

        A bare LF ends a line too, and is reported once per direction: a program that ends one line by LF alone does so
        for all lines.
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
        """Return the time of an octet of the stream."""
        return self.source.stream.span(offset, offset + 1)[0].time_ns


@dataclass
class LineConnection:
    """The two directions of a connection of a line protocol."""

    connection: Connection
    client: LineStream
    server: LineStream

    @property
    def violations(self) -> list[Violation]:
        """The violations of both directions in order of time."""
        both = self.client.violations + self.server.violations
        return sorted(both, key=lambda one: (one.time_ns, one.frame, one.offset))


def line_connections(
    captured: CaptureFile, interface: str, ports: Sequence[int], line_end: Rule
) -> Iterator[LineConnection]:
    """Yield the connections to servers at these ports, in the order of their SYNs."""
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
    """Run a check, which records violations, on each connection."""
    lines, violations = 0, list[Violation]()
    for one in found:
        check(one)
        lines += one.client.data.count(b"\n") + one.server.data.count(b"\n")
        violations += one.violations
    return Checked(lines, tuple(violations))
