"""What follows from a stored response, whoever asks for it: worked out once and kept with it.

The reuse of a fresh response is the cache's every day; it must not parse anything.
"""

from dataclasses import dataclass

from services.http.cache.decisions import Policy, Serve
from services.http.cache.directives import ResponseDirectives
from services.http.cache.freshness import (
    control,
    corrected_initial_age,
    current_age,
    date_value,
    freshness_lifetime,
    http_date,
)
from services.http.cache.stored import StoredResponse
from services.http.cache.vary import nominated, selecting
from services.http.conditional import is_entity_tag
from services.http.fields import FieldLine, Fields


@dataclass(slots=True)
class Facts:
    """`names` are those that Vary nominates, `values` the original request's of them; names is None for "*".

    `is_prohibited_stale` tells that section 4.2.4 forbids serving it stale in all circumstances. `lines` is what every
    answer made of it begins with: its head without Age, with its Content-Length where that is known.
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
    # The last answer to a plain GET: within a second all of them are the same.
    latest: Serve | None = None

    def age_s(self, now: float) -> float:
        """Return the current_age at `now` in seconds."""
        return current_age(self.initial_age_s, self.response_time, now)

    def answers(self, fields: Fields) -> bool:
        """Tell whether Vary lets it answer a request with these fields (RFC 9111 section 4.1)."""
        if not self.names:
            return self.names is not None
        return selecting(fields, self.names) == self.values

    @property
    def has_strong_tag(self) -> bool:
        """Whether its entity tag is a strong validator (RFC 9110 section 8.8.1)."""
        return self.entity_tag is not None and not self.entity_tag.startswith(b"W/")

    @property
    def has_validator(self) -> bool:
        """Whether it can be asked about upstream (RFC 9111 section 4.3.1)."""
        return self.entity_tag is not None or self.last_modified is not None


Known = tuple[StoredResponse, Facts]


def facts_of(stored: StoredResponse, policy: Policy) -> Facts:
    """Return what follows from a stored response under a policy."""
    memo = stored.memo
    if isinstance(memo, Facts) and memo.policy is policy:
        return memo
    memo = _facts(stored, policy)
    # The value is frozen, and stays what it is: this is no part of it.
    object.__setattr__(stored, "memo", memo)
    return memo


def _facts(stored: StoredResponse, policy: Policy) -> Facts:
    response = stored.response
    kept_by = control(response, policy)
    directives = kept_by.directives
    names = nominated(response.fields)
    tag = response.fields.get(b"etag")
    return Facts(
        policy=policy,
        directives=directives,
        lifetime_s=freshness_lifetime(response, kept_by, stored.response_time, policy),
        initial_age_s=corrected_initial_age(stored),
        response_time=stored.response_time,
        date=date_value(response.fields, stored.response_time),
        # RFC 9111 section 4.2.4, for a shared cache; section 5.2.2.10: s-maxage includes proxy-revalidate.
        is_prohibited_stale=(
            directives.no_cache
            or directives.must_revalidate
            or directives.proxy_revalidate
            or directives.s_maxage is not None
        ),
        entity_tag=tag if tag is not None and is_entity_tag(tag) else None,
        last_modified=http_date(response.fields.get(b"last-modified"), stored.response_time),
        names=names,
        values=() if names is None else selecting(stored.request_fields, names),
        lines=_lines(stored),
    )


def _lines(stored: StoredResponse) -> tuple[FieldLine, ...]:
    """Return the lines to send; a stored HEAD response keeps the Content-Length that it told (RFC 9110 9.3.2)."""
    size = stored.size_octets
    # RFC 9110 section 8.6: a 204 has none.
    if size is None or stored.span is not None or stored.method == b"HEAD" or stored.response.status == 204:
        return stored.response.fields.without((b"age",)).lines
    return (*stored.response.fields.without((b"age", b"content-length")).lines, (b"Content-Length", b"%d" % size))
