"""Model cache around decide, handle_response and handle_failure, with all checks of the oracle.

Contents are in a dict, and each exchange completes at once. For each StoredResponse there is a Held, made from the
origin's response; all checks use it, none uses the metadata of the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count

from lab7.services.http.cache import keys, lookup
from lab7.services.http.cache import response as cache_response
from lab7.services.http.cache.decisions import Forward, Policy, ResponseActions, Serve, Unsatisfiable
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.fields import Fields, format_date
from lab7.services.http.messages import Request, Response
from lab7.services.http.ranges import Span
from tests.core.services.http.cache import examining, oracle
from tests.core.services.http.cache.honest_origin import HOST, Mood, Origin, Said
from tests.core.services.http.cache.oracle import Held

RETRIES_MOST = 2


@dataclass(frozen=True)
class Answer:
    """A response as the client received it. `is_whole` is False for truncated content."""

    status: int
    fields: Fields
    content: bytes
    is_stored: bool
    is_whole: bool = True


class ModelCache:
    """A cache in memory. `replaces`: a new response replaces those that match the same requests, as in a real store;
    otherwise all stay stored, and decide selects one."""

    def __init__(self, origin: Origin, policy: Policy, replaces: bool = True) -> None:
        self.origin = origin
        self.policy = policy
        self.replaces = replaces
        self.entries: dict[str, tuple[StoredResponse, Held]] = {}
        self.contents: dict[str, bytes] = {}
        self.known: dict[str, Held] = {}
        self.clock = 0.0
        self._count = count(1)

    def stored(self, uri: bytes) -> tuple[StoredResponse, ...]:
        """Return the stored responses of a URI, the newest first."""
        return tuple(stored for stored, _ in reversed(self.entries.values()) if stored.uri == uri)

    def held(self, uri: bytes) -> list[Held]:
        return [held for stored, held in self.entries.values() if stored.uri == uri]

    def ask(self, request: Request, now: float, mood: Mood, later: Mood) -> Answer:
        """Respond to a client; `later` is the origin's behaviour for a background validation."""
        uri = HOST + request.request_target
        decision = lookup.decide(request, uri, self.stored(uri), now, self.policy)
        examining.check_decision(decision, request, self.held(uri), now)
        if isinstance(decision, Unsatisfiable):
            return Answer(decision.response.status, decision.response.fields, b"", is_stored=False)
        if isinstance(decision, Forward):
            return self._forward(request, uri, decision, mood, now)
        self._check_serve(decision, request, uri, now)
        answer = self._answer(decision)
        if decision.revalidate is not None:
            self._revalidate(uri, decision.revalidate, later, now)
        return answer

    def _revalidate(self, uri: bytes, forward: Forward, mood: Mood, now: float) -> None:
        said = self.origin.answer(forward.request, mood, now)
        if said is not None:
            self.clock = now + mood.delay_s
            self._receive(uri, forward, said, now, self.clock)

    def _forward(
        self, request: Request, uri: bytes, forward: Forward, mood: Mood, now: float, retries: int = 0
    ) -> Answer:
        examining.check_forward(forward, request, {name: held for name, (_, held) in self.entries.items()})
        said = self.origin.answer(forward.request, mood, now)
        self.clock = then = now + mood.delay_s
        if said is None:
            serve = cache_response.handle_failure(uri, forward, then, self.policy)
            if serve is None:
                return Answer(504, Fields(), b"", is_stored=False)
            self._check_serve(serve, request, uri, then, failed=True)
            return self._answer(serve)
        before = dict(self.contents)
        received = self._receive(uri, forward, said, now, then)
        if received.retry is not None:
            assert retries < RETRIES_MOST, "it asks again and again"
            return self._forward(request, uri, received.retry, replace(mood, foreign_tag=False), then, retries + 1)
        if received.serve is not None:
            self._check_received_serve(received.serve, request, uri, forward, said, then)
            return self._answer(received.serve)
        content = said.content
        if received.relays_pieces:
            content = joined(received, said.content, before)
        return Answer(received.response.status, received.response.fields, content, False, said.content == said.whole)

    def _receive(self, uri: bytes, forward: Forward, said: Said, sent: float, came: float) -> ResponseActions:
        request = forward.original
        response = Response(said.status, said.fields)
        received = cache_response.handle_response(uri, forward, response, sent, came, self.stored(uri), self.policy)
        if received.retry is not None:
            return received
        examining.check_invalidation(received, request, uri, said.status)
        if request.method not in oracle.SAFE and said.status < 400:
            for held in self.held(uri):
                held.outdated = True
        for stored, _ in list(self.entries.values()):
            if stored.uri in received.invalidates:
                del self.entries[stored.name]
        for old, new in received.updates:
            held = self.entries[old.name][1]
            examining.check_update(held, request, said)
            assert new.name == old.name
            by = request
            if said.status == 206:
                # It was allowed to be stored by its own directives.
                by = replace(request, fields=request.fields.without((b"authorization",)))
            self.known[old.name] = renewed(held, by, said, sent, came)
            self.entries[old.name] = (new, self.known[old.name])
        if (request.method, said.status) == (b"HEAD", 200):
            self._contradict(request, uri, said)
        if received.store is not None:
            self._store(received, request, uri, said, sent, came)
        for removed in received.removals:
            self.entries.pop(removed.name, None)
        return received

    def _contradict(self, request: Request, uri: bytes, said: Said) -> None:
        """Remove stored responses that a HEAD response contradicts (RFC 9111 section 4.3.5)."""
        for held in self.held(uri):
            if held.method == b"GET" and held.status == 200 and oracle.varies_alike(held, request):
                held.outdated |= oracle.contradicted(held, said.fields)

    def _store(
        self, received: ResponseActions, request: Request, uri: bytes, said: Said, sent: float, came: float
    ) -> None:
        store = received.store
        assert store is not None
        fields = oracle.kept(said.fields)
        content, held = said.content, Held(uri, request.method, request.fields, said.status, fields, sent, came)
        if received.pieces:
            content = joined(received, said.content, self.contents)
            held = self._combined(received, store, held, said)
        assert oracle.unstorable(request, uri, said.status, said.fields) == []
        if len(said.content) < len(said.whole):
            shorter = cache_response.truncated(store, len(content))
            if shorter is None:
                return
            store = shorter
        held.span = None if store.span is None else (store.span.first, store.span.last, store.span.complete_length)
        if held.status == 206:
            # RFC 9111 section 3.3: as if it were an incomplete 200.
            held.status = 200
        examining.check_stored(store, held, said, content, bool(received.pieces))
        held.content, name = content, f"{next(self._count)}"
        store = replace(store, name=name, size_octets=len(content))
        if self.replaces:
            gone = [old for old, _ in self.entries.values() if old.uri == uri and old.method == store.method]
            for old in [old for old in gone if keys.same_key(old, store)]:
                del self.entries[old.name]
        self.entries[name] = (store, held)
        self.known[name], self.contents[name] = held, content

    def _combined(self, received: ResponseActions, store: StoredResponse, alone: Held, said: Said) -> Held:
        """Combine a part with stored ones of the same representation (RFC 9111 section 3.4).

        Where all octets are from the new part, its head may stand alone or freshen that of a stored one.
        """
        asked = Request(b"GET", b"", alone.asked)
        bases = [self.known[piece.stored.name] for piece in received.pieces if piece.stored is not None]
        tag = said.fields.get(b"etag")
        others = (
            [] if bases else [held for held in self.held(store.uri) if held.span and held.fields.get(b"etag") == tag]
        )
        options = [renewed(base, asked, said, alone.request_time, alone.response_time) for base in (*bases, *others)]
        for option in options:
            # The new part was allowed to be stored by its own directives.
            option.asked = option.asked.without((b"authorization",))
        if bases:
            return options[0]
        return next((option for option in options if examining.is_head_of(store, option)), alone)

    def _check_serve(self, serve: Serve, request: Request, uri: bytes, now: float, failed: bool = False) -> None:
        held = self.entries[serve.stored.name][1]
        assert oracle.forbidden(held, request, uri, now, failed=failed) == []
        others = [one for one in self.held(uri) if oracle.is_plainly_fresh(one, now)]
        others = [one for one in others if not oracle.forbidden(one, request, uri, now)]
        if not failed:
            examining.check_most_recent(request, held, others)
        examining.check_served(serve, held, request, now)

    def _check_received_serve(
        self, serve: Serve, request: Request, uri: bytes, forward: Forward, said: Said, now: float
    ) -> None:
        held = self.known[serve.stored.name]
        if said.status == 304:
            examining.check_validated(serve, held, request, uri, said)
            return
        assert said.status >= 500, "nothing but a 304 or an error has storage answer"
        disconnected = self.policy.stale_on_error and bool(forward.validating)
        reasons = oracle.forbidden(held, request, uri, now, failed=disconnected, error=said.status)
        assert reasons == []
        examining.check_served(serve, held, request, now)

    def _answer(self, serve: Serve) -> Answer:
        content = self.contents[serve.stored.name]
        if serve.segments is not None:
            content = b"".join(
                content[piece.first : piece.last + 1] if isinstance(piece, Span) else piece for piece in serve.segments
            )
        return Answer(serve.response.status, serve.response.fields, content, is_stored=True)


def renewed(held: Held, request: Request, said: Said, sent: float, came: float) -> Held:
    """Update a stored response from one that validates or completes it (RFC 9111 section 3.2).

    From then on, the new request is the one that caused it to be stored (section 4.1): where Vary changes,
    the origin has selected it for that request.
    """
    fields = said.fields
    if b"date" not in fields:
        # RFC 9110 section 6.6.1
        fields = fields.adding((b"Date", format_date(int(came))))
    # Age is how old the response was that brought it, and an answer that has none is new (section 4.2.3).
    before = replace(held, fields=held.fields.without((b"age",)))
    fields = oracle.kept(oracle.freshened(before, fields))
    new = replace(held, asked=request.fields, fields=fields, request_time=sent, response_time=came, outdated=False)
    # What a GET validated needs no leave of the POST any more.
    new.method = b"GET" if held.method == b"POST" else held.method
    return new


def joined(received: ResponseActions, arrived: bytes, contents: dict[str, bytes]) -> bytes:
    """Concatenate the content of ResponseActions.pieces."""
    found = b""
    for piece in received.pieces:
        source = arrived if piece.stored is None else contents[piece.stored.name]
        found += source[piece.span.first : piece.span.last + 1]
        if len(source) <= piece.span.last:
            # The arriving content is truncated: no further piece follows it.
            break
    return found
