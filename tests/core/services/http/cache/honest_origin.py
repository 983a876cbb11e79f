"""Correct origin server with all kinds of validators, which records its responses.

Each octet that it sends identifies its representation: the content is derived from a digest of
(path, variant, version), so a mixture of two differs from all contents that it sent.

    /s  strong entity tag and Last-Modified        /v  chosen by X-V's first octet, strong entity tags
    /w  weak entity tag, whose octets may change   /a  chosen by Accept-Language's, likewise
    /l  Last-Modified alone                        /n  no validator
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import count

from lab7.services.http.fields import FieldLine, Fields, format_date
from lab7.services.http.messages import Request
from tests.core.services.http.cache import oracle

PATHS = (b"/s", b"/w", b"/l", b"/n", b"/v", b"/a")
CHOOSING = {b"/v": b"x-v", b"/a": b"accept-language"}
HOST = b"http://o.test"
FOREIGN_TAG = b'"foreign"'
BODILESS = {204, 304}


@dataclass(frozen=True)
class Mood:
    """Behaviour of the origin for one request. `outcome`: answer, fail (no response) or cut (truncated content)."""

    status: int = 200
    cache_control: bytes | None = b"max-age=10"
    targeted: bytes | None = None
    expires: bytes | int | None = None
    date: bytes | int | None = 0
    age: bytes | None = None
    more: tuple[FieldLine, ...] = ()
    validates: bool = True
    ranges: bool = True
    foreign_tag: bool = False
    outcome: str = "answer"
    delay_s: float = 0.0


@dataclass(frozen=True)
class Said:
    """One response: `whole` is the complete content, `content` the part that was sent."""

    status: int
    fields: Fields
    content: bytes
    whole: bytes


@dataclass
class Resource:
    version: int = 0
    minor: int = 0
    changed: float = 0.0


class Origin:
    """Changing resources, and a record of all contents sent: content -> (path, variant, entity tag)."""

    def __init__(self, now: float) -> None:
        self.resources = {path: Resource(changed=now - 100_000) for path in PATHS}
        self.sent: dict[bytes, tuple[bytes, bytes, bytes | None]] = {}
        self._count = count(1)

    def change(self, path: bytes, now: float, minor: bool = False) -> None:
        resource = self.resources[path]
        if minor and path == b"/w":
            resource.minor += 1
        else:
            resource.version += 1
        resource.changed = now

    def tag(self, path: bytes, variant: bytes, version: int) -> bytes | None:
        if path in (b"/l", b"/n"):
            return None
        return (b"W/" if path == b"/w" else b"") + b'"%b%b%d"' % (path[1:], variant, version)

    def variant(self, path: bytes, request: Request) -> bytes:
        """Return the variant that a request selects: the first octet of the nominated field."""
        name = CHOOSING.get(path)
        return b"" if name is None else (request.fields.get(name) or b"").strip()[:1].lower()

    def current(self, path: bytes, request: Request) -> bytes:
        """Return the content of the current representation."""
        resource, variant = self.resources[path], self.variant(path, request)
        text = _octets(b"%b %b %d %d" % (path, variant, resource.version, resource.minor))
        self.sent[text] = (path, variant, self.tag(path, variant, resource.version))
        return text

    def answer(self, request: Request, mood: Mood, now: float) -> Said | None:
        """Respond to a request of the cache; None for a failure."""
        if mood.outcome == "fail":
            return None
        path = request.request_target
        if request.method not in oracle.SAFE and mood.status < 400:
            self.change(path, now)
        status, lines, whole = self._content(request, path, mood, now)
        more = tuple((name, path if value == b"self" else value) for name, value in mood.more)
        lines += (*self._freshness(mood, now), *more, (b"X-Seq", b"%d" % next(self._count)))
        if status not in BODILESS:
            lines += ((b"Content-Length", b"%d" % len(whole)),)
        if request.method == b"HEAD" or status in BODILESS:
            whole = b""
        sent = whole[: len(whole) // 2] if mood.outcome == "cut" else whole
        return Said(status, Fields(lines), sent, whole)

    def _content(
        self, request: Request, path: bytes, mood: Mood, now: float
    ) -> tuple[int, tuple[FieldLine, ...], bytes]:
        located = any(name == b"Content-Location" for name, _ in mood.more) and request.method == b"POST"
        if mood.status != 200 or not (request.method in (b"GET", b"HEAD") or located):
            number = next(self._count)
            text = b"" if mood.status in BODILESS else _octets(b"act %d" % number)
            self.sent[text] = (path, b"act", None)
            return mood.status, (), text
        text = self.current(path, request)
        lines = self._validators(path, request)
        status = 200 if located else self._status(request, path, mood, now)
        if status == 304 and mood.foreign_tag:
            lines = ((b"ETag", FOREIGN_TAG),)
        if status == 200 and mood.ranges and request.method == b"GET" and self._range_applies(request, path):
            return _ranged(request, lines, text)
        return status, lines, text

    def _validators(self, path: bytes, request: Request) -> tuple[FieldLine, ...]:
        resource = self.resources[path]
        lines: tuple[FieldLine, ...] = ()
        if (tag := self.tag(path, self.variant(path, request), resource.version)) is not None:
            lines += ((b"ETag", tag),)
        if path in (b"/s", b"/l"):
            lines += ((b"Last-Modified", format_date(int(resource.changed))),)
        if path in CHOOSING:
            lines += ((b"Vary", CHOOSING[path]),)
        return lines

    def _status(self, request: Request, path: bytes, mood: Mood, now: float) -> int:
        """Evaluate preconditions (RFC 9110 section 13.2.2)."""
        if mood.foreign_tag and request.fields.has_any((b"if-none-match", b"if-modified-since")):
            return 304
        fields = Fields(self._validators(path, request))
        tag, modified = fields.get(b"etag"), oracle.http_date(fields.get(b"last-modified"))
        match, none_match = request.fields.get(b"if-match"), request.fields.get(b"if-none-match")
        if match is not None and match != b"*" and (tag is None or tag not in _tags(match, strong=True)):
            return 412
        if not mood.validates:
            return 200
        if none_match is not None:
            alike = none_match == b"*" or (tag is not None and tag.removeprefix(b"W/") in _tags(none_match))
            return 304 if alike else 200
        since = oracle.http_date(request.fields.get(b"if-modified-since"))
        # A client's date counts only where the resource cannot have changed within that very second.
        if since is None or modified is None or since < modified or int(now) == modified:
            return 200
        return 304

    def _range_applies(self, request: Request, path: bytes) -> bool:
        value = request.fields.get(b"if-range")
        if value is None:
            return True
        tag = self.tag(path, self.variant(path, request), self.resources[path].version)
        return not value.startswith(b"W/") and value == tag

    def _freshness(self, mood: Mood, now: float) -> tuple[FieldLine, ...]:
        def written(value: bytes | int | None) -> bytes | None:
            return format_date(int(now) + value) if isinstance(value, int) else value

        found = (
            (b"Cache-Control", mood.cache_control),
            (b"CDN-Cache-Control", mood.targeted),
            (b"Expires", written(mood.expires)),
            (b"Date", written(mood.date)),
            (b"Age", mood.age),
        )
        return tuple((name, value) for name, value in found if value is not None)


def _ranged(request: Request, lines: tuple[FieldLine, ...], text: bytes) -> tuple[int, tuple[FieldLine, ...], bytes]:
    spans = wanted(request.fields.get(b"range"), len(text))
    if spans is None:
        return 200, lines, text
    if not spans:
        return 416, ((b"Content-Range", b"bytes */%d" % len(text)),), b"unsatisfiable"
    # RFC 9110 section 15.3.7.2: a server may send one of several ranges, or all; this one sends the first.
    first, last = spans[0]
    return 206, (*lines, (b"Content-Range", b"bytes %d-%d/%d" % (first, last, len(text)))), text[first : last + 1]


def wanted(value: bytes | None, size: int) -> list[tuple[int, int]] | None:
    """Parse a Range field for content of `size` octets; None where it is invalid, or not in bytes."""
    if value is None or not value.startswith(b"bytes="):
        return None
    spans = []
    for piece in value[6:].split(b","):
        first, dash, last = piece.strip().partition(b"-")
        if not dash or not (first + last).isdigit() or (first and last and int(last) < int(first)):
            return None
        if not first:
            spans.append((max(0, size - int(last)), size - 1 if int(last) else -1))
        else:
            spans.append((int(first), min(int(last), size - 1) if last else size - 1))
    return [(first, last) for first, last in spans if first <= last]


def _tags(value: bytes, strong: bool = False) -> list[bytes]:
    tags = [tag.strip() for tag in value.split(b",")]
    return tags if strong else [tag.removeprefix(b"W/") for tag in tags]


def _octets(name: bytes) -> bytes:
    digest = hashlib.sha256(name).hexdigest().encode()
    return digest[: 24 + digest[0] % 8]
