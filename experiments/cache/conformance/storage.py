"""Conformance checks of storage in a shared cache: directives, status codes, credentials (RFC 9111, RFC 9213)."""

from __future__ import annotations

from lab7.experiments.cache.conformance.expectations import (
    content,
    content_of,
    from_store,
    incomplete,
    may,
    not_content_of,
    of_origin,
    status,
)
from lab7.experiments.cache.conformance.scenario import Check, Reply, Step
from lab7.experiments.cache.conformance.trace import Expectation

MINUTE = ("Cache-Control", "max-age=60")
AUTHORIZED = (("Authorization", "Basic bGFiNzpsYWI3"),)

FIRST_FIVE = ("Range", "bytes=0-4")
IN_PARTS = Reply((MINUTE, ("ETag", '"p"')), body="0123456789abcdefghij", part=(0, 4))


def kept(name: str, section: str, says: str, *fields: tuple[str, str], **reply: int) -> Check:
    """Return a check that a cache reuses a response with these header fields; RFC 9111 permits this reuse."""
    first = Step(reply=Reply(fields=fields, **reply))  # type: ignore[arg-type]
    return Check(name, section, "allowed", says, (first, Step(expect=(may(from_store(1)),))))


def not_kept(name: str, section: str, says: str, *fields: tuple[str, str]) -> Check:
    """Return a check that a cache does not reuse a response with these fields, but sends a request to the origin."""
    return Check(name, section, "required", says, (Step(reply=Reply(fields=fields)), asked()))


def asked(*more: Expectation, wait_s: float = 0.25, **step: str) -> Step:
    """Return a step that expects a request to the origin and then, at the client, the origin's reply."""
    return Step(wait_s=wait_s, expect=(of_origin, *more), **step)  # type: ignore[arg-type]


CHECKS = (
    not_kept(
        "no-store", "9111 5.2.2.5", "A response with no-store is not reused.", ("Cache-Control", "no-store, max-age=60")
    ),
    not_kept(
        "private",
        "9111 5.2.2.7",
        "A response with private is not reused by a shared cache.",
        ("Cache-Control", "private, max-age=60"),
    ),
    Check(
        "authorization",
        "9111 3.5",
        "required",
        "The response to a request with Authorization is not reused without explicit permission.",
        (Step(fields=AUTHORIZED, reply=Reply(fields=(MINUTE,))), asked(content_of(2))),
    ),
    Check(
        "authorization-public",
        "9111 3.5",
        "allowed",
        "The response to a request with Authorization is reused if it has public.",
        (
            Step(fields=AUTHORIZED, reply=Reply(fields=(("Cache-Control", "public, max-age=60"),))),
            Step(expect=(may(from_store(1)),)),
        ),
    ),
    kept(
        "set-cookie",
        "9111 7.3",
        "Set-Cookie does not prevent reuse of a fresh response.",
        MINUTE,
        ("Set-Cookie", "a=b"),
    ),
    kept("not-found", "9111 3", "A 404 with an explicit lifetime is reused.", MINUTE, status=404),
    Check(
        "targeted",
        "9213 2.2",
        "allowed",
        "CDN-Cache-Control overrides Cache-Control in a CDN cache.",
        (
            Step(reply=Reply(fields=(("Cache-Control", "no-store"), ("CDN-Cache-Control", "max-age=60")))),
            Step(expect=(may(from_store(1)),)),
        ),
    ),
    Check(
        "must-understand",
        "9111 5.2.2.3",
        "allowed",
        "no-store is ignored beside must-understand, if the cache understands the status code.",
        (
            Step(reply=Reply(fields=(("Cache-Control", "must-understand, no-store, max-age=60"),))),
            Step(expect=(may(from_store(1)),)),
        ),
    ),
    Check(
        "cut-length",
        "9111 3.3",
        "required",
        "A truncated response is not reused as a complete one (Content-Length).",
        (
            Step(reply=Reply(fields=(MINUTE,), body="first half second half", cut=10), expect=(incomplete,)),
            asked(not_content_of(1), content_of(2)),
        ),
    ),
    Check(
        "cut-chunks",
        "9111 3.3",
        "required",
        "A truncated response is not reused as a complete one (chunked).",
        (
            Step(
                reply=Reply(
                    octets="HTTP/1.1 200 OK\r\nDate: {now}\r\nCache-Control: max-age=60\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
                    body="first half second half",
                ),
                expect=(incomplete,),
            ),
            asked(not_content_of(1), content_of(2)),
        ),
    ),
    Check(
        "part-not-whole",
        "9111 3.3",
        "required",
        "A partial response is not reused for a request without Range.",
        (
            Step(fields=(FIRST_FIVE,), reply=IN_PARTS, expect=(status(200, 206),)),
            Step(reply=IN_PARTS, expect=(status(200), content_of(1))),
        ),
    ),
    Check(
        "part-reused",
        "9111 3.4",
        "allowed",
        "A partial response is reused for the same range.",
        (
            Step(fields=(FIRST_FIVE,), reply=IN_PARTS),
            Step(
                fields=(FIRST_FIVE,), reply=IN_PARTS, expect=(may(from_store(1)), may(status(206)), content(b"01234"))
            ),
        ),
    ),
    Check(
        "range-of-stored",
        "9110 14.2",
        "allowed",
        "A range of a stored complete response is served from the cache.",
        (
            Step(reply=Reply((MINUTE, ("ETag", '"w"'), ("Accept-Ranges", "bytes")), 200, "0123456789")),
            Step(
                fields=(("Range", "bytes=2-5"),),
                reply=Reply((MINUTE, ("ETag", '"w"')), 200, "0123456789"),
                expect=(may(from_store(1)), may(status(206)), content(b"2345")),
            ),
        ),
    ),
)
