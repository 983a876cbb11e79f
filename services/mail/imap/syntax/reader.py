r"""IMAP command parser: Framer finds lines and literals in the input, Reader parses a command's arguments.

    framer.feed(b"a LOGIN {5}\r\nalice {6}\r\nsecret\r\n")
    framer.next() == AnnouncedLiteral(b"a LOGIN {5}", 5, is_synchronizing=True)
    framer.accept()                    the size is acceptable: wait for the 5 octets of the literal
    ...                                the same for the second literal, of 6 octets
    framer.next() == Line(b"a LOGIN {5}\r\nalice {6}\r\nsecret")

The syntax is specified in RFC 3501 sections 2.2, 4.3, 7.5 and 9, and in RFC 7888 (LITERAL+).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.limits import LINE_OCTETS, MESSAGE_OCTETS, NUMBER64_MAX, NUMBER_MAX
from lab7.services.mail.maildir import folder_names
from lab7.services.mail.maildir.folder import SYSTEM_FLAGS

_ANNOUNCED_LITERAL = re.compile(rb"\{(\d{1,20})(\+?)\}\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """A complete command as received, literals included, without the final line ending."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class AnnouncedLiteral:
    """A literal announced at the end of `received`; `is_synchronizing` is True if the client waits for "+"."""

    received: bytes
    size_octets: int
    is_synchronizing: bool


@dataclass(frozen=True, slots=True)
class OverlongLine:
    """A line longer than the limit; the octets up to its end are discarded."""

    received: bytes


class Framer:
    """Splitter of received octets into commands; buffers at most `limit_octets` in addition to one line.

    next() returns an AnnouncedLiteral before every literal: accept() then buffers the literal, refuse() ends the
    command. A Line includes its literals as received: the Reader works on one buffer. A line may end in bare LF, as
    typed in a terminal.
    """

    def __init__(self, limit_octets: int) -> None:
        self._buffer = OctetBuffer(limit_octets + LINE_OCTETS)
        self._command = bytearray()
        self._pending_literal: AnnouncedLiteral | None = None
        self._missing_octets = 0
        self._skipped_octets = 0
        self._discarding = False

    def feed(self, data: bytes) -> None:
        """Buffer received octets; raise LimitExceededError if the buffer exceeds its limit."""
        self._buffer.feed(data)

    def clear(self) -> None:
        """Discard buffered octets, such as cleartext received before TLS (RFC 3501 section 6.2.1)."""
        self._buffer.take(len(self._buffer))

    def next(self, with_literals: bool = True) -> Line | AnnouncedLiteral | OverlongLine | None:
        """Return the next complete line, announced literal or overlong line in the buffer.

        Returns None if more octets are needed. If `with_literals` is False, the line is a continuation line, in which
        `{5}` announces no literal.
        """
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
        """Move octets of an accepted literal from the buffer into the command.

        Return True once the literal is complete.
        """
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
        """After a discarded line, also discard the non-synchronising literal that it announces (RFC 7888 section 4).

        A client sends such a literal without waiting for the server's consent. Raises LimitExceededError for a huge
        literal.
        """
        match = _ANNOUNCED_LITERAL.search(line.rstrip(b"\r\n"))
        self._discarding = match is not None and bool(match[2])
        if match is not None and match[2]:
            self._skipped_octets = int(match[1])
            if self._skipped_octets > MESSAGE_OCTETS:
                raise LimitExceededError("a literal that is dropped is too long")

    def accept(self) -> None:
        """Accept the announced literal: the octets that follow are buffered as part of the command."""
        if self._pending_literal is not None:
            self._command += b"\r\n"
            self._missing_octets = self._pending_literal.size_octets
            self._pending_literal = None

    def refuse(self) -> bool:
        """Refuse the announced literal and end the command; return False if the literal is too large to be skipped.

        A non-synchronising literal arrives in spite of the refusal and is skipped; for one above MESSAGE_OCTETS the
        caller should end the session.
        """
        announced, self._pending_literal = self._pending_literal, None
        self._command.clear()
        if announced is None or announced.is_synchronizing:
            return True
        # RFC 7888 section 4: a non-synchronising literal is read and discarded, with the rest of its line.
        self._skipped_octets = announced.size_octets
        self._discarding = True
        return announced.size_octets <= MESSAGE_OCTETS


_ATOM = rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]"
ATOM = re.compile(_ATOM + rb"+")
ASTRING_CHARS = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
LIST_CHARS = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
# RFC 3501 section 9: tag = 1*<any ASTRING-CHAR except "+">; a space or the end of the line follows.
TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+(?= |\Z)")
_QUOTED = re.compile(rb"\"((?:[^\x00\r\n\"\\\x80-\xff]|\\[\"\\])*)\"")
_QUOTED_UTF8 = re.compile(rb"\"((?:[^\x00\r\n\"\\]|\\[\"\\])*)\"")
_ESCAPED = re.compile(rb"\\(.)")
_LITERAL = re.compile(rb"\{(\d{1,20})\+?\}\r\n")
_DIGITS = re.compile(rb"\d+")
_FLAG = re.compile(rb"\\?" + _ATOM + rb"+")

Item = TypeVar("Item")


class Reader:
    """Recursive-descent parser of one command's arguments, from the offset `position` on.

    Each method parses one production and advances, or raises BadError. Arguments are separated by exactly one space.
    """

    def __init__(self, octets: bytes, position: int = 0, utf8: bool = False) -> None:
        self.octets = octets
        self.position = position
        # With IMAP4rev2 quoted strings and mailbox names are UTF-8 (RFC 9051 sections 4.3 and 5.1).
        self.utf8 = utf8

    @property
    def at_end(self) -> bool:
        """True if the command is parsed to its end."""
        return self.position >= len(self.octets)

    def expect_end(self) -> None:
        """Raise BadError unless the command is parsed to its end."""
        if not self.at_end:
            raise BadError("Too many arguments.")

    def starts_with(self, mark: bytes) -> bool:
        """Return True if the octets `mark` are next, without consuming the octets."""
        return self.octets.startswith(mark, self.position)

    def accept(self, mark: bytes) -> bool:
        """Consume the octets `mark` if they are next; return True if they were."""
        if not self.starts_with(mark):
            return False
        self.position += len(mark)
        return True

    def expect(self, mark: bytes) -> None:
        """Consume the octets `mark`; raise BadError if they are not next."""
        if not self.accept(mark):
            raise BadError(f"Expected {mark.decode('ascii')!r}.")

    def expect_space(self) -> None:
        """Consume one space; raise BadError if there is none."""
        if not self.accept(b" "):
            raise BadError("An argument is missing." if self.at_end else "A space is missing.")

    def match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        """Consume and return the octets that match a pattern; raise BadError without a match.

        The error's text is `Expected ...`, with `what` as the name of the expected item.
        """
        match = pattern.match(self.octets, self.position)
        if match is None:
            raise BadError(f"Expected {what}.")
        self.position = match.end()
        return match[0]

    def atom(self, what: str = "atom") -> bytes:
        """Parse an `atom`; `what` names the expected item in the text of BadError."""
        return self.match(ATOM, what)

    def word(self, what: str = "word") -> bytes:
        """Parse an atom such as a command name; return it in upper case."""
        return self.atom(what).upper()

    def string(self) -> bytes:
        """Parse a `string`, quoted or literal; return its octets."""
        if self.starts_with(b'"'):
            match = (_QUOTED_UTF8 if self.utf8 else _QUOTED).match(self.octets, self.position)
            if match is None:
                raise BadError("The quoted string is not well formed.")
            self.position = match.end()
            return _ESCAPED.sub(rb"\1", match[1]) if b"\\" in match[1] else match[1]
        return self.literal()

    def literal(self) -> bytes:
        """Parse a literal, which the command contains in full; return its octets. Raises BadError for NUL octets."""
        octets = self._literal_octets()
        # RFC 3501 section 9: CHAR8, of which a literal consists, excludes NUL.
        if b"\0" in octets:
            raise BadError("A literal contains a NUL octet.")
        return octets

    def _literal_octets(self) -> bytes:
        match = _LITERAL.match(self.octets, self.position)
        if match is None:
            raise BadError("Expected a string.")
        end = match.end() + int(match[1])
        if end > len(self.octets):
            raise BadError("The literal is not complete.")
        self.position = end
        return self.octets[match.end() : end]

    def literal8(self) -> bytes:
        """Parse a literal or a literal8 `~{...}`, which may contain NUL octets (RFC 3516 section 4.4)."""
        if not self.accept(b"~"):
            return self.literal()
        return self._literal_octets()

    def astring(self) -> bytes:
        """Parse an `astring`: ASTRING-CHARs (atom characters and `]`) or a string."""
        if self.starts_with(b'"') or self.starts_with(b"{"):
            return self.string()
        return self.match(ASTRING_CHARS, "string")

    def nstring(self) -> bytes | None:
        """Parse an `nstring`; return None for NIL, else the string's octets."""
        if self.starts_with(b'"') or self.starts_with(b"{"):
            return self.string()
        if self.word("string") != b"NIL":
            raise BadError("Expected a string.")
        return None

    def mailbox(self) -> str:
        """Parse a mailbox name; only its syntax is checked."""
        return self.name_of(self.astring())

    def name_of(self, octets: bytes) -> str:
        """Convert a parsed mailbox name or pattern to modified UTF-7; raise BadError for invalid UTF-8 (IMAP4rev2)."""
        if not self.utf8:
            return octets.decode("latin-1")
        try:
            return folder_names.encode(octets.decode("utf-8"))
        except UnicodeError:
            raise BadError("The mailbox name is not UTF-8.") from None

    def list_mailbox(self) -> bytes:
        """Parse a `list-mailbox`, the pattern of LIST: a mailbox name with wildcards."""
        if self.starts_with(b'"') or self.starts_with(b"{"):
            return self.string()
        return self.match(LIST_CHARS, "mailbox pattern")

    def number(self) -> int:
        """Parse a `number` (unsigned 32 bits)."""
        value = int(self.match(_DIGITS, "number")[:12])
        if value > NUMBER_MAX:
            raise BadError("The number is too large.")
        return value

    def mod_sequence(self) -> int:
        """Parse a mod-sequence, an unsigned 63-bit integer (RFC 7162 section 7)."""
        return self.number64("mod-sequence")

    def number64(self, what: str = "number") -> int:
        """Parse a `number64`, an unsigned 63-bit integer, such as a size in octets (RFC 9051 section 9)."""
        value = int(self.match(_DIGITS, what)[:20])
        if value > NUMBER64_MAX:
            raise BadError(f"The {what} is too large.")
        return value

    def flag(self) -> bytes:
        """Parse a flag: a system flag, which begins with a backslash, or a keyword."""
        return self.match(_FLAG, "flag")

    def in_parentheses(self, item: Callable[[], Item], may_be_empty: bool = False) -> list[Item]:
        """Parse a parenthesised list with single spaces between items; `item` parses one item."""
        self.expect(b"(")
        items: list[Item] = []
        if may_be_empty and self.accept(b")"):
            return items
        items.append(item())
        while not self.accept(b")"):
            self.expect_space()
            items.append(item())
        return items


_SYSTEM = {flag.upper(): flag for flag in SYSTEM_FLAGS}


def read_flag(reader: Reader) -> str:
    """Parse a flag that clients may set; return a system flag in canonical case; raise BadError if it is reserved."""
    flag = reader.flag().decode("ascii")
    if not flag.startswith("\\"):
        return flag
    known = _SYSTEM.get(flag.upper())
    if known is None:
        # RFC 3501 section 2.3.2: clients cannot set \Recent; other names that begin with a backslash are reserved.
        raise BadError(f"A client cannot set {flag}.")
    return known


def read_flags(reader: Reader) -> frozenset[str]:
    """Parse the flags of STORE and APPEND, with or without parentheses; raise BadError."""
    if reader.starts_with(b"("):
        return frozenset(reader.in_parentheses(lambda: read_flag(reader), may_be_empty=True))
    items = [read_flag(reader)]
    while reader.accept(b" "):
        items.append(read_flag(reader))
    return frozenset(items)
