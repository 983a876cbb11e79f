r"""$GENERATE, BIND's directive of master files: a record for each number of a range.

    $GENERATE 1-254 host-$ A 192.0.2.$              host-1 A 192.0.2.1, host-2 A 192.0.2.2, ...
    $GENERATE 0-30/2 ${100,5,x} PTR n$              00064 PTR n0, 00066 PTR n2, ...

The syntax is that of the BIND 9 Administrator Reference Manual, section 3.5.5. $ stands for the number.
${OFFSET[,WIDTH[,BASE]]} stands for the number plus an offset, filled with zeros to a width, in base d, o, x, X, or as
nibbles of an ip6.arpa name (n, N). $$ and \$ stand for a dollar sign. dnspython supports $GENERATE, too; NSD does not,
and no RFC defines it.
"""

import re
from collections.abc import Iterator

from lab7.services.dns.codec.errors import TextError
from lab7.services.dns.codec.lexer import Token, lex

# Maximum number of records of one $GENERATE: four times a /16 reverse zone. BIND has no bound below 2^31.
GENERATED_MAX = 262_144
_NUMBER_MAX = 2**31 - 1
# Maximum width of a number in a generated name, in octets: a whole name has at most 255.
_WIDTH_MAX = 255
_RANGE = re.compile(r"([0-9]{1,10})-([0-9]{1,10})(?:/([0-9]{1,10}))?", re.ASCII)
_PLACE = re.compile(
    r"""\\.                                                # an escape, which stays for the name or string
      | \$\$                                               # a dollar sign
      | \$(?:\{(-?[0-9]{1,10})(?:,([0-9]{1,10})(?:,([doxXnN]))?)?\})?""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)


def generated(tokens: list[Token]) -> Iterator[list[Token]]:
    """Yield the tokens of each record that a $GENERATE directive creates; raises TextError.

    `tokens` are those after $GENERATE: `RANGE OWNER [TTL] [CLASS] TYPE RDATA`.
    """
    if len(tokens) < 4:
        raise TextError("$GENERATE needs a range, an owner name, a type and rdata")
    numbers = _numbers(tokens[0].text)
    for token in tokens[1:]:
        _check(token.text)
    for number in numbers:
        yield [_substituted(tokens[1], number), *_rdata(tokens[2:], number)]


def _numbers(text: str) -> range:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise TextError(f"the range is {text!r}, expected one such as 1-254 or 0-255/2")
    start, stop, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if start > stop or stop > _NUMBER_MAX or not 0 < step <= _NUMBER_MAX:
        raise TextError(f"the range {text!r} must go up, to {_NUMBER_MAX} at most, in steps of 1 or more")
    numbers = range(start, stop + 1, step)
    if len(numbers) > GENERATED_MAX:
        raise TextError(f"the range {text!r} has {len(numbers)} numbers, at most {GENERATED_MAX} are allowed")
    return numbers


def _check(text: str) -> None:
    """Raise TextError for a `${` that is not followed by a valid `OFFSET[,WIDTH[,BASE]]}`."""
    for match in _PLACE.finditer(text):
        if match.group() == "$" and text[match.end() : match.end() + 1] == "{":
            raise TextError(f"invalid substitution {text[match.start() :]!r}, expected ${{OFFSET,WIDTH,BASE}}")
        if match[2] and int(match[2]) > _WIDTH_MAX:
            raise TextError(f"{match.group()!r} is wider than {_WIDTH_MAX} characters")


def _rdata(tokens: list[Token], number: int) -> Iterator[Token]:
    for token in tokens:
        if token.quoted:
            # As in BIND, a quoted token holds several rdata fields, such as "10 mail-$" of an MX, so it is split again.
            yield from (word for line in lex(_substituted(token, number).text) for word in line.tokens)
        else:
            yield _substituted(token, number)


def _substituted(token: Token, number: int) -> Token:
    return Token(_PLACE.sub(lambda match: _text(match, number), token.text), token.quoted)


def _text(match: re.Match[str], number: int) -> str:
    if match.group() == "$$":
        return "$"
    if match.group().startswith("\\"):
        return match.group()
    value, width, base = number + int(match[1] or 0), int(match[2] or 0), match[3] or "d"
    if not 0 <= value <= _NUMBER_MAX:
        raise TextError(f"{match.group()} of {number} is {value}, expected 0 to {_NUMBER_MAX}")
    if base in "nN":
        return _nibbles(value, width, "x" if base == "n" else "X")
    return format(value, f"0{width}{base}" if width else base)


def _nibbles(value: int, width: int, base: str) -> str:
    """Return a number as hexadecimal digits in reverse order, separated by dots and padded with zeros to a width.

    The width counts digits and dots; a result of even width ends in a dot, as in BIND.
    """
    digits = format(value, base)[::-1].ljust((width + 1) // 2, "0")
    return ".".join(digits) + "." * (2 * len(digits) == width)
