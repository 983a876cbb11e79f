r"""Command framing: lines and the literals they announce (RFC 3501 sections 2.2, 4.3 and 7.5; RFC 7888).

    framer.feed(b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n")
    framer.next() == AnnouncedLiteral(b"a LOGIN {5}", 5, is_synchronizing=True)
    framer.accept()
    ...
    framer.next() == Line(b"a LOGIN {5}\r\nalice {6}\r\nsecret")

A Line includes its literals as received, so that the argument parser works on one buffer. AnnouncedLiteral precedes
every literal: accept() buffers the literal, refuse() ends the command. A line may end in bare LF, as typed in a
terminal.
"""

import re
from dataclasses import dataclass

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.mail.imap.limits import LINE_OCTETS, MESSAGE_OCTETS

_ANNOUNCED_LITERAL = re.compile(rb"\{(\d{1,20})(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A complete command including literals, without its line ending."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class AnnouncedLiteral:
    """A literal announced at the end of `received`; `is_synchronizing` if the client waits for "+" (no LITERAL+)."""

    received: bytes
    size_octets: int
    is_synchronizing: bool


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line beyond the limit; its remainder is discarded."""

    received: bytes


class Framer:
    """Splits input into commands; at most `limit_octets` are buffered beside one line."""

    def __init__(self, limit_octets: int) -> None:
        self._buffer = OctetBuffer(limit_octets + LINE_OCTETS)
        self._command = bytearray()
        self._pending_literal: AnnouncedLiteral | None = None
        self._missing_octets = 0
        self._skipped_octets = 0
        self._discarding = False

    def feed(self, data: bytes) -> None:
        """Buffer input; raise LimitExceededError beyond the limit."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Discard buffered input (RFC 3501 section 6.2.1: cleartext sent ahead of TLS)."""
        self._buffer.take(len(self._buffer))

    def next(self, with_literals: bool = True) -> Line | AnnouncedLiteral | OverlongLine | None:
        """Return the next complete unit, None if more input is needed; a continuation line has no literals."""
        while self._consume_literal():
            try:
                line = self._buffer.take_through(b"\n", LINE_OCTETS)
            except LimitExceededError:
                too_long = self._overrun()
                if too_long is not None:
                    return too_long
                continue
            if line is None:
                return None
            if self._discarding:
                self._continue_discarding(line)
                continue
            return self._end_line(line, with_literals)
        return None

    def _consume_literal(self) -> bool:
        """Consume a literal's octets; return whether it is complete."""
        if self._skipped_octets:
            self._skipped_octets -= len(self._buffer.take(self._skipped_octets))
        if self._missing_octets:
            octets = self._buffer.take(self._missing_octets)
            self._command += octets
            self._missing_octets -= len(octets)
        return not self._skipped_octets and not self._missing_octets

    def _overrun(self) -> OverlongLine | None:
        received = bytes(self._command) + self._buffer.take(LINE_OCTETS)
        self._command.clear()
        if self._discarding:
            return None
        self._discarding = True
        return OverlongLine(received)

    def _end_line(self, line: bytes, with_literals: bool) -> Line | AnnouncedLiteral:
        text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        self._command += text
        match = _ANNOUNCED_LITERAL.search(text) if with_literals else None
        if match is not None:
            self._pending_literal = AnnouncedLiteral(bytes(self._command), int(match[1]), not match[2])
            return self._pending_literal
        command = bytes(self._command)
        self._command.clear()
        return Line(command)

    def _continue_discarding(self, line: bytes) -> None:
        """Continue discarding at the end of a line: a non-synchronising literal follows it (RFC 7888 section 4)."""
        match = _ANNOUNCED_LITERAL.search(line.rstrip(b"\r\n"))
        self._discarding = match is not None and bool(match[2])
        if match is not None and match[2]:
            self._skipped_octets = int(match[1])
            if self._skipped_octets > MESSAGE_OCTETS:
                raise LimitExceededError("a literal that is dropped is too long")

    def accept(self) -> None:
        """Buffer the announced literal."""
        if self._pending_literal is not None:
            self._command += b"\r\n"
            self._missing_octets = self._pending_literal.size_octets
            self._pending_literal = None

    def refuse(self) -> bool:
        """End the command at the announced literal; return False if too many octets would have to be skipped."""
        announced, self._pending_literal = self._pending_literal, None
        self._command.clear()
        if announced is None or announced.is_synchronizing:
            return True
        # RFC 7888 section 4: a non-synchronising literal is read and discarded, with the rest of its line.
        self._skipped_octets = announced.size_octets
        self._discarding = True
        return announced.size_octets <= MESSAGE_OCTETS
