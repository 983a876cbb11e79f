"""Caching proxy: carries out the decisions of services/http/cache with a store and connections (RFC 9111).

    proxy = CachingProxy(settings, loop, log, time.time, Store(), Policy(b"lab7"))

A hit is sent at once, a stale one within stale-while-revalidate as well, followed by a background validation (RFC 5861
section 3). Concurrent misses of one URI are collapsed into a single forwarded request (collapsed_request.py). The path
of a request through these modules is described in __init__.py.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from services.eventlog import EventLog
from services.http.cache.cache_status import forward_line, mark_collapsed
from services.http.cache.decisions import Forward, Policy, ResponseActions, Serve, Unsatisfiable
from services.http.cache.lookup import decide
from services.http.cache.response import handle_failure, handle_response
from services.http.cache.stored import StoredResponse
from services.http.fields import Fields
from services.http.intermediary.cache_fill import Fill
from services.http.intermediary.collapsed_request import Flight, Outcome
from services.http.intermediary.proxy import Answer, Asked, Proxy
from services.http.intermediary.responses import Pieces, answer, length_of
from services.http.intermediary.settings import Settings
from services.http.intermediary.upstream_connection import OnInterim, UpstreamError
from services.http.messages import Body, Response, StreamedBody
from services.http.server.body_stream import BodyStream
from services.http.server.error_pages import page_response
from services.http.server.inbound import Inbound
from services.http.server.lazy import LazyResponse
from services.http.storage.store import Store

# Cache of complete responses, valid for the second in which Age does not change: a maximum number, and a maximum size
# of content, so that its memory is small beside the store's.
READY_ANSWERS = 1024
READY_OCTETS = 16_384
# Limit of retries in another form (ResponseActions.retry) for one request.
ATTEMPTS = 3
# Requests for a URI whose response could not be shared are not collapsed for this time: Varnish's hit-for-miss.
UNSHARED_S = 120.0
UNSHARED_URIS = 4096


class CachingProxy(Proxy):
    """A proxy that reuses stored responses."""

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        log: EventLog,
        wall_clock: Callable[[], float],
        store: Store,
        policy: Policy,
    ) -> None:
        super().__init__(settings, loop, log, wall_clock)
        self._store = store
        self._policy = policy
        self._ready: dict[str, tuple[Serve, Response]] = {}
        self._flights: dict[bytes, Flight] = {}
        self._unshared: dict[bytes, float] = {}

    def respond(self, asked: Asked, inbound: Inbound) -> Answer:
        """Return the response to a request: a Response for a hit, else a coroutine that forwards it."""
        decision = self._settled(asked)
        if isinstance(decision, Response):
            return decision
        return LazyResponse(self._fetch, asked, decision, self._store.find(asked.key), inbound)

    def _settled(self, asked: Asked) -> Response | Forward:
        """Return the response to a request that needs no forwarding, or the Forward."""
        decision = self._decide(asked)
        while isinstance(decision, Serve):
            response = self._from_storage(asked.request.method, decision)
            if response is not None:
                return self._hit(asked, decision, response)
            # The content was damaged and has been removed: decide again.
            decision = self._decide(asked)
        return self._unsatisfied(decision) if isinstance(decision, Unsatisfiable) else decision

    async def close(self) -> None:
        """Cancel collapsed requests, close connections and the store."""
        for flight in list(self._flights.values()):
            if flight.task is not None:
                flight.task.cancel()
        await super().close()
        await asyncio.sleep(0)
        self._store.close()

    def status(self) -> dict[str, object]:
        """Return the metrics served under the status path."""
        stored = self._store.statistics
        return super().status() | {
            "entries": stored.entries,
            "memory_octets": stored.memory_octets,
            "disk_octets": stored.disk_octets,
            "evictions": stored.evictions,
        }

    # From storage.

    def _decide(self, asked: Asked, *arriving: StoredResponse) -> Serve | Forward | Unsatisfiable:
        stored = (*arriving, *self._store.find(asked.key)) if arriving else self._store.find(asked.key)
        return decide(asked.request, asked.key, stored, self._wall_clock(), self._policy)

    def _hit(self, asked: Asked, serve: Serve, response: Response) -> Response:
        self.counts.hits += 1
        if serve.is_stale:
            self.counts.stale_hits += 1
        if serve.revalidate is not None and asked.key not in self._flights:
            self._launch(asked, serve.revalidate, None, is_background=True)
        return response

    def _from_storage(self, method: bytes, serve: Serve) -> Response | None:
        """Return the response for a Serve; None where the content is no longer stored."""
        ready = self._ready.get(serve.stored.name)
        if ready is not None and ready[0] is serve:
            self._store.touch(serve.stored)
            return ready[1]
        body = self._content_of(serve)
        if body is None:
            return None
        response = answer(method, serve.response, body, self.settings.name, serve.stored.response.version)
        if isinstance(body, bytes) and len(body) <= READY_OCTETS and method == b"GET":
            if len(self._ready) >= READY_ANSWERS:
                self._ready.clear()
            self._ready[serve.stored.name] = serve, response
        return response

    def _content_of(self, serve: Serve) -> bytes | Body | None:
        if serve.segments == ():
            return b""
        held = self._store.held(serve.stored, serve.segments)
        if held is not None:
            return held
        if serve.segments is None:
            return self._store.open(serve.stored)
        return self._store.open_segments(serve.stored, serve.segments)

    def _unsatisfied(self, decision: Unsatisfiable) -> Response:
        page = page_response(504, "only-if-cached: no stored response can be used.")
        fields = Fields((*page.fields.lines, *decision.response.fields.lines))
        return Response(504, fields, page.body)

    # Forwarding.

    async def _fetch(
        self, asked: Asked, forward: Forward, stored: tuple[StoredResponse, ...], inbound: Inbound
    ) -> Response:
        """Forward a request that `stored`, the responses stored at the decision, do not satisfy."""
        if self._store.find(asked.key) != stored:
            # Another response has been stored since the decision: decide again.
            decision = self._settled(asked)
            if isinstance(decision, Response):
                return decision
            forward = decision
        if not forward.may_collapse or inbound.content is not None or self._is_unshared(asked.key):
            try:
                outcome = await self._exchange(asked, forward, inbound.content, self.interim_to(inbound))
            except UpstreamError as error:
                return self._failed(asked, forward, error)
            return self._relay(asked, outcome)
        flight = self._flights.get(asked.key)
        if flight is None:
            return await self._lead(asked, forward, inbound)
        return await self._follow(flight, asked, forward, inbound)

    async def _lead(self, asked: Asked, forward: Forward, inbound: Inbound) -> Response:
        flight = self._launch(asked, forward, self.interim_to(inbound))
        try:
            outcome = await flight.join()
        except asyncio.CancelledError:
            # This client disconnected, others may still wait: its unread content must not pause the source.
            flight.outcome.add_done_callback(_drop)
            raise
        if isinstance(outcome, UpstreamError):
            return self._failed(asked, forward, outcome)
        return self._relay(asked, outcome)

    async def _follow(self, flight: Flight, asked: Asked, forward: Forward, inbound: Inbound) -> Response:
        """Wait for the response to a collapsed request, and reuse it where the cache decides so."""
        outcome = await flight.join()
        if isinstance(outcome, UpstreamError):
            return self._failed(asked, forward, outcome)
        fill = flight.fill
        arriving = None if fill is None else fill.joined
        decision = self._decide(asked) if arriving is None else self._decide(asked, arriving)
        response = None
        if isinstance(decision, Serve):
            if fill is not None and decision.stored is arriving:
                body, version = fill.reader(), decision.stored.response.version
                response = answer(asked.request.method, decision.response, body, self.settings.name, version)
            else:
                response = self._from_storage(asked.request.method, decision)
        if response is not None:
            self.counts.collapsed += 1
            return mark_collapsed(response, self._policy, forward)
        if isinstance(decision, Unsatisfiable):
            return self._unsatisfied(decision)
        self._note_unshared(asked.key)
        return await self._fetch_alone(asked, decision if isinstance(decision, Forward) else forward, inbound)

    async def _fetch_alone(self, asked: Asked, forward: Forward, inbound: Inbound) -> Response:
        """Forward a request that the response to the collapsed request did not satisfy."""
        try:
            outcome = await self._exchange(asked, forward, None, self.interim_to(inbound))
        except UpstreamError as error:
            return self._failed(asked, forward, error)
        return mark_collapsed(self._relay(asked, outcome), self._policy, forward, is_reused=False)

    def _is_unshared(self, key: bytes) -> bool:
        until = self._unshared.get(key)
        return until is not None and self._loop.time() < until

    def _note_unshared(self, key: bytes) -> None:
        if len(self._unshared) >= UNSHARED_URIS:
            self._unshared.clear()
        self._unshared[key] = self._loop.time() + UNSHARED_S

    # Collapsed requests.

    def _launch(
        self, asked: Asked, forward: Forward, on_interim: OnInterim | None, is_background: bool = False
    ) -> Flight:
        flight = Flight(self._loop, partial(self._land, asked.key), is_background)
        self._flights[asked.key] = flight
        flight.task = self._loop.create_task(self._fly(flight, asked, forward, on_interim))
        return flight

    async def _fly(self, flight: Flight, asked: Asked, forward: Forward, on_interim: OnInterim | None) -> None:
        outcome: Outcome | UpstreamError
        try:
            outcome = await self._exchange(asked, forward, None, on_interim, flight)
        except UpstreamError as error:
            outcome = error
        except asyncio.CancelledError:
            self._land(asked.key, flight)
            flight.outcome.cancel()
            raise
        except Exception as error:
            self._log.write("failed", error=f"{type(error).__name__}: {error}")
            outcome = UpstreamError(500, "internal error of the proxy")
        flight.outcome.set_result(outcome)
        if isinstance(outcome, Outcome) and flight.is_background:
            outcome.drop()
        fill = flight.fill
        if fill is None or fill.is_over:
            self._land(asked.key, flight)
        else:
            fill.on_over = partial(self._land, asked.key, flight)

    def _land(self, key: bytes, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    # An exchange with the origin, and its effects on the store.

    async def _exchange(
        self,
        asked: Asked,
        forward: Forward,
        content: BodyStream | None,
        on_interim: OnInterim | None,
        flight: Flight | None = None,
    ) -> Outcome:
        """Forward a request and apply the effects of its response to the store; raises UpstreamError."""
        for _ in range(ATTEMPTS):
            self._count(forward)
            request_time = self._wall_clock()
            response = await self.exchange(asked, forward.request, content, on_interim)
            now = self._wall_clock()
            if response.status == 304 and forward.validating:
                self.counts.not_modified += 1
            stored = self._store.find(asked.key)
            received = handle_response(asked.key, forward, response, request_time, now, stored, self._policy)
            arrival = response.body
            if not isinstance(arrival, BodyStream):
                raise TypeError("an origin's content is a BodyStream")
            self._update(received)
            outcome = Outcome(forward, received, arrival, version=response.version)
            self._remove(asked, outcome)
            if received.retry is None and (received.serve is not None or self._keep(outcome, arrival, flight)):
                return outcome
            arrival.close()
            forward = received.retry or Forward(forward.original, forward.original, forward.reason)
        raise UpstreamError(502, "the origin's responses are inconsistent")

    def _count(self, forward: Forward) -> None:
        if forward.validating:
            self.counts.revalidations += 1
        else:
            self.counts.misses += 1

    def _update(self, received: ResponseActions) -> None:
        for key in received.invalidates:
            self._store.remove_uri(key)
            flight = self._flights.pop(key, None)
            if flight is not None:
                flight.is_revoked = True
        for old, new in received.updates:
            self._store.replace(old, new)

    def _remove(self, asked: Asked, outcome: Outcome) -> None:
        """Remove outdated responses; this request's own response is built first, if it comes from one of them."""
        received = outcome.received
        if received.serve is not None and received.removals:
            outcome.served = self._from_storage(asked.request.method, received.serve)
        for stored in received.removals:
            self._store.remove(stored)

    def _keep(self, outcome: Outcome, arrival: BodyStream, flight: Flight | None) -> bool:
        """Start storing the content while it is relayed; return False where a stored piece that it needs is gone."""
        received = outcome.received
        is_revoked = flight is not None and flight.is_revoked
        if received.store is None or (is_revoked and not received.relays_pieces):
            return True
        source: StreamedBody = arrival
        if received.pieces:
            pieces = self._pieces(outcome, arrival)
            if pieces is None:
                return not received.relays_pieces
            source = pieces
        length = length_of(received.response) if source is arrival else source.size_octets
        writer = None if is_revoked else self._store.begin(received.store, length or 0)
        if writer is not None and not writer.is_open and source is arrival:
            # The store rejects the content: relay it without a fill.
            return True
        is_background = flight is not None and flight.is_background
        fill = Fill(source, writer, lambda: flight is not None and flight.is_wanted, is_background)
        if not received.pieces or received.relays_pieces:
            outcome.content, outcome.fill = fill.reader(), fill
        fill.start()
        return True

    def _pieces(self, outcome: Outcome, arrival: BodyStream) -> Pieces | None:
        """Concatenate stored and arriving content; return None where a stored piece is gone."""
        received = outcome.received
        bodies: list[Body | StreamedBody] = []
        for piece in received.pieces:
            if piece.stored is None:
                bodies.append(arrival if received.relays_pieces else self._branch(outcome, arrival))
                continue
            body = self._store.open(piece.stored, piece.span.first, piece.span.last)
            if body is None:
                return None
            bodies.append(body)
        return Pieces(bodies)

    def _branch(self, outcome: Outcome, arrival: BodyStream) -> StreamedBody:
        """Duplicate the arriving content: one copy for the client, one to return."""
        both = Fill(arrival, None)
        outcome.content = both.reader()
        branch = both.reader()
        self._loop.call_soon(both.start)
        return branch

    # Responses to clients.

    def _relay(self, asked: Asked, outcome: Outcome) -> Response:
        """Return the response for the client whose request was forwarded."""
        serve = outcome.received.serve
        if serve is None:
            head = outcome.received.response
            return answer(asked.request.method, head, outcome.content, self.settings.name, outcome.version)
        response, outcome.served = outcome.served, None
        outcome.drop()
        response = response or self._from_storage(asked.request.method, serve)
        if response is None:
            return self.failure(asked, UpstreamError(502, "the stored response was removed meanwhile"))
        return response

    def _failed(self, asked: Asked, forward: Forward, error: UpstreamError) -> Response:
        """Return a stale stored response, or an error page, after a failed exchange."""
        serve = handle_failure(asked.key, forward, self._wall_clock(), self._policy)
        if serve is not None:
            response = self._from_storage(asked.request.method, serve)
            if response is not None:
                self.counts.stale_hits += serve.is_stale
                return response
        # RFC 9111 section 5.2.2.2: 504 where a stale response is stored and its reuse is prohibited.
        page = self.failure(asked, error if forward.fallback is None else UpstreamError(504, error.detail))
        line = forward_line(self._policy, asked.key, forward)
        return Response(page.status, page.fields.adding(line), page.body)


def _drop(outcome: "asyncio.Future[Outcome | UpstreamError]") -> None:
    """Close the content for a client that has disconnected."""
    if not outcome.cancelled() and isinstance(result := outcome.result(), Outcome):
        result.drop()
