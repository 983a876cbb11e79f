"""Lexer of structured header fields: atoms, quoted strings, domain literals, comments (RFC 5322 section 3.2).

Every method consumes one token and returns it; if the input has no such token, it returns None and consumes nothing.
Octets beyond ASCII count as letters (RFC 6532).
"""

import re

from lab7.services.mail.mime.limits import COMMENT_DEPTH_MAX

_BLANKS = re.compile(rb"[ \t\r\n\x00]+")
_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff]+")
_DOT_ATOM = re.compile(rb"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\x80-\xff.]+")
# RFC 2045 section 5.1: a token, such as a parameter's name, excludes blanks and tspecials.
_TOKEN = re.compile(rb"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+")
_IN_QUOTES = re.compile(rb"[^\"\\]+")
_IN_COMMENT = re.compile(rb"[^()\\]+")
_IN_LITERAL = re.compile(rb"[^\[\]\\]*")


class Lexer:
    """Lexer of one structured field's value; `comment` is the last comment skipped."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.place = 0
        self.comment: bytes | None = None

    @property
    def at_end(self) -> bool:
        """True if the field's value is consumed to its end."""
        return self.place >= len(self.octets)

    def next_is(self, mark: bytes) -> bool:
        """Return True if the octets `mark` are next, without consuming the octets."""
        return self.octets.startswith(mark, self.place)

    def accept(self, mark: bytes) -> bool:
        """Consume the octets `mark` if they are next; returns True if they were."""
        if not self.next_is(mark):
            return False
        self.place += len(mark)
        return True

    def _match(self, pattern: re.Pattern[bytes]) -> bytes | None:
        match = pattern.match(self.octets, self.place)
        if match is None:
            return None
        self.place = match.end()
        return match[0]

    def skip_blanks(self) -> bool:
        """Skip white space and comments; return True if there were any."""
        begin = self.place
        while True:
            self._match(_BLANKS)
            if not self.next_is(b"("):
                return self.place > begin
            self._skip_comment()

    def _skip_comment(self) -> None:
        depth = 0
        pieces: list[bytes] = []
        while not self.at_end:
            octet = self.octets[self.place : self.place + 1]
            if octet in b"()":
                depth += 1 if octet == b"(" else -1
                self.place += 1
                if depth == 0 or depth > COMMENT_DEPTH_MAX:
                    break
                if depth > 1 or octet == b")":
                    pieces.append(octet)
            elif octet == b"\\":
                pieces.append(self.octets[self.place + 1 : self.place + 2])
                self.place += 2
            else:
                pieces.append(self._match(_IN_COMMENT) or b"")
        if depth > COMMENT_DEPTH_MAX:
            self.place = len(self.octets)
        self.comment = b"".join(pieces)

    def atom(self) -> bytes | None:
        """Consume and return an atom (RFC 5322 section 3.2.3), or return None."""
        return self._match(_ATOM)

    def dot_atom(self) -> bytes | None:
        """Consume and return a dot-atom (RFC 5322 section 3.2.3), or return None."""
        return self._match(_DOT_ATOM)

    def token(self) -> bytes | None:
        """Consume and return a token (RFC 2045 section 5.1), or return None."""
        return self._match(_TOKEN)

    def quoted(self) -> bytes | None:
        """Consume a quoted string and return its decoded value, or return None.

        A quoted string without a closing quote extends to the end of the field.
        """
        if not self.accept(b'"'):
            return None
        pieces = []
        while not self.at_end and not self.accept(b'"'):
            if self.accept(b"\\"):
                pieces.append(self.octets[self.place : self.place + 1])
                self.place += 1
            else:
                pieces.append(self._match(_IN_QUOTES) or b"")
        return b"".join(pieces)

    def domain_literal(self) -> bytes | None:
        """Consume and return a domain literal with its brackets, or return None."""
        begin = self.place
        if not self.accept(b"["):
            return None
        self._match(_IN_LITERAL)
        if not self.accept(b"]"):
            self.place = begin
            return None
        return self.octets[begin : self.place]

    def word(self) -> bytes | None:
        """Consume an atom or a quoted string and return its value, or None."""
        return self.quoted() if self.next_is(b'"') else self.atom()
