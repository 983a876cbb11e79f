"""Checks of the results of decide, handle_response and handle_failure against RFC 9111, by the oracle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lab7.services.http.cache.decisions import Decision, Forward, ResponseActions, Serve, Unsatisfiable
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request
from tests.core.services.http.cache import oracle
from tests.core.services.http.cache.honest_origin import HOST, Said
from tests.core.services.http.cache.oracle import Held

# RFC 9211 section 2.2
FORWARD_REASONS = {b"bypass", b"method", b"uri-miss", b"vary-miss", b"miss", b"request", b"stale", b"partial"}
CONDITIONS = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range")
# Fields that a cache sets itself, or that depend on the sent part of the content.
ITS_OWN = {b"age", b"date", b"cache-status", b"via", b"content-length", b"content-range", b"accept-ranges"}
ROUNDING_S = 1.001


def check_decision(decision: Decision, request: Request, helds: Sequence[Held], now: float) -> None:
    asked = oracle.directives(request.fields.get(b"cache-control"))
    if isinstance(decision, Unsatisfiable):
        # RFC 9111 section 5.2.1.7
        assert decision.response.status == 504
        assert b"only-if-cached" in asked
    elif isinstance(decision, Forward):
        assert b"only-if-cached" not in asked or request.method not in (b"GET", b"HEAD")
        assert not (len(helds) == 1 and oracle.must_reuse(helds[0], request, now)), "a needless request upstream"
    else:
        assert request.method in (b"GET", b"HEAD"), "RFC 9111 section 4: written through"


def check_forward(forward: Forward, request: Request, helds: Mapping[str, Held]) -> None:
    """Check a Forward (RFC 9111 sections 4.3.1, 4.3.2 and 5.2; RFC 9211 section 2.2)."""
    sent = forward.request
    assert forward.reason in FORWARD_REASONS
    assert sent.method == request.method
    assert sent.fields.get_all(b"cache-control") == request.fields.get_all(b"cache-control")
    tags = [tag.strip() for tag in (sent.fields.get(b"if-none-match") or b"").split(b",")]
    for stored in forward.validating:
        held = helds[stored.name]
        tag = held.fields.get(b"etag")
        assert tag is None or tag in tags or sent.fields.get(b"if-range") == tag, "MUST send the entity tags"
        assert tag not in tags or oracle.covers(held, request), "MUST NOT include that of a partial response"
    if not forward.validating and forward.completing is None:
        for name in CONDITIONS:
            assert sent.fields.get(name) in (None, request.fields.get(name))
    if request.method not in (b"GET", b"HEAD"):
        assert (forward.validating, forward.completing) == ((), None)


def check_invalidation(received: ResponseActions, request: Request, uri: bytes, status: int) -> None:
    """RFC 9111 section 4.4"""
    changing = request.method not in oracle.SAFE and status < 400
    assert (uri in received.invalidates) == changing
    assert all(key.startswith(HOST + b"/") for key in received.invalidates), "another origin's"
    assert changing or received.invalidates == ()


def check_update(held: Held, request: Request, said: Said) -> None:
    """Check the updates of stored responses (RFC 9111 sections 4.3.4 and 4.3.5)."""
    assert b"no-store" not in oracle.directives(request.fields.get(b"cache-control"))
    if said.status == 200:
        assert request.method == b"HEAD"
        assert oracle.varies_alike(held, request)
        assert not oracle.contradicted(held, said.fields)
    else:
        assert said.status in (304, 206)
        assert oracle.may_freshen(held, request, said.fields) == []
        assert said.status == 304 or oracle.unstorable(request, held.uri, 206, said.fields) == []


def check_stored(store: StoredResponse, held: Held, said: Said, content: bytes, is_joined: bool) -> None:
    """Check that a stored response describes its content (RFC 9111 sections 3.1 and 3.3)."""
    assert (store.uri, store.method) == (held.uri, held.method)
    assert store.response.body == b""
    assert (store.request_time, store.response_time) == (held.request_time, held.response_time)
    if said.status == 206 and not is_joined:
        match = re.fullmatch(rb"bytes (\d+)-(\d+)/(\d+)", said.fields.get(b"content-range") or b"")
        assert match is not None
        first, last, complete = (int(digits) for digits in match.groups())
        whole = (first, last) == (0, complete - 1)
        cut = first + len(content) - 1
        assert held.span in ((first, min(last, cut), complete), *((None,) if whole and cut == last else ()))
    if said.status == 200 and len(said.content) < len(said.whole):
        assert held.span is not None
    told, _ = oracle.policy_of(held.fields)
    gone = oracle.PER_CONNECTION | oracle.PER_PROXY | oracle.named(told.get(b"private", []))
    assert not store.response.fields.has_any(gone | oracle.connection_names(said.fields) - {b""})


def check_most_recent(request: Request, held: Held, others: Sequence[Held]) -> None:
    """Check the choice: the most recent by Date (RFC 9111 section 4), with Vary before without (section 4.1)."""
    if request.fields.has_any((b"if-range", b"cache-control")):
        # They may choose between them as well.
        return
    if b"vary" in held.fields:
        others = [other for other in others if b"vary" in other.fields]
    assert oracle.date_of(held) >= max((oracle.date_of(other) for other in others), default=0)


def check_served(serve: Serve, held: Held, request: Request, now: float) -> None:
    """Check Age, staleness and fields of a hit (RFC 9111 sections 4, 4.2 and 3.1, RFC 5861 section 3)."""
    least, most = oracle.ages(held, now)
    lifetime = oracle.longest_lifetime(held)
    assert serve.response.fields.get_all(b"age") == [b"%d" % serve.age_s]
    # A Date tells whole seconds, so that of a second that is not over it may be taken as none of age.
    counted = max(least, most - held.response_time % 1)
    assert any(abs(serve.age_s - min(age, oracle.OVERFLOW)) < ROUNDING_S for age in (least, most, counted))
    assert serve.is_stale or least < lifetime
    assert not (serve.is_stale and oracle.must_reuse(held, request, now))
    check_fields(serve, held, request)


def unsent(held: Held) -> set[bytes]:
    """Return the names of fields that are not sent with a stored response, lower-case (RFC 9111 section 3.1)."""
    told, _ = oracle.policy_of(held.fields)
    names = oracle.PER_CONNECTION | oracle.PER_PROXY | oracle.connection_names(held.fields)
    return names | oracle.named(told.get(b"private", [])) | oracle.named(told.get(b"no-cache", []))


def is_head_of(store: StoredResponse, held: Held) -> bool:
    return _lines(store.response.fields.without(ITS_OWN)) == _lines(held.fields.without(ITS_OWN | unsent(held)))


def check_fields(serve: Serve, held: Held, request: Request) -> None:
    got = serve.response.fields.without(ITS_OWN)
    kept = _lines(held.fields.without(ITS_OWN | unsent(held)))
    status = serve.response.status
    assert status in (held.status, 304, 416) or (held.status == 200 and status == 206)
    if status == held.status:
        assert _lines(got) == kept
        dates = held.fields.get_all(b"date")
        assert oracle.http_date(held.fields.get(b"date")) is None or serve.response.fields.get_all(b"date") == dates
    elif status != 416:
        assert not got.has_any(unsent(held) - {b""})
    assert request.method != b"HEAD" or serve.segments == ()


def check_validated(serve: Serve, held: Held, request: Request, uri: bytes, said: Said) -> None:
    """Check that a 304 validated the served response; its content shows that it is the right one."""
    assert held.uri == uri
    assert not held.outdated
    tag = said.fields.get(b"etag")
    assert tag is None or tag.removeprefix(b"W/") == (held.fields.get(b"etag") or b"").removeprefix(b"W/")
    assert oracle.varies_alike(held, request) or b"vary" in said.fields
    assert oracle.covers(held, request)
    assert serve.response.fields.get(b"x-seq") in (said.fields.get(b"x-seq"), held.fields.get(b"x-seq"))


def _lines(fields: Fields) -> list[tuple[bytes, bytes]]:
    return sorted((name.lower(), value) for name, value in fields)
