"""Minimal cache for tests: the decisions, a dictionary as store, and a list of responses as origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Forward, Policy, ResponseActions, Serve
from lab7.services.http.cache.keys import same_key
from lab7.services.http.cache.lookup import decide
from lab7.services.http.cache.response import handle_failure, handle_response, storable
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.fields import Fields, format_date
from lab7.services.http.messages import Request, Response
from lab7.services.http.ranges import Span

NOW = 1_800_000_000.0
URI = b"http://www.example/a"
DATE = format_date(int(NOW))


def date(offset_s: int) -> str:
    """Format the HTTP-date that many seconds after NOW."""
    return format_date(int(NOW) + offset_s).decode()


def fields(*lines: str) -> Fields:
    """Parse lines of "Name: value" into Fields."""
    parts = (line.partition(":") for line in lines)
    return Fields(tuple((name.encode("latin-1"), value.strip(" ").encode("latin-1")) for name, _, value in parts))


def get(*lines: str, method: bytes = b"GET") -> Request:
    return Request(method, b"/a", fields("Host: www.example", *lines))


def ok(*lines: str, status: int = 200, dated: bool = True) -> Response:
    """Return a 200 with a Date of NOW if `dated`."""
    return Response(status, fields(*([f"Date: {date(0)}"] if dated else []), *lines))


def entry(
    *lines: str,
    request: Request | None = None,
    status: int = 200,
    size: int | None = 10,
    name: str = "x",
    policy: Policy = DEFAULT_POLICY,
) -> StoredResponse:
    """Return the stored response for a response at NOW; fails where nothing is stored."""
    stored = storable(request or get(), URI, ok(*lines, status=status), NOW, NOW, policy)
    assert stored is not None, "not stored"
    return replace(stored, size_octets=size, name=name)


def is_stored(
    *lines: str, request: Request | None = None, status: int = 200, policy: Policy = DEFAULT_POLICY, uri: bytes = URI
) -> bool:
    return storable(request or get(), uri, ok(*lines, status=status), NOW, NOW, policy) is not None


def outcome(decision: object) -> str:
    """Summarise a decision: fresh, stale, stale+revalidate, the forward reason, or 504."""
    if isinstance(decision, Serve):
        return ("stale" if decision.is_stale else "fresh") + ("+revalidate" if decision.revalidate else "")
    return decision.reason.decode() if isinstance(decision, Forward) else "504"


def decided(
    request: Request, *stored: StoredResponse, after: float = 0.0, policy: Policy = DEFAULT_POLICY
) -> Serve | Forward:
    """Return the decision `after` seconds after NOW; fails for a 504."""
    decision = decide(request, URI, stored, NOW + after, policy)
    assert isinstance(decision, Serve | Forward), decision
    return decision


def forwarded(
    request: Request, *stored: StoredResponse, after: float = 0.0, policy: Policy = DEFAULT_POLICY
) -> Forward:
    decision = decided(request, *stored, after=after, policy=policy)
    assert isinstance(decision, Forward), decision
    return decision


def served(request: Request, *stored: StoredResponse, after: float = 0.0, policy: Policy = DEFAULT_POLICY) -> Serve:
    decision = decided(request, *stored, after=after, policy=policy)
    assert isinstance(decision, Serve), decision
    return decision


@dataclass
class Cache:
    """A cache: `ask` returns the client's response, `seen` has the requests that the origin received."""

    policy: Policy = DEFAULT_POLICY
    stored: dict[bytes, list[StoredResponse]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)
    background: list[Forward] = field(default_factory=list)

    def ask(
        self,
        request: Request,
        *answers: tuple[Response, bytes] | None,
        after: float = 0.0,
        uri: bytes = URI,
    ) -> tuple[Response, bytes]:
        """Return head and content for a request; `answers` are the origin's, None for a failure."""
        now = NOW + after
        decision = decide(request, uri, self.stored.get(uri, []), now, self.policy)
        if isinstance(decision, Serve):
            if decision.revalidate is not None:
                self.background.append(decision.revalidate)
            return self._serve(decision)
        if not isinstance(decision, Forward):
            return decision.response, b""
        return self.forward(uri, decision, answers, now)

    def forward(
        self, uri: bytes, forward: Forward, answers: Sequence[tuple[Response, bytes] | None], now: float
    ) -> tuple[Response, bytes]:
        self.seen.append(forward.request)
        assert answers, f"forwarded: {forward.reason.decode()}"
        if answers[0] is None:
            instead = handle_failure(uri, forward, now, self.policy)
            return (Response(504), b"") if instead is None else self._serve(instead)
        response, content = answers[0]
        received = handle_response(uri, forward, response, now, now, self.stored.get(uri, []), self.policy)
        if received.retry is not None:
            return self.forward(uri, received.retry, answers[1:], now)
        return self._carry_out(uri, received, content)

    def _carry_out(self, uri: bytes, received: ResponseActions, arriving: bytes) -> tuple[Response, bytes]:
        for key in received.invalidates:
            self.stored.pop(key, None)
        entries = self.stored.setdefault(uri, [])
        for old, new in received.updates:
            entries[entries.index(old)] = new
        whole = b"".join(
            (arriving if one.stored is None else self.contents[one.stored.name])[one.span.first : one.span.last + 1]
            for one in received.pieces
        )
        content = whole if received.pieces else arriving
        if received.store is not None:
            self._store(entries, received.store, content)
        answer = (received.response, content if received.relays_pieces else arriving)
        if received.serve is not None:
            answer = self._serve(received.serve)
        for one in received.removals:
            entries.remove(one)
        return answer

    def _store(self, entries: list[StoredResponse], stored: StoredResponse, content: bytes) -> None:
        assert stored.span is None or len(stored.span) == len(content)
        name = str(len(self.contents) + 1)
        self.contents[name] = content
        new = replace(stored, size_octets=len(content), name=name)
        entries[:] = [one for one in entries if one.method != new.method or not same_key(one, new)]
        entries.append(new)

    def _serve(self, answer: Serve) -> tuple[Response, bytes]:
        content = self.contents[answer.stored.name]
        if answer.segments is None:
            return answer.response, content
        parts = (one if isinstance(one, bytes) else _cut(content, one) for one in answer.segments)
        return answer.response, b"".join(parts)


def _cut(content: bytes, span: Span) -> bytes:
    assert 0 <= span.first <= span.last < len(content)
    return content[span.first : span.last + 1]
