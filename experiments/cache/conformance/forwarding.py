"""Conformance checks of forwarding by an HTTP cache: hop-by-hop fields (RFC 9110 7.6), framing (RFC 9112 6.3)."""

from __future__ import annotations

from lab7.experiments.cache.conformance.expectations import (
    answer_framed_once,
    answer_lacks,
    content,
    framed_once,
    not_forwarded,
    of_origin,
    origin_has,
    origin_lacks,
    origin_not_asked_for,
    status,
    unless_error,
)
from lab7.experiments.cache.conformance.scenario import Check, Reply, Step

HEAD = "{{method}} {target} HTTP/1.1\r\nHost: {host}\r\nLab-Step: 1\r\n"
POST, GET = (HEAD.replace("{{method}}", method) for method in ("POST", "GET"))
OK = "HTTP/1.1 200 OK\r\nDate: {now}\r\nCache-Control: no-store\r\n"

CHECKS = (
    Check(
        "via",
        "9110 7.6.3",
        "required",
        "The cache adds itself to Via in forwarded requests.",
        (Step(expect=(origin_has("Via", r"\b1\.1 \S"), of_origin)),),
    ),
    Check(
        "connection-of-request",
        "9110 7.6.1",
        "required",
        "The cache removes the fields that Connection lists from requests.",
        (
            Step(
                fields=(("Connection", "Lab-Private"), ("Lab-Private", "1")),
                expect=(origin_lacks("Lab-Private"), of_origin),
            ),
        ),
    ),
    Check(
        "connection-of-response",
        "9110 7.6.1",
        "required",
        "The cache removes the fields that Connection lists from responses.",
        (
            Step(
                reply=Reply(fields=(("Connection", "Lab-Private"), ("Lab-Private", "1"))),
                expect=(of_origin, answer_lacks("Lab-Private"), answer_lacks("Connection", "(?i)lab-private")),
            ),
        ),
    ),
    Check(
        "two-framings-of-request",
        "9112 6.3",
        "required",
        "A request with Transfer-Encoding and Content-Length is rejected, or forwarded with one framing (no "
        "request smuggling).",
        (
            Step(
                method="POST",
                octets=POST + "Content-Length: 90\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                "GET {target}/smuggled HTTP/1.1\r\nHost: {host}\r\nLab-Step: 1\r\n\r\n",
                expect=(framed_once, origin_not_asked_for("/smuggled")),
            ),
        ),
    ),
    Check(
        "two-lengths-of-request",
        "9112 6.3",
        "required",
        "A request with two different Content-Length values is rejected with 400.",
        (
            Step(
                method="POST",
                octets=POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
                expect=(not_forwarded, status(400)),
            ),
        ),
    ),
    Check(
        "space-before-colon",
        "9112 5.1",
        "required",
        "A request with white space between field name and colon is rejected with 400.",
        (Step(octets=GET + "Lab-Word : 1\r\n\r\n", expect=(not_forwarded, status(400))),),
    ),
    Check(
        "two-lengths-of-response",
        "9112 6.3",
        "required",
        "A response with two different Content-Length values is replaced with 502.",
        (
            Step(
                reply=Reply(octets=OK + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n123456"),
                expect=(status(502),),
            ),
        ),
    ),
    Check(
        "two-framings-of-response",
        "9112 6.3",
        "required",
        "A response with Transfer-Encoding and Content-Length is forwarded with one framing, by its chunks, "
        "or replaced with an error.",
        (
            Step(
                reply=Reply(
                    octets=OK + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"
                ),
                expect=(answer_framed_once, unless_error(content(b"12345"))),
            ),
        ),
    ),
    Check(
        "chunks",
        "9112 7.1",
        "required",
        "Chunked content is forwarded complete, and chunk extensions are ignored.",
        (
            Step(
                reply=Reply(octets=OK + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n"),
                expect=(content(b"abcdefg"),),
            ),
        ),
    ),
)
