"""Freshness of a stored response: effective directives, freshness lifetime and age (RFC 9111 section 4.2).

    freshness_lifetime    = s-maxage, else max-age, else Expires - Date, else a fraction of Date - Last-Modified
    corrected_initial_age = max(apparent_age, age_value + response_delay)
    current_age           = corrected_initial_age + now - response_time

A response is fresh while freshness_lifetime > current_age. RFC 9111 sections 4.2.1 to 4.2.3, 5.1 and 5.3; RFC 9213
section 2.2. DerivedMetadata has the values that depend on the stored response alone: they are computed at the first use
and cached with the stored response, so that a hit parses no field of the stored response.
"""

from dataclasses import dataclass
from math import floor

from lab7.services.http.cache.decisions import Policy, Serve
from lab7.services.http.cache.directives import (
    INFINITY_S,
    ResponseDirectives,
    delta_seconds,
    response_directives,
    targeted_directives,
)
from lab7.services.http.cache.keys import nominated_fields, selecting_values
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.conditional import is_entity_tag
from lab7.services.http.fields import FieldLine, Fields, parse_date
from lab7.services.http.messages import Response


def age_value(fields: Fields) -> int:
    """Return the Age field's seconds, 0 if it is absent or invalid (RFC 9111 section 5.1)."""
    lines = fields.get_all(b"age")
    if not lines:
        return 0
    # RFC 9111 section 5.1: of several Age values, in one line or in several, the first is used.
    return delta_seconds(lines[0].partition(b",")[0].strip(b" \t")) or 0


def http_date(value: bytes | None, now: float) -> int | None:
    """Parse an HTTP-date into seconds since 1970 UTC; return None if absent or invalid.

    `now` resolves a two-digit year.
    """
    if value is None:
        return None
    date = parse_date(value, now)
    # RFC 9111 section 4.2: caches match dates case-insensitively.
    return parse_date(value.title().replace(b"Gmt", b"GMT"), now) if date is None else date


def date_value(fields: Fields, response_time: float) -> int:
    """Return Date in seconds since 1970 UTC; if absent or invalid, the time of receipt (RFC 9110 section 6.6.1)."""
    date = http_date(fields.get(b"date"), response_time)
    return floor(response_time) if date is None else date


def corrected_initial_age(stored: StoredResponse) -> float:
    """Return the age of a response at its receipt, in seconds (RFC 9111 section 4.2.3)."""
    fields = stored.response.fields
    # Round response_time down: Date has whole seconds, so the fraction of a second is no age.
    apparent_age = max(0, floor(stored.response_time) - date_value(fields, stored.response_time))
    # A negative delay counts as zero: the wall clock may have been set back during the exchange.
    response_delay = max(0.0, stored.response_time - stored.request_time)
    corrected_age_value = age_value(fields) + response_delay
    return max(apparent_age, corrected_age_value)


def current_age(initial_age: float, response_time: float, now: float) -> float:
    """Return the age at `now`, in seconds, never below `initial_age` (RFC 9111 section 4.2.3)."""
    resident_time = now - response_time
    return initial_age + max(0.0, resident_time)


# RFC 9110 section 15.1: heuristically cacheable status codes.
HEURISTICALLY_CACHEABLE = frozenset((200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501))


@dataclass(frozen=True, slots=True)
class EffectiveControl:
    """Cache directives that are in effect for a response, after precedence is resolved, and its Expires values.

    `expires` is empty if a targeted field (RFC 9213), which takes precedence, overrides Expires.
    """

    directives: ResponseDirectives
    expires: tuple[bytes, ...]

    @property
    def is_explicit(self) -> bool:
        """True if the response has an explicit expiration time, valid or not (RFC 9111 section 4.2.1)."""
        return self.directives.s_maxage is not None or self.directives.max_age is not None or bool(self.expires)


def effective_control(response: Response, policy: Policy) -> EffectiveControl:
    """Parse the directives in effect: of the first valid targeted field, else of Cache-Control and Expires."""
    fields = response.fields
    for name in policy.targeted:
        value = fields.get(name)
        # RFC 9213 section 2.2: a valid targeted field overrides Cache-Control and Expires.
        if value is not None and (targeted := targeted_directives(value)) is not None:
            return EffectiveControl(targeted, ())
    directives = response_directives(tuple(fields.get_all(b"cache-control")))
    return EffectiveControl(directives, tuple(fields.get_all(b"expires")))


def freshness_lifetime(response: Response, control: EffectiveControl, response_time: float, policy: Policy) -> int:
    """Return the freshness lifetime in whole seconds; 0 if the response is stale from the start."""
    directives = control.directives
    if directives.s_maxage is not None:
        return directives.s_maxage
    if directives.max_age is not None:
        return directives.max_age
    if control.expires:
        return _until_expiry(control.expires, date_value(response.fields, response_time), response_time)
    # RFC 9111 section 4.2.2: the heuristic requires a heuristically cacheable status or public, and no explicit time.
    if response.status in HEURISTICALLY_CACHEABLE or directives.public:
        return _heuristic(response, response_time, policy)
    return 0


def _until_expiry(lines: tuple[bytes, ...], date: int, response_time: float) -> int:
    """Return the freshness lifetime by Expires, in seconds after Date (RFC 9111 section 5.3).

    Return 0 for an invalid date. Of several Expires lines the first is used, unless a later one is invalid or earlier
    (section 4.2.1).
    """
    dates = [http_date(line, response_time) for line in lines]
    first = dates[0]
    if first is None or any(other is None or other < first for other in dates):
        return 0
    return min(max(0, first - date), INFINITY_S)


def _heuristic(response: Response, response_time: float, policy: Policy) -> int:
    """Return the heuristic freshness lifetime in seconds, 0 without Last-Modified (RFC 9111 section 4.2.2)."""
    modified = http_date(response.fields.get(b"last-modified"), response_time)
    if modified is None:
        return 0
    interval = date_value(response.fields, response_time) - modified
    return min(max(0, int(interval * policy.heuristic_fraction)), policy.heuristic_most_s)


@dataclass(slots=True)
class DerivedMetadata:
    """Metadata of a stored response, computed once under one policy: directives, freshness, validators, Vary.

    is_prohibited_stale  a directive prohibits serving the response stale (RFC 9111 section 4.2.4)
    names, values        the fields nominated by Vary, and their normalised values in the original request; names is
                         None for "*"
    lines                the field lines common to all responses built from it: without Age, with Content-Length if
                         it is known
    """

    policy: Policy
    directives: ResponseDirectives
    lifetime_s: int
    initial_age_s: float
    response_time: float
    date: int
    is_prohibited_stale: bool
    entity_tag: bytes | None
    last_modified: int | None
    names: tuple[bytes, ...] | None
    values: tuple[bytes | None, ...]
    lines: tuple[FieldLine, ...]
    # Cached Serve decision for a plain GET, which all hits with the same Age in whole seconds share.
    latest: Serve | None = None

    def age_s(self, now: float) -> float:
        """Return the current_age of the response at `now`, in seconds."""
        return current_age(self.initial_age_s, self.response_time, now)

    def answers(self, fields: Fields) -> bool:
        """Return True if a request with `fields` selects this stored response by its Vary (RFC 9111 section 4.1)."""
        if not self.names:
            return self.names is not None
        return selecting_values(fields, self.names) == self.values

    @property
    def has_strong_tag(self) -> bool:
        """True if the response's entity tag is a strong validator (RFC 9110 section 8.8.1)."""
        return self.entity_tag is not None and not self.entity_tag.startswith(b"W/")

    @property
    def has_validator(self) -> bool:
        """True if a conditional request can validate the response (RFC 9111 section 4.3.1)."""
        return self.entity_tag is not None or self.last_modified is not None


Candidate = tuple[StoredResponse, DerivedMetadata]


def derived_metadata(stored: StoredResponse, policy: Policy) -> DerivedMetadata:
    """Return the metadata of a stored response under a policy, computed once and cached in the response."""
    memo = stored.memo
    if isinstance(memo, DerivedMetadata) and memo.policy is policy:
        return memo
    memo = _derive(stored, policy)
    # StoredResponse is frozen, so object.__setattr__() fills its cache field `memo`, which comparison ignores.
    object.__setattr__(stored, "memo", memo)
    return memo


def _derive(stored: StoredResponse, policy: Policy) -> DerivedMetadata:
    response = stored.response
    control = effective_control(response, policy)
    directives = control.directives
    names = nominated_fields(response.fields)
    tag = response.fields.get(b"etag")
    return DerivedMetadata(
        policy=policy,
        directives=directives,
        lifetime_s=freshness_lifetime(response, control, stored.response_time, policy),
        initial_age_s=corrected_initial_age(stored),
        response_time=stored.response_time,
        date=date_value(response.fields, stored.response_time),
        # RFC 9111 sections 4.2.4 and 5.2.2.10: in a shared cache, s-maxage includes proxy-revalidate.
        is_prohibited_stale=(
            directives.no_cache
            or directives.must_revalidate
            or directives.proxy_revalidate
            or directives.s_maxage is not None
        ),
        entity_tag=tag if tag is not None and is_entity_tag(tag) else None,
        last_modified=http_date(response.fields.get(b"last-modified"), stored.response_time),
        names=names,
        values=() if names is None else selecting_values(stored.request_fields, names),
        lines=_common_lines(stored),
    )


def _common_lines(stored: StoredResponse) -> tuple[FieldLine, ...]:
    """Return the field lines common to all responses built from a stored response.

    Age is not among them, Content-Length is if the length is known.

    A stored response to HEAD keeps its Content-Length as received (RFC 9110 section 9.3.2).
    """
    size = stored.size_octets
    # RFC 9110 section 8.6: a 204 has no Content-Length.
    if size is None or stored.span is not None or stored.method == b"HEAD" or stored.response.status == 204:
        return stored.response.fields.lines_without((b"age",))
    return (*stored.response.fields.lines_without((b"age", b"content-length")), (b"Content-Length", b"%d" % size))
