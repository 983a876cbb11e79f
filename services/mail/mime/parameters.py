"""Parser of fields with parameters, such as Content-Type and Content-Disposition (RFC 2045, 2183, 2231).

parse_parametric(b'text/plain; charset="utf-8"') == Parametric(b"text/plain", [(b"charset", b"utf-8")])
"""

import re
from dataclasses import dataclass, field

from lab7.services.mail.mime.lexer import Lexer
from lab7.services.mail.mime.limits import PARAMETERS_MAX

# RFC 2231 section 3: a long parameter is continued as `name*0`, `name*1`; `name*1*` is percent-encoded.
_PIECE = re.compile(rb"([^*]+)\*(\d{1,4})(\*?)")


@dataclass(slots=True)
class Parametric:
    """A header field's value and its (name, value) parameters in order."""

    value: bytes
    parameters: list[tuple[bytes, bytes]] = field(default_factory=list)

    def get(self, name: bytes) -> bytes | None:
        """Return the value of the first parameter with this lower-case name, None if there is none."""
        return next((value for own, value in self.parameters if own.lower() == name), None)


def parse_parametric(octets: bytes) -> Parametric:
    """Parse a field `value; name=value; ...` up to the first syntax error."""
    lexer = Lexer(octets)
    lexer.skip_blanks()
    parsed = Parametric(_value(lexer))
    while len(parsed.parameters) < PARAMETERS_MAX:
        lexer.skip_blanks()
        if not lexer.accept(b";"):
            break
        parameter = _parameter(lexer)
        if parameter is None:
            continue
        parsed.parameters.append(parameter)
    parsed.parameters = _joined(parsed.parameters)
    return parsed


def _value(lexer: Lexer) -> bytes:
    """Consume the value: a token, or two with a slash in between; a word after it, without a semicolon, is an error."""
    pieces: list[bytes] = []
    while True:
        is_slash = lexer.next_is(b"/")
        if not is_slash and pieces and pieces[-1] != b"/":
            return b"".join(pieces)
        piece = b"/" if is_slash and lexer.accept(b"/") else lexer.token()
        if piece is None:
            return b"".join(pieces)
        pieces.append(piece)
        lexer.skip_blanks()


def _parameter(lexer: Lexer) -> tuple[bytes, bytes] | None:
    lexer.skip_blanks()
    name = lexer.token()
    if name is None:
        return None
    lexer.skip_blanks()
    if not lexer.accept(b"="):
        return None
    lexer.skip_blanks()
    value = lexer.quoted() if lexer.next_is(b'"') else _loose(lexer)
    return None if value is None else (name, value)


def _loose(lexer: Lexer) -> bytes | None:
    """Parse an unquoted parameter value, which ends at a semicolon or white space; return None if it is empty."""
    begin = lexer.place
    while not lexer.at_end and lexer.octets[lexer.place] not in b" \t\r\n;(":
        lexer.place += 1
    return lexer.octets[begin : lexer.place] or None


def _joined(parameters: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Join the continuations `name*0`, `name*1` of parameters (RFC 2231 section 3) under the name `name`.

    The name is `name*` if at least one of them is percent-encoded.
    """
    plain: list[tuple[bytes, bytes]] = []
    pieces: dict[bytes, dict[int, tuple[bytes, bool]]] = {}
    for name, value in parameters:
        match = _PIECE.fullmatch(name)
        if match is None:
            plain.append((name, value))
        else:
            pieces.setdefault(match[1], {})[int(match[2])] = (value, bool(match[3]))
    for name, numbered in pieces.items():
        whole = []
        for number in range(len(numbered)):
            if number not in numbered:
                break
            whole.append(numbered[number])
        if whole:
            encoded = any(is_encoded for _, is_encoded in whole)
            plain.append((name + b"*" if encoded else name, b"".join(value for value, _ in whole)))
    return plain
