r"""Command framing: lines and the literals they announce (RFC 3501 sections 2.2, 4.3 and 7.5; RFC 7888).

    framing.feed(b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n")
    framing.next() == Announced(b"a LOGIN {5}", 5, asks=True)       the client waits for "+"
    framing.accept()
    ...
    framing.next() == Line(b"a LOGIN {5}\r\nalice {6}\r\nsecret")

A Line includes its literals as received, so that the argument parser works on one buffer. Announced precedes every
literal: accept() buffers the literal, refuse() ends the command. A line may end in bare LF, as typed in a terminal.
"""

import re
from dataclasses import dataclass

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.mail.imap.limits import LINE_OCTETS, MESSAGE_OCTETS

_LITERAL = re.compile(rb"\{(\d{1,20})(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A complete command including literals, without its line ending."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Announced:
    """A literal announced at the end of `so_far`; `asks` is true for a synchronising literal (no LITERAL+)."""

    so_far: bytes
    size_octets: int
    asks: bool


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line beyond the limit; its remainder is discarded."""

    so_far: bytes


class Framing:
    """Splits input into commands; at most `limit_octets` are buffered beside one line."""

    def __init__(self, limit_octets: int) -> None:
        self._buffer = OctetBuffer(limit_octets + LINE_OCTETS)
        self._command = bytearray()
        self._announced: Announced | None = None
        self._wanted = 0
        self._skipped = 0
        self._dropping = False

    def feed(self, data: bytes) -> None:
        """Buffer input; raise LimitExceededError beyond the limit."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Discard buffered input (RFC 3501 section 6.2.1: cleartext sent ahead of TLS)."""
        self._buffer.take(len(self._buffer))

    def next(self, with_literals: bool = True) -> Line | Announced | TooLong | None:
        """Return the next complete unit, None if more input is needed; a continuation line has no literals."""
        while self._take_counted():
            try:
                line = self._buffer.take_through(b"\n", LINE_OCTETS)
            except LimitExceededError:
                too_long = self._overrun()
                if too_long is not None:
                    return too_long
                continue
            if line is None:
                return None
            if self._dropping:
                self._dropped(line)
                continue
            return self._ended(line, with_literals)
        return None

    def _take_counted(self) -> bool:
        """Consume a literal's octets; return whether it is complete."""
        if self._skipped:
            self._skipped -= len(self._buffer.take(self._skipped))
        if self._wanted:
            taken = self._buffer.take(self._wanted)
            self._command += taken
            self._wanted -= len(taken)
        return not self._skipped and not self._wanted

    def _overrun(self) -> TooLong | None:
        so_far = bytes(self._command) + self._buffer.take(LINE_OCTETS)
        self._command.clear()
        if self._dropping:
            return None
        self._dropping = True
        return TooLong(so_far)

    def _ended(self, line: bytes, with_literals: bool) -> Line | Announced:
        text = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        self._command += text
        match = _LITERAL.search(text) if with_literals else None
        if match is not None:
            self._announced = Announced(bytes(self._command), int(match[1]), not match[2])
            return self._announced
        command = bytes(self._command)
        self._command.clear()
        return Line(command)

    def _dropped(self, line: bytes) -> None:
        """Continue discarding at the end of a line: a non-synchronising literal follows it (RFC 7888 section 4)."""
        match = _LITERAL.search(line.rstrip(b"\r\n"))
        self._dropping = match is not None and bool(match[2])
        if match is not None and match[2]:
            self._skipped = int(match[1])
            if self._skipped > MESSAGE_OCTETS:
                raise LimitExceededError("a literal that is dropped is too long")

    def accept(self) -> None:
        """Buffer the announced literal."""
        if self._announced is not None:
            self._command += b"\r\n"
            self._wanted = self._announced.size_octets
            self._announced = None

    def refuse(self) -> bool:
        """End the command at the announced literal; return False if too many octets would have to be skipped."""
        announced, self._announced = self._announced, None
        self._command.clear()
        if announced is None or announced.asks:
            return True
        # RFC 7888 section 4: a non-synchronising literal is read and discarded, with the rest of its line.
        self._skipped = announced.size_octets
        self._dropping = True
        return announced.size_octets <= MESSAGE_OCTETS
