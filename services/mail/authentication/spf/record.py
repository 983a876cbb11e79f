"""Parser of SPF records: version, mechanisms and modifiers (RFC 7208 sections 4.5, 4.6, 5, 6 and 12).

    parse_record("v=spf1 a:mail.example.org/24 -all").directives
    [Directive(PASS, "a", "mail.example.org", 24, 128), Directive(FAIL, "all", "", 32, 128)]

The two numbers are the prefix lengths for IPv4 and IPv6 addresses. The whole record is parsed before any of it is
evaluated: a syntax error anywhere makes the result permerror, even after a mechanism that would match (section 4.6).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_network

VERSION = "v=spf1"


class Result(Enum):
    """The seven results of an SPF check (RFC 7208 section 2.6)."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


QUALIFIERS = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}

_EXPAND = r"%\{[A-Za-z][0-9]*[rR]?[-.+,/_=]*\}"
_MACRO = rf"(?:{_EXPAND}|%%|%_|%-|[!-$&-~])"
MACRO_STRING = re.compile(rf"{_MACRO}*\Z")
_TOKEN = re.compile(r"%\{([A-Za-z])([0-9]*)|%%|.", re.DOTALL)
# RFC 7208 section 7.2: the macro letters c, r and t are valid in explanations only.
_LETTERS, _EXPLANATION_LETTERS = frozenset("slodiphv"), frozenset("crt")
# RFC 7208 section 7.1: a domain-spec ends with a macro or with a top label that is not all digits.
_DOMAIN_END = re.compile(rf"(?:{_EXPAND}|\.(?![0-9]+\.?\Z)(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])\.?)\Z")
_DUAL_CIDR = re.compile(r"(?P<four>/(?:0|[1-9][0-9]?))?(?P<six>//(?:0|[1-9][0-9]{0,2}))?\Z")
_DIRECTIVE = re.compile(r"([-+~?]?)([A-Za-z][A-Za-z0-9_.-]*)((?:[:/].*)?)\Z", re.DOTALL)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)\Z", re.DOTALL)
_FOUR_MAX, _SIX_MAX = 32, 128

# Mechanism -> (a domain-spec is required, a domain-spec is allowed, a dual-cidr-length is allowed).
_SHAPES = {
    "all": (False, False, False),
    "include": (True, True, False),
    "a": (False, True, True),
    "mx": (False, True, True),
    "ptr": (False, True, False),
    "exists": (True, True, False),
}


class SyntaxFaultError(ValueError):
    """Error for a record or macro string that violates the grammar: the result is permerror."""


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive of an SPF record: a qualifier and a mechanism.

    The macros in `domain_spec` are not expanded. `network` is set for ip4 and ip6 only.
    """

    result: Result
    mechanism: str
    domain_spec: str = ""
    prefix_four: int = _FOUR_MAX
    prefix_six: int = _SIX_MAX
    network: IPv4Network | IPv6Network | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An SPF record: directives in order, and the modifiers redirect and exp, not expanded (None: absent)."""

    directives: Sequence[Directive]
    redirect: str | None = None
    explanation: str | None = None


def select_record(texts: Sequence[bytes]) -> str | None:
    """Return the SPF record among a domain's TXT records, None without one; raises SyntaxFaultError for several.

    A record begins with the version, followed by a space or the end of the record (section 4.5).
    """
    found = [text for text in texts if re.match(rb"v=spf1(?: |\Z)", text, re.IGNORECASE)]
    if len(found) > 1:
        raise SyntaxFaultError(f"{len(found)} SPF records")
    return found[0].decode("latin-1") if found else None


def parse_record(text: str) -> Record:
    """Parse the text of an SPF record returned by select_record(); raises SyntaxFaultError."""
    directives: list[Directive] = []
    modifiers: dict[str, str] = {}
    for term in filter(None, text[len(VERSION) :].split(" ")):
        # A modifier is recognised by its name, which extends to the first of "=", ":" and "/".
        if (modifier := _MODIFIER.match(term)) is not None:
            name, value = modifier[1].lower(), modifier[2]
            if name in modifiers and name in ("redirect", "exp"):
                raise SyntaxFaultError(f"{name}= occurs twice")
            _check_modifier(name, value)
            modifiers[name] = value
        else:
            directives.append(_parse_directive(term))
    return Record(directives, modifiers.get("redirect"), modifiers.get("exp"))


def _check_modifier(name: str, value: str) -> None:
    if name in ("redirect", "exp"):
        check_domain_spec(value)
    else:
        _check_macros(value, _LETTERS)


def _parse_directive(term: str) -> Directive:
    parts = _DIRECTIVE.match(term)
    if parts is None:
        raise SyntaxFaultError(f"{term!r} is not a mechanism")
    result, name, argument = QUALIFIERS[parts[1] or "+"], parts[2].lower(), parts[3]
    if name in ("ip4", "ip6"):
        return Directive(result, name, network=_parse_network(name, argument))
    if name not in _SHAPES:
        raise SyntaxFaultError(f"there is no mechanism {parts[2]!r}")
    required, allowed, with_prefix = _SHAPES[name]
    domain_spec, four, six = _split_prefix(argument) if with_prefix else (argument, _FOUR_MAX, _SIX_MAX)
    if domain_spec.startswith(":") and allowed:
        check_domain_spec(domain_spec[1:])
    elif domain_spec or required:
        raise SyntaxFaultError(f"{term!r} is not of the form of {name}")
    return Directive(result, name, domain_spec[1:], four, six)


def _split_prefix(argument: str) -> tuple[str, int, int]:
    """Split `:domain/24//64` into domain-spec and prefix lengths; a domain-spec may contain slashes, too."""
    starts = [0, *(at for at, character in enumerate(argument) if character == "/"), len(argument)]
    for begin in starts:
        if begin == 0 and not argument.startswith("/") and argument:
            continue
        if (found := _DUAL_CIDR.match(argument, begin)) is not None:
            four = int((found["four"] or f"/{_FOUR_MAX}")[1:])
            six = int((found["six"] or f"//{_SIX_MAX}")[2:])
            if four > _FOUR_MAX or six > _SIX_MAX:
                raise SyntaxFaultError(f"prefix length out of range in {argument!r}")
            return argument[:begin], four, six
    raise SyntaxFaultError(f"invalid prefix length in {argument!r}")


def _parse_network(name: str, argument: str) -> IPv4Network | IPv6Network:
    address, slash, prefix = argument[1:].partition("/")
    if not argument.startswith(":") or (slash and not re.match(r"(?:0|[1-9][0-9]*)\Z", prefix)) or "%" in address:
        raise SyntaxFaultError(f"{name}{argument} is not a network")
    try:
        # RFC 7208 section 5.6: address bits beyond the prefix length are ignored.
        network = ip_network(argument[1:], strict=False)
    except ValueError:
        raise SyntaxFaultError(f"{name}{argument} is not a network") from None
    if network.version != int(name[2]):
        raise SyntaxFaultError(f"{name}{argument} is not a network of IPv{name[2]}")
    return network


def check_domain_spec(text: str) -> None:
    """Raise SyntaxFaultError unless a text is a domain-spec (RFC 7208 section 7.1)."""
    _check_macros(text, _LETTERS)
    if _DOMAIN_END.search(text) is None:
        raise SyntaxFaultError(f"{text!r} is not a domain")


def check_explanation(text: str) -> None:
    """Raise SyntaxFaultError unless a text is an explain-string: macro strings and spaces (RFC 7208 section 12)."""
    _check_macros(text.replace(" ", ""), _LETTERS | _EXPLANATION_LETTERS)


def _check_macros(text: str, letters: frozenset[str]) -> None:
    if MACRO_STRING.match(text) is None:
        raise SyntaxFaultError(f"{text!r} is not a macro string")
    for token in _TOKEN.finditer(text):
        if token[1] is None:
            continue
        if token[1].lower() not in letters:
            raise SyntaxFaultError(f"the macro letter {token[1]} is not valid in {text!r}")
        # RFC 7208 section 7.1: the number of labels in a macro is at least one.
        if token[2] and not token[2].strip("0"):
            raise SyntaxFaultError(f"{text!r} keeps no label")
