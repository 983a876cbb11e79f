"""Cache directives: what Cache-Control and the fields in its place ask of a cache (RFC 9111 section 5.2).

    >>> response_directives((b'max-age=60, no-cache="Set-Cookie"',)).max_age
    60

Directives are read from RFC 9111 sections 5.2.1 and 5.2.2, 5861 and 8246; from targeted fields as RFC 9213 has it. A
value that is not as it must be makes its directive as restrictive as it can be. Left out: no-transform, which concerns
whoever transforms content, and every directive that is not known (section 5.2.3).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from services.http.cache.structured import Value, parse_dictionary
from services.http.syntax import QUOTED_STRING, is_token, list_members

# delta-seconds: a number of seconds as Age and the cache directives write it (RFC 9111 section 1.2.2).
#
# >>> delta_seconds(b"0060"), delta_seconds(b"99999999999"), delta_seconds(b"-1")
# (60, 2147483648, None)

# RFC 9111 section 1.2.2: what a greater value counts as.
INFINITY_S = 2_147_483_648
_DIGITS_MOST = len(str(INFINITY_S))


def delta_seconds(value: bytes) -> int | None:
    """Return the seconds, 2147483648 at most; None for anything but decimal digits."""
    # bytes.isdigit knows ASCII digits alone.
    if not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return INFINITY_S if len(digits) > _DIGITS_MOST else min(int(digits or b"0"), INFINITY_S)


# Entries of the caches of parsed values: far more than one site's origins write.
VALUES_KEPT = 1024

# What reuse itself rests on: a response with one of these taken out would be another one.
DEPENDED_ON = frozenset(
    (b"age", b"cache-control", b"content-encoding", b"content-range", b"content-type", b"date", b"expires", b"vary")
)

_QUOTED = re.compile(QUOTED_STRING)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

Arguments = dict[bytes, list[bytes | None]]


@dataclass(frozen=True, slots=True)
class ResponseDirectives:
    """A response's directives. Seconds are None where a directive is absent, and 0 where its value is not valid.

    `no_cache` and `private` are the unqualified forms; the qualified ones are the lower-case field names.
    """

    max_age: int | None = None
    s_maxage: int | None = None
    no_store: bool = False
    no_cache: bool = False
    no_cache_fields: frozenset[bytes] = frozenset()
    private: bool = False
    private_fields: frozenset[bytes] = frozenset()
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    immutable: bool = False
    stale_while_revalidate: int = 0
    stale_if_error: int | None = None


@dataclass(frozen=True, slots=True)
class RequestDirectives:
    """A request's directives; max_stale is 2147483648 where it has no value."""

    max_age: int | None = None
    max_stale: int | None = None
    min_fresh: int | None = None
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    stale_if_error: int | None = None


NO_RESPONSE_DIRECTIVES = ResponseDirectives()
NO_REQUEST_DIRECTIVES = RequestDirectives()


@lru_cache(maxsize=VALUES_KEPT)
def response_directives(lines: tuple[bytes, ...]) -> ResponseDirectives:
    """Return what the values of a response's Cache-Control lines say; never raises."""
    found = _arguments(lines)
    return _response(found) if found else NO_RESPONSE_DIRECTIVES


@lru_cache(maxsize=VALUES_KEPT)
def targeted_directives(value: bytes) -> ResponseDirectives | None:
    """Return what a targeted field's combined value says; None where it is empty or malformed (RFC 9213 2.1)."""
    members = parse_dictionary(value)
    if not members:
        return None
    # A flag that is ?0 is not set, and no value that a flag can have.
    return _response({name: [_argument(member)] for name, member in members.items() if member is not False})


@lru_cache(maxsize=VALUES_KEPT)
def request_directives(lines: tuple[bytes, ...], pragma: bytes | None) -> RequestDirectives:
    """Return what a request's Cache-Control lines say, and where there are none its Pragma (RFC 9111 5.4).

    They are advisory (section 5.2.1): one whose value is not valid is left out.
    """
    if not lines:
        is_no_cache = pragma is not None and b"no-cache" in list_members(pragma.lower())
        return RequestDirectives(no_cache=True) if is_no_cache else NO_REQUEST_DIRECTIVES
    found = _arguments(lines)
    # Section 5.2.1.2: without a value, a stale response of any age is accepted.
    any_stale = found.get(b"max-stale") == [None]
    return RequestDirectives(
        max_age=_least(found, b"max-age"),
        max_stale=INFINITY_S if any_stale else _least(found, b"max-stale"),
        min_fresh=_greatest(found, b"min-fresh"),
        no_cache=b"no-cache" in found,
        no_store=b"no-store" in found,
        only_if_cached=b"only-if-cached" in found,
        stale_if_error=_least(found, b"stale-if-error"),
    )


def _response(found: Arguments) -> ResponseDirectives:
    no_cache, no_cache_fields = _names(found, b"no-cache")
    private, private_fields = _names(found, b"private")
    return ResponseDirectives(
        max_age=_lifetime(found, b"max-age"),
        s_maxage=_lifetime(found, b"s-maxage"),
        no_store=b"no-store" in found,
        no_cache=no_cache,
        no_cache_fields=no_cache_fields,
        private=private,
        private_fields=private_fields,
        # Section 5.2: no argument is allowed, and with one these two would allow more than was said.
        public=found.get(b"public", [b""])[0] is None,
        must_understand=found.get(b"must-understand", [b""])[0] is None,
        must_revalidate=b"must-revalidate" in found,
        proxy_revalidate=b"proxy-revalidate" in found,
        # RFC 8246 section 2: an argument has no meaning.
        immutable=b"immutable" in found,
        stale_while_revalidate=_lifetime(found, b"stale-while-revalidate") or 0,
        stale_if_error=_lifetime(found, b"stale-if-error"),
    )


def _arguments(lines: tuple[bytes, ...]) -> Arguments:
    """Return the arguments of each directive, in order, by lower-case name; None for one without an argument.

    Line by line: a quote that is not closed reaches no further than its line.
    """
    found: Arguments = {}
    for line in lines:
        for member in list_members(line):
            name, mark, argument = member.partition(b"=")
            stripped = name.strip(b" \t").lower()
            # Section 5.2: no white space around "="; a name that has some is known, its argument is not valid.
            is_valid = stripped == name.lower()
            found.setdefault(stripped, []).append((_unquoted(argument) if is_valid else b"") if mark else None)
    return found


def _unquoted(argument: bytes) -> bytes:
    """Section 5.2: both forms of every argument are accepted. Empty for what is neither token nor quoted-string."""
    if argument.startswith(b'"'):
        return _ESCAPED.sub(rb"\1", argument[1:-1]) if _QUOTED.fullmatch(argument) else b""
    return argument if is_token(argument) else b""


def _argument(member: Value) -> bytes | None:
    """Return a dictionary member's value as an argument; empty where no directive can have it."""
    if member is True:
        return None
    if isinstance(member, bytes):
        # RFC 9213 section 2.1: a String or a Token is never a number.
        return b"" if member.isdigit() else member
    return b"%d" % member if isinstance(member, int) else b""


def _lifetime(found: Arguments, name: bytes) -> int | None:
    """Return a directive's seconds, None where it is absent.

    RFC 9111 section 4.2.1: of several values the first is used or the response is stale, and what is not valid makes
    it stale. Here a later value that allows less than the first makes it stale.
    """
    arguments = found.get(name)
    if arguments is None:
        return None
    values = [None if argument is None else delta_seconds(argument) for argument in arguments]
    first = values[0]
    if first is None or any(value is None or value < first for value in values):
        return 0
    return first


def _seconds(found: Arguments, name: bytes) -> list[int]:
    values = (delta_seconds(argument) for argument in found.get(name, ()) if argument is not None)
    return [value for value in values if value is not None]


def _least(found: Arguments, name: bytes) -> int | None:
    return min(_seconds(found, name), default=None)


def _greatest(found: Arguments, name: bytes) -> int | None:
    return max(_seconds(found, name), default=None)


def _names(found: Arguments, name: bytes) -> tuple[bool, frozenset[bytes]]:
    """Return whether no-cache or private stands unqualified, and else the fields that it is qualified with.

    RFC 9111 sections 5.2.2.4 and 5.2.2.7: #field-name. An argument that is no such list counts as none, and so does
    one with a field that reuse rests on.
    """
    names: set[bytes] = set()
    for argument in found.get(name, ()):
        members = list_members((argument or b"").lower())
        if not members or not all(map(is_token, members)) or not DEPENDED_ON.isdisjoint(members):
            return True, frozenset()
        names.update(members)
    return False, frozenset(names)
