r"""Where a command ends: lines, and the literals that they announce (RFC 3501 sections 2.2, 4.3 and 7.5; RFC 7888).

    framing.feed(b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n")
    framing.next() == Announced(b"a LOGIN {5}", 5, asks=True)       the client waits for "+"
    framing.accept()
    ...
    framing.next() == Line(b"a LOGIN {5}\r\nalice {6}\r\nsecret")

A Line holds its literals as they came, so that what reads it needs one place to look at. Announced comes before each
literal: accept() takes its octets in, refuse() ends the command there. A line may end in LF alone, as people type it.
"""

import re
from dataclasses import dataclass

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.mail.imap.limits import LINE_OCTETS, MESSAGE_OCTETS

_LITERAL = re.compile(rb"\{(\d{1,20})(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A whole command, literals and all, without its line end."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Announced:
    """A literal is to follow what came of the command; `asks` where the client waits to be told to send it."""

    so_far: bytes
    size_octets: int
    asks: bool


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line passed its bound; what follows up to its end is dropped."""

    so_far: bytes


class Framing:
    """Cuts octets into commands; `limit_octets` of them may wait."""

    def __init__(self, limit_octets: int) -> None:
        self._buffer = OctetBuffer(limit_octets + LINE_OCTETS)
        self._command = bytearray()
        self._announced: Announced | None = None
        self._wanted = 0
        self._skipped = 0
        self._dropping = False

    def feed(self, data: bytes) -> None:
        """Take octets in; raises LimitExceededError where more wait than may."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Forget what waits (RFC 3501 section 6.2.1: what was sent before TLS does not count)."""
        self._buffer.take(len(self._buffer))

    def next(self, with_literals: bool = True) -> Line | Announced | TooLong | None:
        """Return what is complete, None where more octets are needed; a continuation line has no literals."""
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
        """Take the octets of a literal; whether all of them have come."""
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
        """RFC 7888 section 4: a literal that dropped octets announce, and that nobody is asked for, comes too."""
        match = _LITERAL.search(line.rstrip(b"\r\n"))
        self._dropping = match is not None and bool(match[2])
        if match is not None and match[2]:
            self._skipped = int(match[1])
            if self._skipped > MESSAGE_OCTETS:
                raise LimitExceededError("a literal that is dropped is too long")

    def accept(self) -> None:
        """Take the announced literal in."""
        if self._announced is not None:
            self._command += b"\r\n"
            self._wanted = self._announced.size_octets
            self._announced = None

    def refuse(self) -> bool:
        """End the command before the announced literal; False where its octets come and are too many to pass over."""
        announced, self._announced = self._announced, None
        self._command.clear()
        if announced is None or announced.asks:
            return True
        # RFC 7888 section 4: what was sent unasked is read and dropped, and the rest of the line with it.
        self._skipped = announced.size_octets
        self._dropping = True
        return announced.size_octets <= MESSAGE_OCTETS
