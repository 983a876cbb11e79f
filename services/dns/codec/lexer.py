"""Master-file text as lines of tokens: comments, quotes and parentheses are over after this.

RFC 1035 section 5.1. Text is Latin-1: one character an octet. Escapes stay as they are written, since `\\.` inside a
name and inside a character-string mean different things.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from services.dns.codec.errors import TextError
from services.dns.codec.name import ROOT, Name, octets_of

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r]+)
      | (?P<comment>;[^\n]*)
      | (?P<newline>\n)
      | (?P<parenthesis>[()])
      | "(?P<quoted>(?:[^"\\\n]|\\[^\n])*)"
      | (?P<plain>(?:[^\s;()"\\]|\\[^\n])+)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a line, escapes kept, and whether it stood in quotes."""

    text: str
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """The words between two line ends that no parenthesis spans; `indented` when it began with a blank."""

    number: int
    tokens: list[Token]
    indented: bool


class LexError(TextError):
    """Text that is no row of tokens, with the line where it stands."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(detail)
        self.line = line


def lex(text: str) -> Iterator[Line]:
    """Yield the lines that hold tokens; raises LexError."""
    position, number, depth = 0, 1, 0
    tokens: list[Token] = []
    first, indented, at_start = 1, False, True
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise LexError(number, _unlexable(text, position))
        position, kind = found.end(), found.lastgroup
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
            depth += 1 if found.group() == "(" else -1
            if depth < 0:
                raise LexError(number, "a closing parenthesis was never opened")
        elif kind == "quoted" or kind == "plain":
            tokens.append(Token(found.group(kind), kind == "quoted"))
    if depth:
        raise LexError(first, "a parenthesis that opens here is never closed")
    if tokens:
        yield Line(first, tokens, indented)


def _unlexable(text: str, position: int) -> str:
    if text[position] == '"':
        return "a quoted string does not end on its line"
    if text[position] == "\\":
        return "a line ends in a backslash"
    return f"a character \\{ord(text[position]):03d} stands where a word should"


class Tokens:
    """The words that are left of one line; relative names in them end in `origin`, and are errors without one."""

    def __init__(self, tokens: list[Token], origin: Name | None = ROOT) -> None:
        self.origin = origin
        self._tokens = tokens
        self._next = 0

    def __len__(self) -> int:
        return len(self._tokens) - self._next

    def peek(self) -> Token | None:
        """Return the next word and leave it there."""
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self, what: str) -> Token:
        """Take the next word; raises TextError that names `what` is missing."""
        if self._next >= len(self._tokens):
            raise TextError(f"{what} is missing")
        self._next += 1
        return self._tokens[self._next - 1]

    def number(self, what: str, maximum: int) -> int:
        """Take a decimal number; raises TextError."""
        text = self.take(what).text
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= maximum):
            raise TextError(f"{what} is {text!r}, where a number up to {maximum} should be")
        return int(text)

    def name(self, what: str) -> Name:
        """Take a name, relative to the origin without a final dot; @ is the origin itself."""
        token = self.take(what)
        # RFC 1035 section 5.1: a free-standing @
        is_origin = token.text == "@" and not token.quoted
        if self.origin is None and (is_origin or not is_absolute(token.text)):
            raise TextError(f"{what} {token.text!r} is relative, and no $ORIGIN says to what")
        if is_origin and self.origin is not None:
            return self.origin
        return Name.from_text(token.text, self.origin)

    def octets(self, what: str) -> bytes:
        """Take a word's octets, escapes undone."""
        return unescaped(self.take(what).text)

    def finish(self) -> None:
        """Raise TextError when words are left."""
        left = self.peek()
        if left is not None:
            raise TextError(f"{left.text!r} follows where the record should end")


def is_absolute(text: str) -> bool:
    """Tell whether a name's presentation form ends in a dot that no backslash escapes."""
    before = text[:-1]
    return text.endswith(".") and (len(before) - len(before.rstrip("\\"))) % 2 == 0


def unescaped(text: str) -> bytes:
    """Return the octets that a word stands for; raises TextError."""
    if "\\" not in text:
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError as error:
            raise TextError(f"{text!r} has a character that is no octet: write it as \\DDD escapes") from error
    return bytes(octet for octet, _ in octets_of(text))
