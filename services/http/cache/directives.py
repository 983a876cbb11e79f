"""Cache directives: a parser of Cache-Control, Pragma and targeted fields (RFC 9111 sections 5.2 and 5.4).

    >>> response_directives((b'max-age=60, no-cache="Set-Cookie"',)).max_age
    60

Directives are those of RFC 9111 sections 5.2.1 and 5.2.2, RFC 5861 and RFC 8246; targeted fields are parsed as RFC 9213
specifies. A response directive with an invalid value gets its most restrictive meaning. Left out: no-transform, since
this cache transforms no content, and unknown directives (section 5.2.3).
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from lab7.services.http.cache.structured_fields import Value, parse_dictionary
from lab7.services.http.fields import QUOTED_STRING, is_token, list_members

# RFC 9111 section 1.2.2: any greater delta-seconds value is replaced by this one.
INFINITY_S = 2_147_483_648
_DIGITS_MOST = len(str(INFINITY_S))


def delta_seconds(value: bytes) -> int | None:
    """Parse delta-seconds, at most 2147483648; return None for anything but decimal digits (RFC 9111 section 1.2.2).

    >>> delta_seconds(b"0060"), delta_seconds(b"99999999999"), delta_seconds(b"-1")
    (60, 2147483648, None)
    """
    # bytes.isdigit() accepts ASCII digits only, unlike str.isdigit().
    if not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return INFINITY_S if len(digits) > _DIGITS_MOST else min(int(digits or b"0"), INFINITY_S)


# Size of each lru_cache of parsed field values; the origins of one site send far fewer distinct values.
VALUES_KEPT = 1024

# The cache needs the listed stored fields for decisions, so a qualified no-cache or private does not remove them.
DEPENDED_ON = frozenset(
    (b"age", b"cache-control", b"content-encoding", b"content-range", b"content-type", b"date", b"expires", b"vary")
)

_QUOTED = re.compile(QUOTED_STRING)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)

Arguments = dict[bytes, list[bytes | None]]


@dataclass(frozen=True, slots=True)
class ResponseDirectives:
    """Cache directives of a response. Times are in seconds: None if the directive is absent, 0 if it is invalid.

    `stale_while_revalidate` is also 0 if the directive is absent. `no_cache` and `private` are the unqualified forms;
    `no_cache_fields` and `private_fields` have the lower-case field names of the qualified forms.
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
    """Cache directives of a request. `max_stale` is 2147483648 if the directive has no value."""

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
    """Parse the values of a response's Cache-Control lines; never raises."""
    directives = _parse_arguments(lines)
    return _response(directives) if directives else NO_RESPONSE_DIRECTIVES


@lru_cache(maxsize=VALUES_KEPT)
def targeted_directives(value: bytes) -> ResponseDirectives | None:
    """Parse a targeted field's combined value; return None if it is empty or malformed (RFC 9213 section 2.1)."""
    members = parse_dictionary(value)
    if not members:
        return None
    # RFC 9213 section 2.1: a directive with the Boolean value ?0 counts as absent.
    return _response({name: [_argument(member)] for name, member in members.items() if member is not False})


@lru_cache(maxsize=VALUES_KEPT)
def request_directives(lines: tuple[bytes, ...], pragma: bytes | None) -> RequestDirectives:
    """Parse a request's Cache-Control lines, or its Pragma if there are none (RFC 9111 section 5.4).

    Request directives are advisory (section 5.2.1): one with an invalid value is ignored.
    """
    if not lines:
        is_no_cache = pragma is not None and b"no-cache" in list_members(pragma.lower())
        return RequestDirectives(no_cache=True) if is_no_cache else NO_REQUEST_DIRECTIVES
    directives = _parse_arguments(lines)
    # RFC 9111 section 5.2.1.2: max-stale without a value accepts a stale response of any age.
    any_stale = directives.get(b"max-stale") == [None]
    return RequestDirectives(
        max_age=_least(directives, b"max-age"),
        max_stale=INFINITY_S if any_stale else _least(directives, b"max-stale"),
        min_fresh=_greatest(directives, b"min-fresh"),
        no_cache=b"no-cache" in directives,
        no_store=b"no-store" in directives,
        only_if_cached=b"only-if-cached" in directives,
        stale_if_error=_least(directives, b"stale-if-error"),
    )


def _response(directives: Arguments) -> ResponseDirectives:
    no_cache, no_cache_fields = _names(directives, b"no-cache")
    private, private_fields = _names(directives, b"private")
    return ResponseDirectives(
        max_age=_lifetime(directives, b"max-age"),
        s_maxage=_lifetime(directives, b"s-maxage"),
        no_store=b"no-store" in directives,
        no_cache=no_cache,
        no_cache_fields=no_cache_fields,
        private=private,
        private_fields=private_fields,
        # RFC 9111 sections 5.2.2.3 and 5.2.2.9 define no argument: public and must-understand with one are ignored.
        public=directives.get(b"public", [b""])[0] is None,
        must_understand=directives.get(b"must-understand", [b""])[0] is None,
        must_revalidate=b"must-revalidate" in directives,
        proxy_revalidate=b"proxy-revalidate" in directives,
        # RFC 8246 section 2: an argument of immutable is ignored.
        immutable=b"immutable" in directives,
        stale_while_revalidate=_lifetime(directives, b"stale-while-revalidate") or 0,
        stale_if_error=_lifetime(directives, b"stale-if-error"),
    )


def _parse_arguments(lines: tuple[bytes, ...]) -> Arguments:
    """Parse directives into lists of arguments keyed by lower-case name; None stands for an absent argument.

    Field lines are parsed separately, so that an unterminated quoted-string ends with its line.
    """
    directives: Arguments = {}
    for line in lines:
        for member in list_members(line):
            name, mark, argument = member.partition(b"=")
            stripped = name.strip(b" \t").lower()
            # RFC 9111 section 5.2: with white space around "=" the directive counts, but its argument is invalid.
            is_valid = stripped == name.lower()
            directives.setdefault(stripped, []).append((_unquote(argument) if is_valid else b"") if mark else None)
    return directives


def _unquote(argument: bytes) -> bytes:
    """Decode a token or quoted-string, the two forms of an argument (RFC 9111 section 5.2); b"" for other text."""
    if argument.startswith(b'"'):
        return _ESCAPED.sub(rb"\1", argument[1:-1]) if _QUOTED.fullmatch(argument) else b""
    return argument if is_token(argument) else b""


def _argument(member: Value) -> bytes | None:
    """Convert a structured field value to the argument of a directive: None for a bare name, digits for an Integer.

    Return b"", which is invalid, for a type that no cache directive has.
    """
    if member is True:
        return None
    if isinstance(member, bytes):
        # RFC 9213 section 2.1: a number is an Integer, never a String or Token of digits.
        return b"" if member.isdigit() else member
    return b"%d" % member if isinstance(member, int) else b""


def _lifetime(directives: Arguments, name: bytes) -> int | None:
    """Return the seconds in a directive's argument; None for an absent directive, 0 (stale) for an invalid argument.

    If a directive occurs several times, RFC 9111 section 4.2.1 permits using the first value or treating the response
    as stale. Here the first value is used, but if a later value is smaller, the response is stale.
    """
    arguments = directives.get(name)
    if arguments is None:
        return None
    values = [None if argument is None else delta_seconds(argument) for argument in arguments]
    first = values[0]
    if first is None or any(value is None or value < first for value in values):
        return 0
    return first


def _seconds(directives: Arguments, name: bytes) -> list[int]:
    values = (delta_seconds(argument) for argument in directives.get(name, ()) if argument is not None)
    return [value for value in values if value is not None]


def _least(directives: Arguments, name: bytes) -> int | None:
    return min(_seconds(directives, name), default=None)


def _greatest(directives: Arguments, name: bytes) -> int | None:
    return max(_seconds(directives, name), default=None)


def _names(directives: Arguments, name: bytes) -> tuple[bool, frozenset[bytes]]:
    """Return (True if no-cache or private has no field names, the set of its field names in lower case).

    RFC 9111 sections 5.2.2.4 and 5.2.2.7: the argument is #field-name. A directive counts as unqualified, with an empty
    set of names, if its argument is not such a list, or has a field that the cache itself needs (DEPENDED_ON).
    """
    names: set[bytes] = set()
    for argument in directives.get(name, ()):
        members = list_members((argument or b"").lower())
        if not members or not all(map(is_token, members)) or not DEPENDED_ON.isdisjoint(members):
            return True, frozenset()
        names.update(members)
    return False, frozenset(names)
