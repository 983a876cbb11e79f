"""Derived metadata of a stored response: parsed directives, freshness lifetime, validators, normalised Vary values.

They do not depend on the request. They are computed at the first use and cached with the stored response, so that the
hit of a fresh response parses nothing.
"""

from dataclasses import dataclass

from services.http.cache.decisions import Policy, Serve
from services.http.cache.directives import ResponseDirectives
from services.http.cache.freshness import (
    corrected_initial_age,
    current_age,
    date_value,
    effective_control,
    freshness_lifetime,
    http_date,
)
from services.http.cache.stored import StoredResponse
from services.http.cache.vary import nominated_fields, selecting_values
from services.http.conditional import is_entity_tag
from services.http.fields import FieldLine, Fields


@dataclass(slots=True)
class DerivedMetadata:
    """Metadata of one stored response under one policy.

    is_prohibited_stale  a directive prohibits serving it stale (RFC 9111 section 4.2.4)
    names, values        the fields nominated by Vary, and their normalised values in the original request; names is
                         None for "*"
    lines                the field lines common to all responses built from it: without Age, with Content-Length where
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
    # The last Serve of a plain GET, which stays valid until Age changes.
    latest: Serve | None = None

    def age_s(self, now: float) -> float:
        """Return the current_age at `now` in seconds."""
        return current_age(self.initial_age_s, self.response_time, now)

    def answers(self, fields: Fields) -> bool:
        """Return True where the request's fields match those nominated by Vary (RFC 9111 section 4.1)."""
        if not self.names:
            return self.names is not None
        return selecting_values(fields, self.names) == self.values

    @property
    def has_strong_tag(self) -> bool:
        """True where its entity tag is a strong validator (RFC 9110 section 8.8.1)."""
        return self.entity_tag is not None and not self.entity_tag.startswith(b"W/")

    @property
    def has_validator(self) -> bool:
        """True where it can be validated by a conditional request (RFC 9111 section 4.3.1)."""
        return self.entity_tag is not None or self.last_modified is not None


Candidate = tuple[StoredResponse, DerivedMetadata]


def derived_metadata(stored: StoredResponse, policy: Policy) -> DerivedMetadata:
    """Return the metadata of a stored response under a policy, cached with the stored response."""
    memo = stored.memo
    if isinstance(memo, DerivedMetadata) and memo.policy is policy:
        return memo
    memo = _derive(stored, policy)
    # A cache beside the frozen value: it takes no part in comparison.
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
        values=() if names is None else selecting_values(stored.request_fields, names),
        lines=_lines(stored),
    )


def _lines(stored: StoredResponse) -> tuple[FieldLine, ...]:
    """Return the lines to send; a stored response to HEAD keeps its Content-Length as received (RFC 9110 9.3.2)."""
    size = stored.size_octets
    # RFC 9110 section 8.6: a 204 has none.
    if size is None or stored.span is not None or stored.method == b"HEAD" or stored.response.status == 204:
        return stored.response.fields.without((b"age",)).lines
    return (*stored.response.fields.without((b"age", b"content-length")).lines, (b"Content-Length", b"%d" % size))
