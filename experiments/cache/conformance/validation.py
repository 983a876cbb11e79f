"""Conformance checks of cache validation, freshening and invalidation (RFC 9111 4.3, 4.4, 5.2.2.4; RFC 9110 9.3.2)."""

from __future__ import annotations

from lab7.experiments.cache.conformance.expectations import (
    answer_has,
    content,
    content_of,
    from_origin,
    from_store,
    may,
    of_origin,
    origin_has,
    status,
)
from lab7.experiments.cache.conformance.reuse import PASSED_S, SHORT
from lab7.experiments.cache.conformance.scenario import Check, Reply, Step
from lab7.experiments.cache.conformance.storage import MINUTE, asked

TAG = ("ETag", '"1"')
MATCHING, OTHER = ("If-None-Match", '"1"'), ("If-None-Match", '"0"')


def invalidates(method: str) -> Check:
    """Return a check that a successful unsafe request (such as PUT) invalidates the stored response for its URI."""
    return Check(
        f"invalidated-{method.lower()}",
        "9111 4.4",
        "required",
        f"A stored response is not reused after a successful {method}.",
        (
            Step(reply=Reply(fields=(MINUTE,))),
            Step(expect=(may(from_store(1)),)),
            Step(method=method, body="" if method == "DELETE" else "new", expect=(of_origin,)),
            asked(),
        ),
    )


SENT = (
    Check(
        "no-cache",
        "9111 5.2.2.4",
        "required",
        "A response with no-cache is not reused without validation.",
        (
            Step(reply=Reply(fields=(("Cache-Control", "no-cache"), TAG))),
            Step(
                reply=Reply(fields=(("Cache-Control", "no-cache"), TAG), validates=True),
                expect=(of_origin, status(200)),
            ),
        ),
    ),
    Check(
        "no-cache-validated",
        "9111 5.2.2.4",
        "allowed",
        "A response with no-cache is stored, and reused after validation.",
        (
            Step(reply=Reply(fields=(("Cache-Control", "no-cache"), TAG))),
            Step(
                reply=Reply(fields=(("Cache-Control", "no-cache"), TAG), validates=True),
                expect=(may(origin_has("If-None-Match", '^"1"$')), status(200), content_of(1)),
            ),
        ),
    ),
    Check(
        "validated-by-tag",
        "9111 4.3.1",
        "allowed",
        "A stale response is validated by its entity tag.",
        (
            Step(reply=Reply(fields=(SHORT, TAG))),
            Step(
                wait_s=PASSED_S,
                reply=Reply(fields=(SHORT, TAG), validates=True),
                expect=(may(origin_has("If-None-Match", '"1"')), status(200), content_of(1)),
            ),
        ),
    ),
    Check(
        "validated-by-date",
        "9111 4.3.1",
        "allowed",
        "A stale response is validated by its Last-Modified.",
        (
            Step(reply=Reply(fields=(SHORT, ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")))),
            Step(
                wait_s=PASSED_S,
                reply=Reply(fields=(SHORT,), validates=True),
                expect=(
                    may(origin_has("If-Modified-Since", "^Sun, 06 Nov 1994 08:49:37 GMT$")),
                    status(200),
                    content_of(1),
                ),
            ),
        ),
    ),
    Check(
        "changed",
        "9111 4.3.3",
        "required",
        "A validation that returns a new response replaces the stored one.",
        (Step(reply=Reply(fields=(SHORT, TAG))), asked(status(200), content_of(2), wait_s=PASSED_S)),
    ),
    Check(
        "freshened",
        "9111 4.3.4",
        "required",
        "304 updates the fields of the stored response.",
        (
            Step(reply=Reply(fields=(SHORT, TAG, ("Lab-Word", "old")))),
            Step(
                wait_s=PASSED_S,
                reply=Reply(fields=(MINUTE, TAG, ("Lab-Word", "new")), validates=True),
                expect=(may(origin_has("If-None-Match")), content_of(1), answer_has("Lab-Word", "^new$")),
            ),
            Step(expect=(may(from_store(1)), answer_has("Lab-Word", "^new$"))),
        ),
    ),
    Check(
        "freshened-reused",
        "9111 4.3.4",
        "allowed",
        "304 makes the stored response fresh for its new lifetime.",
        (
            Step(reply=Reply(fields=(SHORT, TAG))),
            Step(
                wait_s=PASSED_S,
                reply=Reply(fields=(MINUTE, TAG), validates=True),
                expect=(may(origin_has("If-None-Match")),),
            ),
            Step(wait_s=PASSED_S, expect=(may(from_store(1)),)),
        ),
    ),
)

RECEIVED = (
    Check(
        "asked-if-none-match",
        "9111 4.3.2",
        "allowed",
        "A client's matching If-None-Match gets 304 from the cache.",
        (
            Step(reply=Reply(fields=(MINUTE, TAG))),
            Step(fields=(MATCHING,), reply=Reply(fields=(MINUTE, TAG)), expect=(may(from_store(1)), may(status(304)))),
        ),
    ),
    Check(
        "asked-if-none-match-other",
        "9111 4.3.2",
        "required",
        "A client's If-None-Match with another tag gets the complete response.",
        (
            Step(reply=Reply(fields=(MINUTE, TAG))),
            Step(
                fields=(OTHER,), reply=Reply(fields=(MINUTE, TAG), body="whole"), expect=(status(200), content_of(1, 2))
            ),
        ),
    ),
    Check(
        "asked-if-modified-since",
        "9111 4.3.2",
        "allowed",
        "A client's If-Modified-Since gets 304 from the cache.",
        (
            Step(reply=Reply(fields=(MINUTE, ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT")))),
            Step(
                fields=(("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT"),),
                reply=Reply(fields=(MINUTE,)),
                expect=(may(from_store(1)), may(status(304))),
            ),
        ),
    ),
    Check(
        "head",
        "9110 9.3.2",
        "allowed",
        "HEAD is answered from the stored response to GET, without content.",
        (
            Step(reply=Reply(fields=(MINUTE, TAG))),
            Step(method="HEAD", expect=(may(from_store(1)), status(200), answer_has("ETag", '"1"'))),
        ),
    ),
    Check(
        "head-not-get",
        "9111 4",
        "required",
        "GET after HEAD gets content, from the cache or from the origin.",
        (Step(method="HEAD", reply=Reply(fields=(MINUTE, TAG))), Step(expect=(status(200), content_of(1, 2)))),
    ),
)

INVALIDATED = (
    *(invalidates(method) for method in ("POST", "PUT", "DELETE")),
    Check(
        "invalidated-not-by-error",
        "9111 4.4",
        "allowed",
        "An unsafe request that fails does not invalidate the stored response.",
        (
            Step(reply=Reply(fields=(MINUTE,))),
            Step(expect=(may(from_store(1)),)),
            Step(method="POST", body="new", reply=Reply(status=500)),
            Step(expect=(may(from_store(1)), content(b"invalidated-not-by-error 1\n"))),
        ),
    ),
    Check(
        "invalidated-location",
        "9111 4.4",
        "allowed",
        "A successful POST also invalidates the URI in its Location field.",
        (
            Step(path="/made", reply=Reply(fields=(MINUTE,))),
            Step(path="/made", expect=(may(from_store(1)),)),
            Step(method="POST", body="new", reply=Reply((("Location", "/invalidated-location/made"),), 201)),
            Step(path="/made", expect=(may(from_origin), of_origin)),
        ),
    ),
)

CHECKS = (*SENT, *RECEIVED, *INVALIDATED)
