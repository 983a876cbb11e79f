"""Message rule and violation: an RFC's requirement on a message, and the octets of a capture that break it.

A rule module defines its rules as constants and a `check` that yields violations:

    CONTENT_LENGTH = Rule("http-content-length", "http", "Content-Length is the number of octets of the content.",
                          "RFC 9110 section 8.6")

    def check(captured: CaptureFile, interface: str) -> Checked: ...

Checks read captured octets and import nothing of the services. They are tolerant: after a violation they resume at the
next octets that can only be the start of another message, so that one fault gives one violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.harness.judge.reassembly import Stream

# RFC 2119: a violation of a "must" is an error; one of a "should" may have a reason.
Level = Literal["must", "should"]
EXCERPT_OCTETS = 48


def as_text(octets: bytes) -> str:
    """Return octets as ASCII, others as escapes."""
    return octets.decode("latin-1").encode("unicode_escape").decode("ascii")


@dataclass(frozen=True)
class Rule:
    """A requirement of a protocol on its messages: id, protocol, one-sentence statement, RFC section, and level."""

    id: str
    protocol: str
    statement: str
    section: str
    level: Level = "must"


@dataclass(frozen=True)
class Violation:
    """The octets of a capture that break a rule.

    `frame` is the number of the frame with the first of the octets, `time_ns` its time stamp; `offset` counts octets
    from the start of the sender's TCP stream, or of the UDP payload; `octets` are at most EXCERPT_OCTETS of them.
    `found` and `expected` are clauses: the fault, and the octets of a correct peer at this place.
    """

    rule: Rule
    interface: str
    frame: int
    time_ns: int
    sender: str
    offset: int
    octets: bytes
    found: str
    expected: str

    @property
    def hex(self) -> str:
        """The octets in hexadecimal, a space between two."""
        return self.octets.hex(" ")

    @property
    def text(self) -> str:
        """The octets as ASCII; others, CR and LF among them, as escapes."""
        return as_text(self.octets)

    def as_json(self) -> dict[str, object]:
        """Return the violation as an object for JSON."""
        return {
            "rule": self.rule.id,
            "protocol": self.rule.protocol,
            "level": self.rule.level,
            "section": self.rule.section,
            "statement": self.rule.statement,
            "interface": self.interface,
            "frame": self.frame,
            "time_ns": self.time_ns,
            "sender": self.sender,
            "offset": self.offset,
            "octets": self.octets.hex(),
            "text": self.text,
            "found": self.found,
            "expected": self.expected,
        }

    @property
    def sentence(self) -> str:
        """The violation in one sentence, with frame, offset, section and correction."""
        return (
            f"Frame {self.frame}, octet {self.offset} from {self.sender}: {self.found} ({self.rule.section}: "
            f"{self.rule.statement.rstrip('.')}); correct: {self.expected.rstrip('.')}."
        )


@dataclass(frozen=True)
class Checked:
    """The result of a check at one interface: the number of messages (or lines) parsed, and their violations."""

    messages: int
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class Source:
    """The position of a stream in a capture: its interface, its sender, and its octets with their frames."""

    interface: str
    sender: str
    stream: Stream

    def violation(self, rule: Rule, start: int, end: int, found: str, expected: str) -> Violation:
        """Return a violation by the octets [start, end) of the stream; an empty range refers to the octet before."""
        first = min(start, len(self.stream.data) - 1)
        piece = self.stream.span(first, first + 1)[0]
        octets = self.stream.data[start : min(end, start + EXCERPT_OCTETS)]
        return Violation(rule, self.interface, piece.frame, piece.time_ns, self.sender, start, octets, found, expected)
