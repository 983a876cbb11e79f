"""For how long a response is fresh, and who says so (RFC 9111 sections 4.2.1 and 4.2.2; RFC 9213 section 2.2).

s-maxage before max-age before Expires before a tenth of the time since Last-Modified.
"""

from dataclasses import dataclass

from services.http.caching.age import date_value, http_date
from services.http.caching.decision import Policy
from services.http.caching.delta import INFINITY_S
from services.http.caching.directives import ResponseDirectives, response_directives, targeted_directives
from services.http.messages import Response

# RFC 9110 section 15.1: cached with a heuristic unless something forbids it.
HEURISTICALLY_CACHEABLE = frozenset((200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501))


@dataclass(frozen=True, slots=True)
class Control:
    """The directives that a response is kept by, and the lines of its Expires unless they are to be ignored."""

    directives: ResponseDirectives
    expires: tuple[bytes, ...]

    @property
    def is_explicit(self) -> bool:
        """Whether there is an explicit expiration time, valid or not (RFC 9111 section 4.2.1)."""
        return self.directives.s_maxage is not None or self.directives.max_age is not None or bool(self.expires)


def control(response: Response, policy: Policy) -> Control:
    """Return what a response is kept by: the first valid targeted field, else Cache-Control and Expires."""
    fields = response.fields
    for name in policy.targeted:
        value = fields.get(name)
        # RFC 9213 section 2.2: then Cache-Control and Expires are ignored.
        if value is not None and (targeted := targeted_directives(value)) is not None:
            return Control(targeted, ())
    directives = response_directives(tuple(fields.get_all(b"cache-control")))
    return Control(directives, tuple(fields.get_all(b"expires")))


def freshness_lifetime(response: Response, kept_by: Control, response_time: float, policy: Policy) -> int:
    """Return the freshness lifetime in whole seconds; 0 where the response is stale from the start."""
    directives = kept_by.directives
    if directives.s_maxage is not None:
        return directives.s_maxage
    if directives.max_age is not None:
        return directives.max_age
    if kept_by.expires:
        return _until_expiry(kept_by.expires, date_value(response.fields, response_time), response_time)
    # RFC 9111 section 4.2.2: no heuristic beside an explicit time, nor for what is not marked as cacheable.
    if response.status in HEURISTICALLY_CACHEABLE or directives.public:
        return _heuristic(response, response_time, policy)
    return 0


def _until_expiry(lines: tuple[bytes, ...], date: int, response_time: float) -> int:
    """Section 5.3: what is no date has expired. Section 4.2.1: of several the first counts, or all is stale."""
    dates = [http_date(line, response_time) for line in lines]
    first = dates[0]
    if first is None or any(other is None or other < first for other in dates):
        return 0
    return min(max(0, first - date), INFINITY_S)


def _heuristic(response: Response, response_time: float, policy: Policy) -> int:
    """Section 4.2.2: a fraction of the interval since Last-Modified."""
    modified = http_date(response.fields.get(b"last-modified"), response_time)
    if modified is None:
        return 0
    interval = date_value(response.fields, response_time) - modified
    return min(max(0, int(interval * policy.heuristic_fraction)), policy.heuristic_most_s)
