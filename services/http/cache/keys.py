"""Cache keys: the normalised target URI, and the request fields nominated by Vary (RFC 9111 sections 2 and 4.1).

    >>> cache_key(split_target(b"GET", b"/%7euser?a=%c3"), b"WWW.Example:80")
    b'http://www.example/~user?a=%C3'
    >>> selecting_values(Fields(((b"Accept-Language", b"de;q=0.50 , EN"),)), (b"accept-language",))
    (b'de;q=0.5,en',)

URIs are normalised by RFC 9110 section 4.2.3 and RFC 3986 sections 6.2.2.1 and 6.2.2.2. The cache forwards the
normalised URI, as section 4.2.3 permits. An origin that treats two equivalent URIs as two resources, against RFC 3986,
therefore receives only the normalised one, and its response cannot be stored under the wrong key. A path or query with
an invalid percent-encoding is left as it is. Left out: removing dot segments (RFC 3986 section 6.2.2.3), which some
origins treat literally.

Field values are normalised as the field's definition permits: white space and empty members of lists, combined lines,
and for the fields of content negotiation (RFC 9110 section 12.5) also case, order and the notation of weights.
"""

import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.fields import Fields, balanced_octets, is_token, list_members
from lab7.services.http.messages import Target, decode_unreserved, has_bad_percent

DEFAULT_PORTS = {b"http": b"80", b"https": b"443"}
URIS_KEPT = 4096

_LOWER_HEX = re.compile(rb"%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])")
_ABSOLUTE = re.compile(rb"(?P<scheme>[A-Za-z][0-9A-Za-z+\-.]*+)://(?P<authority>[^/?#]*+)(?P<rest>[^#]*+)")


@lru_cache(maxsize=URIS_KEPT)
def cache_key(target: Target, host: bytes, scheme: bytes = b"http") -> bytes:
    """Return the target URI of a request (RFC 9112 section 3.3) as a cache key.

    `target` is a parsed request target, not in authority-form. `host` is the value of Host, which a target in
    absolute-form overrides. `scheme` is the scheme of the target, or else of the connection.
    """
    authority = host if target.authority is None else target.authority
    rest = target.path if target.query is None else b"%b?%b" % (target.path, target.query)
    return _build_key(scheme.lower(), authority, rest)


@lru_cache(maxsize=URIS_KEPT)
def resolved_key(base: bytes, reference: bytes) -> bytes | None:
    """Resolve a URI reference against the key `base`; return the cache key of the result (RFC 3986 section 5.2).

    Returns None for an invalid reference, and for a URI of another origin (RFC 9111 section 4.4, RFC 9110 section
    4.3.1).
    """
    try:
        joined = urljoin(base.decode("latin-1"), reference.decode("latin-1")).encode("latin-1")
        urlsplit(joined)
    except ValueError:
        return None
    match = _ABSOLUTE.match(joined)
    if match is None:
        return None
    key = _build_key(match["scheme"].lower(), match["authority"], match["rest"])
    return key if origin_of(key) == origin_of(base) else None


def origin_of(key: bytes) -> bytes:
    """Return the origin of a cache key: its scheme and authority (RFC 9110 section 4.3.1)."""
    scheme, _, rest = key.partition(b"://")
    return b"%b://%b" % (scheme, re.split(rb"[/?*]", rest, maxsplit=1)[0])


def _build_key(scheme: bytes, authority: bytes, rest: bytes) -> bytes:
    return b"%b://%b%b" % (scheme, *normalised(scheme, authority, rest))


def normalised(scheme: bytes, authority: bytes, rest: bytes) -> tuple[bytes, bytes]:
    """Normalise a URI with a lower-case scheme; return (authority, path with query) (RFC 9110 section 4.2.3).

    The host is in lower case, the default port is omitted, an empty path is "/"; user information is removed.
    """
    authority = authority.rpartition(b"@")[2].lower()
    host, colon, port = authority.rpartition(b":")
    if colon and (not port or port.isdigit()):
        port = port.lstrip(b"0")
        authority = host if port in (b"", DEFAULT_PORTS.get(scheme)) else b"%b:%b" % (host, port)
    if not rest.startswith(b"/") and rest != b"*":
        rest = b"/" + rest
    # RFC 3986 sections 6.2.2.1 and 6.2.2.2: unreserved characters are decoded, other encodings get upper-case digits.
    if b"%" in rest and not has_bad_percent(rest):
        rest = _LOWER_HEX.sub(lambda match: match[0].upper(), decode_unreserved(rest))
    return authority, rest


# The request fields nominated by Vary.

VALUES_KEPT = 4096

# Fields with lists whose members have weights and no significant order (RFC 9110 sections 10.1.4, 12.5.1 to 12.5.4).
_NEGOTIATED = frozenset((b"accept", b"accept-charset", b"accept-encoding", b"accept-language", b"te"))
# Fields with a single value: a comma, and white space around a comma, are part of the value.
_SINGLE = frozenset(
    (
        b"authorization",
        b"cookie",
        b"date",
        b"from",
        b"host",
        b"if-modified-since",
        b"if-range",
        b"if-unmodified-since",
        b"origin",
        b"range",
        b"referer",
        b"user-agent",
    )
)
_AROUND_MARKS = re.compile(rb"[ \t]*+([;=])[ \t]*+")
_WEIGHT = re.compile(rb";q=([01])(?:\.(\d{0,3}))?(?=;|$)", re.IGNORECASE)
_PARAMETER = re.compile(rb";([^;=]*+)")


def nominated_fields(fields: Fields) -> tuple[bytes, ...] | None:
    """Parse Vary into sorted lower-case field names; None for "*" or an invalid name, which match no request."""
    value = fields.get(b"vary")
    return () if value is None else _field_names(value)


@lru_cache(maxsize=VALUES_KEPT)
def _field_names(value: bytes) -> tuple[bytes, ...] | None:
    names = set(list_members(value.lower()))
    # RFC 9110 section 12.5.5: "*" stands for aspects beyond the fields; an invalid name is treated as "*".
    return None if b"*" in names or not all(map(is_token, names)) else tuple(sorted(names))


def selecting_values(fields: Fields, names: tuple[bytes, ...]) -> tuple[bytes | None, ...]:
    """Return a request's normalised values of the fields `names`, in order; None stands for an absent field."""
    values = ((name, fields.get(name)) for name in names)
    return tuple(None if value is None else normalised_value(name, value) for name, value in values)


@lru_cache(maxsize=VALUES_KEPT)
def normalised_value(name: bytes, value: bytes) -> bytes:
    """Normalise a field's combined value, so that equivalent values are equal octets (RFC 9111 section 4.1).

    A value with an unterminated quoted-string is kept, apart from white space around it: its division into members is
    ambiguous, so that sorting the members could make it equal to a different value.
    """
    if name in _SINGLE or balanced_octets(value) < len(value):
        return value.strip(b" \t")
    members = list_members(value)
    if name in _NEGOTIATED:
        members = sorted(_normalised_member(name, member) for member in members)
    return b",".join(members)


def _normalised_member(name: bytes, member: bytes) -> bytes:
    member = _AROUND_MARKS.sub(rb"\1", member)
    if name == b"accept":
        kind, mark, rest = member.partition(b";")
        member = kind.lower() + _PARAMETER.sub(lambda match: match[0].lower(), mark + rest)
    else:
        member = member.lower()
    return _WEIGHT.sub(_normalised_weight, member)


def _normalised_weight(match: re.Match[bytes]) -> bytes:
    """Normalise a weight: omit the default 1 and trailing zeros (RFC 9110 section 12.4.2)."""
    decimals = (match[2] or b"").rstrip(b"0")
    if match[1] == b"1" and not decimals:
        return b""
    return b";q=%b.%b" % (match[1], decimals) if decimals else b";q=" + match[1]


def matches_vary(stored: StoredResponse, fields: Fields) -> bool:
    """Return True if a request with `fields` matches a stored response under Vary."""
    names = nominated_fields(stored.response.fields)
    if names is None:
        return False
    return not names or selecting_values(stored.request_fields, names) == selecting_values(fields, names)


def same_key(old: StoredResponse, new: StoredResponse) -> bool:
    """Return True if storing the response `new` replaces the response `old`, stored for the same URI and method.

    `new` replaces `old` if `old` matches the request of `new` under Vary. If both are parts of the same representation,
    `new` must also cover `old`.
    """
    if not matches_vary(old, new.request_fields):
        return False
    if new.span is None or old.span is None or not _is_same_representation(old, new):
        return True
    return new.span.first <= old.span.first and old.span.last <= new.span.last


def _is_same_representation(old: StoredResponse, new: StoredResponse) -> bool:
    tag = new.response.fields.get(b"etag")
    return tag is not None and tag.startswith(b'"') and tag == old.response.fields.get(b"etag")
