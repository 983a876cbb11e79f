"""Message rule and violation: an RFC's requirement on a message, and the octets of a capture that break it.

A rule module defines its rules as constants, and a function `check`. The function checks the messages captured at one
interface, and returns their number and the violations in them (Checked):

    CONTENT_LENGTH = Rule("http-content-length", "http", "Content-Length is the number of octets of the content.",
                          "RFC 9110 section 8.6")

    def check(captured: CaptureFile, interface: str) -> Checked: ...

Checks read captured octets, without the parsers of lab7's own servers and clients. Checks are tolerant: after a
violation they resume at the next octets that can only be the start of another message, so that one fault gives one
violation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab7.experiments.harness.judge.reassembly import Stream

# RFC 2119: breaking a "must" is an error; breaking a "should" may be justified.
Level = Literal["must", "should"]
EXCERPT_OCTETS = 48


def as_text(octets: bytes) -> str:
    """Decode octets as ASCII; octets outside printable ASCII become escapes such as `\\r`."""
    return octets.decode("latin-1").encode("unicode_escape").decode("ascii")


@dataclass(frozen=True)
class Rule:
    """Requirement of a protocol on its messages: id, protocol, one-sentence statement, RFC section, and level."""

    id: str
    protocol: str
    statement: str
    section: str
    level: Level = "must"


@dataclass(frozen=True)
class Violation:
    """Violation of a rule by a message, with the octets of the capture that break the rule.

    `frame` is the number of the frame with the first of the octets, `time_ns` its time stamp; `offset` counts octets
    from the start of the sender's TCP stream, or of the UDP payload; `octets` has at most the first EXCERPT_OCTETS
    octets. `found` and `expected` are clauses: the fault, and the octets that a correct peer sends in this place.
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
        """Return the octets in hexadecimal, separated by spaces."""
        return self.octets.hex(" ")

    @property
    def text(self) -> str:
        """Return the octets as ASCII, with escapes for CR, LF and all other unprintable octets."""
        return as_text(self.octets)

    def as_json(self) -> dict[str, object]:
        """Return the violation as a dictionary for JSON output."""
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
        """Describe the violation in one sentence, with frame, offset, RFC section and correct form."""
        return (
            f"Frame {self.frame}, octet {self.offset} from {self.sender}: {self.found} ({self.rule.section}: "
            f"{self.rule.statement.rstrip('.')}); correct: {self.expected.rstrip('.')}."
        )


@dataclass(frozen=True)
class Checked:
    """Result of a check at one interface: the number of messages (or lines) parsed, and their violations."""

    messages: int
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class Source:
    """TCP stream with its origin: interface of the capture, sender, and octets with their frames."""

    interface: str
    sender: str
    stream: Stream

    def violation(self, rule: Rule, start: int, end: int, found: str, expected: str) -> Violation:
        """Return a Violation of `rule` by the octets [start, end) of the stream.

        If they are past the end of the stream, the violation has the frame number of the stream's last octet.
        """
        first = min(start, len(self.stream.data) - 1)
        piece = self.stream.span(first, first + 1)[0]
        octets = self.stream.data[start : min(end, start + EXCERPT_OCTETS)]
        return Violation(rule, self.interface, piece.frame, piece.time_ns, self.sender, start, octets, found, expected)
