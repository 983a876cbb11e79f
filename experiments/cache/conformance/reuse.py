"""Conformance checks of the reuse of stored responses: Vary, freshness, Age, request directives (RFC 9111 4, 5)."""

from __future__ import annotations

from lab7.experiments.cache.conformance.expectations import (
    age_since,
    answer_has,
    asked_once,
    content_of,
    from_origin,
    from_store,
    in_background,
    may,
    not_forwarded,
    of_origin,
    status,
)
from lab7.experiments.cache.conformance.scenario import Check, Reply, Step
from lab7.experiments.cache.conformance.storage import MINUTE, asked, kept, not_kept
from lab7.experiments.cache.conformance.trace import Expectation

# Wait in s until a response with max-age=1 is stale, also in a cache that counts whole seconds.
PASSED_S = 2.5
SHORT = ("Cache-Control", "max-age=1")
FAR = ("Expires", "{now+3600}")
ENGLISH, GERMAN = ("Accept-Language", "en"), ("Accept-Language", "de")
VARY = ("Vary", "Accept-Language")


def passed(name: str, section: str, says: str, *fields: tuple[str, str], more_s: float = 0.0) -> Check:
    """Return a check that a cache validates a response with these header fields once it is stale.

    The second request follows PASSED_S + `more_s` seconds after the first.
    """
    return Check(name, section, "required", says, (Step(reply=Reply(fields=fields)), asked(wait_s=PASSED_S + more_s)))


def preferred(name: str, section: str, says: str, directive: str, *expect: Expectation) -> Check:
    """Return a check that a cache obeys a directive in a request's Cache-Control.

    The check is optional, since RFC 9111 section 5.2.1 only recommends such obedience.
    """
    first = Step(reply=Reply(fields=(MINUTE,)))
    second = Step(
        fields=(("Cache-Control", directive),), wait_s=PASSED_S, expect=(may(from_origin), of_origin, *expect)
    )
    # First show that the response is stored, since the directive has no effect without a stored response.
    return Check(name, section, "allowed", says, (first, Step(expect=(may(from_store(1)),)), second))


LIFETIMES = (
    kept("max-age", "9111 4.2.1", "A response is reused within its max-age.", MINUTE),
    passed("max-age-passed", "9111 4.2.4", "A response is not reused after its max-age.", SHORT),
    kept(
        "s-maxage",
        "9111 4.2.1",
        "s-maxage overrides max-age: the response is reused.",
        ("Cache-Control", "max-age=0, s-maxage=60"),
    ),
    passed(
        "s-maxage-passed",
        "9111 4.2.1",
        "s-maxage overrides max-age: the response is stale.",
        ("Cache-Control", "max-age=60, s-maxage=1"),
    ),
    kept("expires", "9111 5.3", "A response is reused until Expires.", FAR),
    not_kept(
        "expires-invalid",
        "9111 5.3",
        "Expires: 0 is a time in the past.",
        ("Expires", "0"),
        ("Last-Modified", "{now-864000}"),
    ),
    passed("max-age-over-expires", "9111 5.3", "max-age overrides Expires.", SHORT, FAR),
    kept(
        "heuristic",
        "9111 4.2.2",
        "Without an explicit lifetime, Last-Modified gives a heuristic one.",
        ("Last-Modified", "{now-864000}"),
    ),
    not_kept(
        "age-upstream", "9111 4.2.3", "The Age field of the origin's response adds to its age.", MINUTE, ("Age", "100")
    ),
    not_kept("age-apparent", "9111 4.2.3", "A Date in the past adds to the age.", MINUTE, ("Date", "{now-100}")),
    Check(
        "age",
        "9111 4",
        "required",
        "A reused response has an Age field.",
        (Step(reply=Reply(fields=(MINUTE,))), Step(wait_s=PASSED_S, expect=(may(from_store(1)), age_since(1)))),
    ),
    Check(
        "age-added-up",
        "9111 4.2.3",
        "required",
        "The Age field of a reused response includes the Age that it was received with.",
        (
            Step(reply=Reply(fields=(MINUTE, ("Age", "30")))),
            Step(wait_s=PASSED_S, expect=(may(from_store(1)), age_since(1, before_s=30))),
        ),
    ),
    Check(
        "query",
        "9111 4",
        "required",
        "URIs with different queries are different cache keys.",
        (Step(path="?a=1", reply=Reply(fields=(MINUTE,))), asked(content_of(2), path="?a=2")),
    ),
)

VARYING = (
    Check(
        "vary-same",
        "9111 4.1",
        "allowed",
        "A response with Vary is reused for a request with the same field values.",
        (
            Step(fields=(ENGLISH,), reply=Reply(fields=(MINUTE, VARY))),
            Step(fields=(ENGLISH,), expect=(may(from_store(1)),)),
        ),
    ),
    Check(
        "vary-other",
        "9111 4.1",
        "required",
        "A response with Vary is not reused for a request with other field values.",
        (
            Step(fields=(ENGLISH,), reply=Reply(fields=(MINUTE, VARY))),
            Step(fields=(GERMAN,), reply=Reply(fields=(MINUTE, VARY)), expect=(from_origin, content_of(2))),
        ),
    ),
    Check(
        "vary-absent",
        "9111 4.1",
        "required",
        "A response with Vary is not reused for a request without the field.",
        (
            Step(fields=(ENGLISH,), reply=Reply(fields=(MINUTE, VARY))),
            Step(reply=Reply(fields=(MINUTE, VARY)), expect=(from_origin, content_of(2))),
        ),
    ),
    not_kept("vary-star", "9111 4.1", "Vary: * never matches.", MINUTE, ("Vary", "*")),
    Check(
        "vary-both",
        "9111 4.1",
        "allowed",
        "Two variants of a response are stored side by side.",
        (
            Step(fields=(ENGLISH,), reply=Reply(fields=(MINUTE, VARY))),
            Step(fields=(GERMAN,), reply=Reply(fields=(MINUTE, VARY))),
            Step(fields=(ENGLISH,), expect=(may(from_store(1)),)),
            Step(fields=(GERMAN,), expect=(may(from_store(2)),)),
        ),
    ),
)

STALE = (
    Check(
        "stale-while-revalidate",
        "5861 3",
        "allowed",
        "A stale response is served during its validation, within stale-while-revalidate.",
        (
            Step(reply=Reply(fields=(("Cache-Control", "max-age=1, stale-while-revalidate=60"), ("ETag", '"1"')))),
            Step(
                wait_s=PASSED_S,
                reply=Reply(fields=(MINUTE, ("ETag", '"2"'))),
                expect=(may(from_store(1)), may(in_background)),
            ),
            Step(wait_s=1, expect=(may(from_store(2)),)),
        ),
    ),
    passed(
        "stale-while-passed",
        "5861 3",
        "A stale response is not served after stale-while-revalidate.",
        ("Cache-Control", "max-age=1, stale-while-revalidate=1"),
        more_s=1.0,
    ),
    Check(
        "stale-if-error",
        "5861 4",
        "allowed",
        "A stale response is served instead of an error, within stale-if-error.",
        (
            Step(reply=Reply(fields=(("Cache-Control", "max-age=1, stale-if-error=60"),))),
            Step(wait_s=PASSED_S, reply=Reply(status=503), expect=(may(status(200)), content_of(1))),
        ),
    ),
    Check(
        "disconnected",
        "9111 4.2.4",
        "allowed",
        "A stale response is served when the origin cannot be reached.",
        (
            Step(reply=Reply(fields=(SHORT,))),
            Step(wait_s=PASSED_S, reply=Reply(drop=True), expect=(may(status(200)), content_of(1))),
        ),
    ),
    *(
        Check(
            f"disconnected-{name}",
            section,
            "required",
            f"{name}: a stale response is not served, even when the origin cannot be reached.",
            (
                Step(reply=Reply(fields=(("Cache-Control", directives),))),
                Step(wait_s=PASSED_S, reply=Reply(drop=True), expect=(status(500, 502, 503, 504),)),
            ),
        )
        for name, section, directives in (
            ("must-revalidate", "9111 5.2.2.2", "max-age=1, must-revalidate"),
            ("proxy-revalidate", "9111 5.2.2.8", "max-age=1, proxy-revalidate"),
            ("s-maxage", "9111 5.2.2.10", "s-maxage=1"),
        )
    ),
)

ASKED_FOR = (
    preferred("request-no-cache", "9111 5.2.1.4", "no-cache in a request is obeyed.", "no-cache"),
    preferred("request-max-age", "9111 5.2.1.1", "max-age in a request is obeyed.", "max-age=1"),
    preferred("request-min-fresh", "9111 5.2.1.3", "min-fresh in a request is obeyed.", "min-fresh=3600"),
    Check(
        "request-no-store",
        "9111 5.2.1.5",
        "allowed",
        "The response to a request with no-store is not stored.",
        (
            Step(fields=(("Cache-Control", "no-store"),), reply=Reply(fields=(MINUTE,))),
            Step(reply=Reply(fields=(MINUTE,)), expect=(may(from_origin), of_origin)),
            Step(expect=(may(from_store(2)),)),
        ),
    ),
    Check(
        "only-if-cached",
        "9111 5.2.1.7",
        "allowed",
        "only-if-cached gets 504 if no response is stored.",
        (Step(fields=(("Cache-Control", "only-if-cached"),), expect=(may(not_forwarded), may(status(504)))),),
    ),
    Check(
        "cache-status",
        "9211 2",
        "allowed",
        "A reused response is reported in Cache-Status.",
        (
            Step(reply=Reply(fields=(MINUTE,))),
            Step(expect=(may(from_store(1)), may(answer_has("Cache-Status", r"; *hit\b")))),
        ),
    ),
    Check(
        "collapsed",
        "9111 4",
        "allowed",
        "Concurrent requests for a response that is not stored are collapsed into one.",
        (Step(copies=3, reply=Reply(fields=(MINUTE,), delay_s=1.0), expect=(may(asked_once),)),),
    ),
)

CHECKS = (*LIFETIMES, *VARYING, *STALE, *ASKED_FOR)
