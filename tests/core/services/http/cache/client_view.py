"""Checks of a client's response as seen from outside: content, range, entity tag, preconditions."""

from __future__ import annotations

import re

from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request
from tests.core.services.http.cache import oracle
from tests.core.services.http.cache.honest_origin import FOREIGN_TAG, Origin, wanted
from tests.core.services.http.cache.model_cache import Answer

_BOUNDARY = re.compile(rb'multipart/byteranges; ?boundary="?([^";]+)"?')
_PART = re.compile(rb"(.*?)\r\n\r\n(.*)", re.DOTALL)


def check_answer(origin: Origin, request: Request, answer: Answer) -> None:
    """Raise AssertionError where the response violates RFC 9110 sections 9.3.2, 13, 14 and 15."""
    if not answer.is_whole:
        return
    if request.method == b"HEAD":
        assert answer.content == b""
        _check_length(origin, request, answer)
        return
    if answer.status in (200, 203) and request.method == b"GET":
        _check_whole(origin, request, answer)
    elif answer.status == 206:
        _check_parts(origin, request, answer)
    elif answer.status == 304:
        _check_not_modified(request, answer)
    elif answer.status == 416 and answer.is_stored:
        assert wanted(request.fields.get(b"range"), _complete_length(answer)) == []
    elif answer.status == 412:
        assert request.fields.has_any((b"if-match", b"if-unmodified-since"))


def _check_whole(origin: Origin, request: Request, answer: Answer) -> None:
    assert answer.content in origin.sent, "a content that the origin never sent, or a part that is not marked as one"
    _check_source(origin, request, answer.content, answer.fields.get(b"etag"))
    assert b"content-range" not in answer.fields
    assert answer.fields.get(b"content-length") in (None, b"%d" % len(answer.content))


def _check_source(origin: Origin, request: Request, content: bytes, tag: bytes | None) -> None:
    path, variant, its_tag = origin.sent[content]
    assert path == request.request_target, "another resource's"
    assert tag == its_tag, "an entity tag on the content of another"
    assert variant in (b"act", origin.variant(path, request)), "another variant"


def _check_length(origin: Origin, request: Request, answer: Answer) -> None:
    """Check that Content-Length of a response to HEAD is that of GET (RFC 9110 section 9.3.2)."""
    length, tag = answer.fields.get(b"content-length"), answer.fields.get(b"etag")
    if length is None or answer.status != 200:
        return
    alike = [
        len(text)
        for text, (path, _, its_tag) in origin.sent.items()
        if (path, its_tag) == (request.request_target, tag)
    ]
    assert int(length) in alike


def _check_parts(origin: Origin, request: Request, answer: Answer) -> None:
    assert request.method == b"GET"
    assert b"range" in request.fields
    condition = request.fields.get(b"if-range")
    if condition is not None and condition.endswith(b'"'):
        assert condition == answer.fields.get(b"etag")
        assert not condition.startswith(b"W/")
    boundary = _BOUNDARY.match(answer.fields.get(b"content-type") or b"")
    if boundary is None:
        _check_part(origin, request, answer, answer.fields.get(b"content-range"), answer.content)
        return
    assert b"content-range" not in answer.fields, "RFC 9110 section 15.3.7.2"
    parts = (b"\r\n" + answer.content).split(b"\r\n--" + boundary[1])
    assert parts[-1].strip() == b"--"
    for part in parts[1:-1]:
        match = _PART.match(part)
        assert match is not None
        lines = (line.partition(b":") for line in match[1].split(b"\r\n") if line)
        fields = Fields(tuple((name, value.strip()) for name, _, value in lines))
        _check_part(origin, request, answer, fields.get(b"content-range"), match[2])


def _check_part(origin: Origin, request: Request, answer: Answer, content_range: bytes | None, content: bytes) -> None:
    match = re.fullmatch(rb"bytes (\d+)-(\d+)/(\d+|\*)", content_range or b"")
    assert match is not None
    first, last = int(match[1]), int(match[2])
    key = (request.request_target, origin.variant(request.request_target, request), answer.fields.get(b"etag"))
    wholes = [text for text, source in origin.sent.items() if source == key and text[first : last + 1] == content]
    assert len(content) == last + 1 - first
    assert wholes, "no representation with this tag has these octets there"
    if match[3] != b"*":
        assert int(match[3]) in [len(text) for text in wholes]
        spans = wanted(request.fields.get(b"range"), int(match[3]))
        assert spans is not None
        assert all(any(a <= at <= b for a, b in spans) for at in range(first, last + 1)), "octets nobody asked for"


def _complete_length(answer: Answer) -> int:
    match = re.fullmatch(rb"bytes \*/(\d+)", answer.fields.get(b"content-range") or b"")
    assert match is not None, "RFC 9110 section 14.4"
    return int(match[1])


def _check_not_modified(request: Request, answer: Answer) -> None:
    """Check that a 304 matches the client's precondition (RFC 9110 section 15.4.5)."""
    assert request.method in (b"GET", b"HEAD")
    fields = answer.fields
    none_match, tag = request.fields.get(b"if-none-match"), fields.get(b"etag")
    if tag == FOREIGN_TAG and not answer.is_stored:
        # The origin responded to the client's own precondition.
        assert request.fields.has_any((b"if-none-match", b"if-modified-since"))
        return
    if none_match is not None:
        mine = [one.strip().removeprefix(b"W/") for one in none_match.split(b",")]
        assert none_match == b"*" or tag is None or tag.removeprefix(b"W/") in mine
        return
    since = oracle.http_date(request.fields.get(b"if-modified-since"))
    assert since is not None, "nobody asked for a 304"
    modified = oracle.http_date(fields.get(b"last-modified"))
    assert modified is None or modified <= since
