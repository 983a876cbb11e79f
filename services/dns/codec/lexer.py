r"""Lexer for master files: it splits text into lines of tokens, and processes comments, quotes and parentheses.

RFC 1035 section 5.1. Text is Latin-1: one character per octet. Escapes are kept, because `\.` has different meanings in
a name and in a character-string.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.services.dns.codec.errors import TextError
from lab7.services.dns.codec.name import ROOT, Name, octets_of

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+)
      | (?P<comment>;[^\n]*)
      | (?P<newline>\n)
      | (?P<parenthesis>[()])
      | "(?P<quoted>(?:[^"\\\n]|\\(?s:.))*)"
      | (?P<plain>(?:[^ \t\r\n;()"\\]|\\[^\n])+)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a master file, with its escapes; `quoted`: it was in quotes; `joined`: no blank precedes it."""

    text: str
    quoted: bool = False
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line of a master file: tokens up to a line end outside of parentheses.

    `indented`: begins with a blank.
    """

    number: int
    tokens: list[Token]
    indented: bool


class LexError(TextError):
    """Error for text that cannot be split into tokens; `line` is the line number."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line


def lex(text: str) -> Iterator[Line]:
    """Split a master file into logical lines; lines without tokens are left out; raises LexError."""
    position, number, depth = 0, 1, 0
    tokens: list[Token] = []
    first, indented, at_start, token_end = 1, False, True, -1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise LexError(number, _lexical_error(text, position))
        position, kind = match.end(), match.lastgroup
        if kind == "newline":
            number += 1
            if depth:
                continue
            if tokens:
                yield Line(first, tokens, indented)
            tokens, at_start = [], True
            continue
        if at_start:
            first, indented, at_start = number, kind == "blank", False
        if kind == "parenthesis":
            depth += 1 if match.group() == "(" else -1
            if depth < 0:
                raise LexError(number, "unmatched closing parenthesis")
        elif kind == "quoted" or kind == "plain":
            # A quoted string may contain line ends, which count for line numbers.
            number += match.group().count("\n")
            tokens.append(Token(match.group(kind), kind == "quoted", match.start() == token_end))
            token_end = position
    if depth:
        raise LexError(first, "parenthesis is never closed")
    if tokens:
        yield Line(first, tokens, indented)


def _lexical_error(text: str, position: int) -> str:
    if text[position] == '"':
        return "quoted string does not end on its line"
    if text[position] == "\\":
        return "line ends in a backslash"
    return f"unexpected character \\{ord(text[position]):03d}"


class Tokens:
    """Reader for the tokens of one line of a master file.

    Relative names are completed with `origin`; if it is None, a relative name is an error.
    """

    def __init__(self, tokens: list[Token], origin: Name | None = ROOT) -> None:
        self.origin = origin
        self._tokens = tokens
        self._next = 0

    def __len__(self) -> int:
        return len(self._tokens) - self._next

    def peek(self) -> Token | None:
        """Return the next token without consuming it; None at the end of the line."""
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def token(self, label: str) -> Token:
        """Consume and return the next token; raises TextError if none is left, with the field's name `label`."""
        if self._next >= len(self._tokens):
            raise TextError(f"{label} is missing")
        self._next += 1
        return self._tokens[self._next - 1]

    def number(self, label: str, maximum: int) -> int:
        """Consume the next token, and return it as a decimal number of at most `maximum`; raises TextError."""
        text = self.token(label).text
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= maximum):
            raise TextError(f"{label} is {text!r}, expected a number up to {maximum}")
        return int(text)

    def name(self, label: str) -> Name:
        """Consume a domain name; a name without final dot is relative to the origin, and @ is the origin itself."""
        token = self.token(label)
        # RFC 1035 section 5.1: a free-standing, unquoted @ is the origin.
        is_origin = token.text == "@" and not token.quoted
        if self.origin is None and (is_origin or not is_absolute(token.text)):
            raise TextError(f"{label} {token.text!r} is relative, and there is no $ORIGIN")
        if is_origin and self.origin is not None:
            return self.origin
        return Name.from_text(token.text, self.origin)

    def octets(self, label: str) -> bytes:
        """Consume a token, and return its octets, with escapes decoded."""
        return unescaped(self.token(label).text)

    def finish(self) -> None:
        """Raise TextError if tokens of the line have not been consumed."""
        extra = self.peek()
        if extra is not None:
            raise TextError(f"unexpected {extra.text!r} after the record")


def is_absolute(text: str) -> bool:
    """Tell whether a name in presentation format ends in an unescaped dot."""
    before = text[:-1]
    return text.endswith(".") and (len(before) - len(before.rstrip("\\"))) % 2 == 0


def unescaped(text: str) -> bytes:
    """Decode the escapes of a token; raises TextError."""
    if "\\" not in text:
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError as error:
            raise TextError(f"{text!r} has a character above \\255: write it as \\DDD escapes") from error
    return bytes(octet for octet, _ in octets_of(text))
