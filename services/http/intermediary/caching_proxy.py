"""Caching proxy: carries out the decisions of services/http/cache with a store and connections (RFC 9111).

    proxy = CachingProxy(settings, loop, log, time.time, Store(), Policy(b"lab7"))     # b"lab7": name in Cache-Status

A hit is sent at once. A stale hit within stale-while-revalidate is also sent at once, and starts a validation in the
background (RFC 5861 section 3). Concurrent misses of one URI are collapsed into a single forwarded request. The
docstring of services/http/intermediary describes the path of a request through the modules.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lab7.services.eventlog import EventLog
from lab7.services.http.cache.decisions import Forward, Policy, ResponseActions, Serve, Unsatisfiable
from lab7.services.http.cache.lookup import decide
from lab7.services.http.cache.response import handle_failure, handle_response
from lab7.services.http.cache.reuse import cache_status_forward, mark_collapsed
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.errors import UpstreamError
from lab7.services.http.fields import Fields
from lab7.services.http.intermediary.cache_fill import CacheFill
from lab7.services.http.intermediary.forwarding import (
    ConcatenatedBody,
    Route,
    build_response,
    normal_route,
    parse_content_length,
)
from lab7.services.http.intermediary.pool import OnInterim
from lab7.services.http.intermediary.proxy import Proxy, RoutedRequest
from lab7.services.http.intermediary.settings import Settings
from lab7.services.http.messages import HTTP_1_1, Body, Request, Response, StreamedBody, Version
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.server.context import EventualResponse, LazyResponse
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.inbound import Inbound
from lab7.services.http.storage.limits import HELD_CONTENT_OCTETS
from lab7.services.http.storage.store import Store

# Number of invalidated cache keys that are kept. Beyond it all are dropped, and any response to a request sent before
# counts as outdated.
INVALIDATIONS_MAX = 4096


@dataclass(slots=True)
class Outcome:
    """Result of a forwarded request, after the store has been updated as the response requires.

    forward   the decision to forward that was carried out last
    received  the effects of the response on the store and the client (ResponseActions)
    content   the content of `received.response`, for the client whose request was forwarded
    fill      the cache fill, if the content is stored while it arrives
    version   the HTTP version of the origin's response
    served    the response to the client, if it was built from a stored response that was then removed as outdated
    """

    forward: Forward
    received: ResponseActions
    content: bytes | StreamedBody
    fill: CacheFill | None = None
    version: Version = HTTP_1_1
    served: Response | None = None

    def discard(self) -> None:
        """Close the response and its content, when no client uses the outcome."""
        if not isinstance(self.content, bytes):
            self.content.close()
        if self.served is not None and not isinstance(self.served.body, bytes):
            self.served.body.close()


class CollapsedRequest:
    """Collapsed request: one forwarded request whose response several clients wait for (RFC 9111 section 4).

    A cache may collapse concurrent requests for one URI: if the response to the forwarded request is stored, it
    satisfies every request that permits its reuse. The exchange runs as its own task, so that the first client can
    disconnect without failing the others. `outcome` is None until the response arrives, and an UpstreamError if there
    is no usable response.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, unregister: Callable[["CollapsedRequest"], None], is_background: bool
    ) -> None:
        """Create a collapsed request whose outcome is not known yet.

        `unregister` is called when no further client may join. `is_background` is set for a validation that continues
        even if no client waits for it.
        """
        self.outcome: Outcome | UpstreamError | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_background = is_background
        self._loop = loop
        self._unregister = unregister
        self._waiting: list[asyncio.Future[Outcome | UpstreamError]] = []
        self._is_abandoned = False

    @property
    def is_wanted(self) -> bool:
        """True while at least one client waits for the outcome of this collapsed request."""
        return bool(self._waiting)

    @property
    def fill(self) -> CacheFill | None:
        """The cache fill, once a response has arrived and is being stored; None otherwise."""
        return self.outcome.fill if isinstance(self.outcome, Outcome) else None

    async def join(self) -> Outcome | UpstreamError:
        """Wait for the outcome and return it.

        If the last waiting client is cancelled, cancel the request unless `is_background`.
        """
        future: asyncio.Future[Outcome | UpstreamError] = self._loop.create_future()
        if self.outcome is not None:
            future.set_result(self.outcome)
        self._waiting.append(future)
        try:
            return await future
        finally:
            self._waiting.remove(future)
            if self.outcome is None or (self.fill is not None and not self.fill.is_over):
                # Look for remaining clients in the event loop's next iteration: by then all have their readers.
                self._loop.call_soon(self._check)

    def finish(self, outcome: Outcome | UpstreamError) -> None:
        """Set the outcome for all clients that wait for it now or join later."""
        self.outcome = outcome
        for future in self._waiting:
            if not future.done():
                future.set_result(outcome)
        if self.is_background or self._is_abandoned:
            self._discard()

    def cancel(self) -> None:
        """Cancel all clients that wait for the outcome."""
        for future in self._waiting:
            future.cancel()

    def abandon(self) -> None:
        """Close the response content meant for the client that started the request, after that client has disconnected.

        Content that is not read would pause the transfer to all other clients.
        """
        self._is_abandoned = True
        self._discard()

    def _discard(self) -> None:
        if isinstance(self.outcome, Outcome):
            self.outcome.discard()

    def _check(self) -> None:
        if self._waiting:
            return
        if self.fill is not None:
            self.fill.check()
        elif self.outcome is None and not self.is_background and self.task is not None:
            self._unregister(self)
            self.task.cancel()


# Maximum number of encoded responses kept for reuse; a response is valid while its Age stays the same (one second).
READY_RESPONSES = 1024
# Maximum content of an encoded response kept for reuse: a larger response is encoded for each request.
READY_OCTETS = 16_384
# Maximum number of attempts for one request, each changed as the last response requires (ResponseActions.retry).
ATTEMPTS = 3
# Seconds for which requests for a URI are not collapsed after an unshareable response: Varnish's hit-for-miss.
UNSHARED_S = 120.0
UNSHARED_URIS = 4096


class Invalidations:
    """Record of the last invalidation of each cache key, in the order of their number `count`.

    The response to a request that was sent before an invalidation may be outdated (RFC 9111 section 4.4): it is not
    stored if is_outdated() returns True for the `count` at which the request was sent.
    """

    def __init__(self) -> None:
        self.count = 0
        self._dropped_at = 0
        self._noted: dict[bytes, int] = {}

    def note(self, key: bytes) -> None:
        """Record that all responses stored under `key` have been invalidated."""
        if len(self._noted) >= INVALIDATIONS_MAX:
            self._noted.clear()
            self._dropped_at = self.count
        self.count += 1
        self._noted[key] = self.count

    def is_outdated(self, key: bytes, begun: int) -> bool:
        """Return whether the response to a request may be outdated: `key` has been invalidated in the meantime.

        `begun` is the value of `count` at the time when the request was sent.
        """
        return begun < self._dropped_at or begun < self._noted.get(key, 0)


class CachingProxy(Proxy):
    """Proxy with a cache: reuses stored responses, and stores responses to forwarded requests (RFC 9111)."""

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
        self._ready_responses: dict[str, tuple[Serve, Response]] = {}
        self._collapsed_requests: dict[bytes, CollapsedRequest] = {}
        self._unshared: dict[bytes, float] = {}
        self._invalidations = Invalidations()

    def respond(self, routed: RoutedRequest, inbound: Inbound) -> EventualResponse:
        """Return the response to a request: a Response for a hit, else a coroutine that forwards the request."""
        decision = self._respond_or_forward(routed)
        if isinstance(decision, Response):
            return decision
        return LazyResponse(self._fetch, routed, decision, self._store.find(routed.key), inbound)

    def route(self, request: Request) -> Route:
        """Return the route of a request (origin, Host, target), normalised so that its URI equals the cache key."""
        return normal_route(super().route(request))

    def key(self, request: Request, destination: Route) -> bytes:
        """Return the cache key of a request: the URI of its normalised route."""
        del request
        return b"http://%b%b" % (destination.authority, destination.request_target)

    def _respond_or_forward(self, routed: RoutedRequest) -> Response | Forward:
        """Return the response to a request that needs no forwarding, else the decision to forward it (Forward)."""
        decision = self._decide(routed)
        while isinstance(decision, Serve):
            response = self._from_storage(routed.request.method, decision)
            if response is not None:
                return self._hit(routed, decision, response)
            # The stored content was damaged and has been removed: decide again without it.
            decision = self._decide(routed)
        return self._gateway_timeout(decision) if isinstance(decision, Unsatisfiable) else decision

    async def close(self) -> None:
        """Cancel all collapsed requests, and close the connections to origins and the store."""
        for collapsed in list(self._collapsed_requests.values()):
            if collapsed.task is not None:
                collapsed.task.cancel()
        await super().close()
        await asyncio.sleep(0)
        self._store.close()

    def status(self) -> dict[str, object]:
        """Return the counters of proxy and store, for the JSON resource under the status path."""
        stored = self._store.statistics
        return super().status() | {
            "entries": stored.entries,
            "memory_octets": stored.memory_octets,
            "disk_octets": stored.disk_octets,
            "evictions": stored.evictions,
        }

    # Responses from storage.

    def _decide(self, routed: RoutedRequest, *arriving: StoredResponse) -> Serve | Forward | Unsatisfiable:
        stored = (*arriving, *self._store.find(routed.key)) if arriving else self._store.find(routed.key)
        return decide(routed.request, routed.key, stored, self._wall_clock(), self._policy)

    def _hit(self, routed: RoutedRequest, serve: Serve, response: Response) -> Response:
        self.metrics.hits += 1
        if serve.is_stale:
            self.metrics.stale_hits += 1
        if serve.revalidate is not None and routed.key not in self._collapsed_requests:
            self._start_collapsed(routed, serve.revalidate, None, is_background=True)
        return response

    def _from_storage(self, method: bytes, serve: Serve) -> Response | None:
        """Build the response for a decision to serve a stored response.

        Returns None if the store has removed the content meanwhile.
        """
        ready = self._ready_responses.get(serve.stored.name)
        if ready is not None and ready[0] is serve:
            self._store.touch(serve.stored)
            return ready[1]
        body = self._content_of(serve)
        if body is None:
            return None
        response = build_response(method, serve.response, body, self.settings.name, serve.stored.response.version)
        if isinstance(body, bytes) and len(body) <= READY_OCTETS and method == b"GET":
            if len(self._ready_responses) >= READY_RESPONSES:
                self._ready_responses.clear()
            self._ready_responses[serve.stored.name] = serve, response
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

    def _gateway_timeout(self, decision: Unsatisfiable) -> Response:
        page = page_response(504, "No stored response can be used, and the request has only-if-cached.")
        fields = Fields((*page.fields.lines, *decision.response.fields.lines))
        return Response(504, fields, page.body)

    # Forwarding.

    async def _fetch(
        self, routed: RoutedRequest, forward: Forward, stored: tuple[StoredResponse, ...], inbound: Inbound
    ) -> Response:
        """Forward a request and return the response.

        Concurrent requests for the same URI are collapsed into one if possible. `stored` are the responses that were
        stored when the cache decided to forward; if others are stored now, it decides again.
        """
        if self._store.find(routed.key) != stored:
            # Another response has been stored since the decision: decide again.
            decision = self._respond_or_forward(routed)
            if isinstance(decision, Response):
                return decision
            forward = decision
        if not forward.may_collapse or inbound.content is not None or self._is_unshared(routed.key):
            try:
                outcome = await self._exchange(routed, forward, inbound.content, self.interim_to(inbound))
            except UpstreamError as error:
                return self._failed(routed, forward, error)
            return self._relay(routed, outcome)
        collapsed = self._collapsed_requests.get(routed.key)
        if collapsed is None:
            return await self._forward_collapsed(routed, forward, inbound)
        return await self._join_collapsed(collapsed, routed, forward, inbound)

    async def _forward_collapsed(self, routed: RoutedRequest, forward: Forward, inbound: Inbound) -> Response:
        collapsed = self._start_collapsed(routed, forward, self.interim_to(inbound))
        try:
            outcome = await collapsed.join()
        except asyncio.CancelledError:
            collapsed.abandon()
            raise
        if isinstance(outcome, UpstreamError):
            return self._failed(routed, forward, outcome)
        return self._relay(routed, outcome)

    async def _join_collapsed(
        self, collapsed: CollapsedRequest, routed: RoutedRequest, forward: Forward, inbound: Inbound
    ) -> Response:
        """Wait for the response to a collapsed request; reuse it if the cache permits, else forward this request."""
        outcome = await collapsed.join()
        if isinstance(outcome, UpstreamError):
            return self._failed(routed, forward, outcome)
        fill = collapsed.fill
        arriving = None if fill is None else fill.joinable
        decision = self._decide(routed) if arriving is None else self._decide(routed, arriving)
        response = None
        if isinstance(decision, Serve):
            if fill is not None and decision.stored is arriving:
                body, version = fill.reader(), decision.stored.response.version
                response = build_response(routed.request.method, decision.response, body, self.settings.name, version)
            else:
                response = self._from_storage(routed.request.method, decision)
        if response is not None:
            self.metrics.collapsed += 1
            return mark_collapsed(response, self._policy, forward)
        if isinstance(decision, Unsatisfiable):
            return self._gateway_timeout(decision)
        self._mark_unshared(routed.key)
        return await self._fetch_alone(routed, decision if isinstance(decision, Forward) else forward, inbound)

    async def _fetch_alone(self, routed: RoutedRequest, forward: Forward, inbound: Inbound) -> Response:
        """Forward a request individually, after the response to the collapsed request did not satisfy it."""
        try:
            outcome = await self._exchange(routed, forward, None, self.interim_to(inbound))
        except UpstreamError as error:
            return self._failed(routed, forward, error)
        return mark_collapsed(self._relay(routed, outcome), self._policy, forward, is_reused=False)

    def _is_unshared(self, key: bytes) -> bool:
        until = self._unshared.get(key)
        return until is not None and self._loop.time() < until

    def _mark_unshared(self, key: bytes) -> None:
        if len(self._unshared) >= UNSHARED_URIS:
            self._unshared.clear()
        self._unshared[key] = self._loop.time() + UNSHARED_S

    # Collapsed requests.

    def _start_collapsed(
        self, routed: RoutedRequest, forward: Forward, on_interim: OnInterim | None, is_background: bool = False
    ) -> CollapsedRequest:
        collapsed = CollapsedRequest(self._loop, partial(self._unregister, routed.key), is_background)
        self._collapsed_requests[routed.key] = collapsed
        collapsed.task = self._loop.create_task(self._run_collapsed(collapsed, routed, forward, on_interim))
        return collapsed

    async def _run_collapsed(
        self, collapsed: CollapsedRequest, routed: RoutedRequest, forward: Forward, on_interim: OnInterim | None
    ) -> None:
        outcome: Outcome | UpstreamError
        try:
            outcome = await self._exchange(routed, forward, None, on_interim, collapsed)
        except UpstreamError as error:
            outcome = error
        except asyncio.CancelledError:
            self._unregister(routed.key, collapsed)
            collapsed.cancel()
            raise
        except Exception as error:
            self._log.write("failed", error=f"{type(error).__name__}: {error}")
            outcome = UpstreamError(500, "internal error of the proxy")
        collapsed.finish(outcome)
        fill = collapsed.fill
        if fill is None or fill.is_over:
            self._unregister(routed.key, collapsed)
        else:
            fill.on_over = partial(self._unregister, routed.key, collapsed)

    def _unregister(self, key: bytes, collapsed: CollapsedRequest) -> None:
        if self._collapsed_requests.get(key) is collapsed:
            del self._collapsed_requests[key]

    # Exchanges with the origin.

    async def _exchange(
        self,
        routed: RoutedRequest,
        forward: Forward,
        content: BodyStream | None,
        on_interim: OnInterim | None,
        collapsed: CollapsedRequest | None = None,
    ) -> Outcome:
        """Forward a request, update the store as the response requires, and return the response in an Outcome.

        Raises UpstreamError.
        """
        for _ in range(ATTEMPTS):
            self._count(forward)
            begun = self._invalidations.count
            request_time = self._wall_clock()
            response = await self.exchange(routed, forward.request, content, on_interim)
            now = self._wall_clock()
            if response.status == 304 and forward.validating:
                self.metrics.not_modified += 1
            stored = self._store.find(routed.key)
            received = handle_response(routed.key, forward, response, request_time, now, stored, self._policy)
            arrival = response.body
            if not isinstance(arrival, BodyStream):
                raise TypeError("an origin's content is a BodyStream")
            # The response's own invalidation comes after this: POST may be stored in place of what it invalidates.
            may_store = not self._invalidations.is_outdated(routed.key, begun)
            self._apply_updates(received)
            outcome = Outcome(forward, received, arrival, version=response.version)
            self._remove_outdated(routed, outcome)
            if received.retry is None and (
                received.serve is not None or self._store_content(outcome, arrival, collapsed, may_store)
            ):
                return outcome
            arrival.close()
            forward = received.retry or Forward(forward.original, forward.original, forward.reason)
        raise UpstreamError(502, "the origin's partial responses are inconsistent")

    def _count(self, forward: Forward) -> None:
        if forward.validating:
            self.metrics.revalidations += 1
        else:
            self.metrics.misses += 1

    def _apply_updates(self, received: ResponseActions) -> None:
        for key in received.invalidates:
            self._store.remove_uri(key)
            self._invalidations.note(key)
            # A later request must not wait for a response that may be outdated.
            self._collapsed_requests.pop(key, None)
        for old, new in received.updates:
            self._store.replace(old, new)

    def _remove_outdated(self, routed: RoutedRequest, outcome: Outcome) -> None:
        """Remove outdated responses from the store.

        If the client is to get one of them, build the client's response first.
        """
        received = outcome.received
        if received.serve is not None and received.removals:
            outcome.served = self._from_storage(routed.request.method, received.serve)
        for stored in received.removals:
            self._store.remove(stored)

    def _store_content(
        self, outcome: Outcome, arrival: BodyStream, collapsed: CollapsedRequest | None, may_store: bool
    ) -> bool:
        """Start storing the arriving content, if `may_store`, while it is relayed to the client.

        Returns False if the response cannot be relayed: it is to be combined with stored content that has been removed.
        """
        received = outcome.received
        if received.store is None or not (may_store or received.relays_pieces):
            return True
        source: StreamedBody = arrival
        remaining = arrival.remaining_octets
        if received.pieces:
            pieces = self._pieces(outcome, arrival)
            if pieces is None:
                return not received.relays_pieces
            source = pieces
        elif remaining is not None and remaining <= HELD_CONTENT_OCTETS and not arrival.trailers:
            # Small content that has arrived with its head, the usual case, needs no cache fill.
            outcome.content = content = arrival.read_all()
            self._store.put(received.store, content)
            return True
        length = parse_content_length(received.response) if source is arrival else source.size_octets
        writer = self._store.begin(received.store, length or 0) if may_store else None
        if writer is not None and not writer.is_open and source is arrival:
            # The store rejects the content: relay the content without a cache fill.
            return True
        is_background = collapsed is not None and collapsed.is_background
        fill = CacheFill(source, writer, lambda: collapsed is not None and collapsed.is_wanted, is_background)
        if not received.pieces or received.relays_pieces:
            outcome.content, outcome.fill = fill.reader(), fill
        fill.start()
        return True

    def _pieces(self, outcome: Outcome, arrival: BodyStream) -> ConcatenatedBody | None:
        """Concatenate pieces of stored and arriving content into one body; None if a stored piece has been removed."""
        received = outcome.received
        bodies: list[Body | StreamedBody] = []
        for piece in received.pieces:
            if piece.stored is None:
                bodies.append(arrival if received.relays_pieces else self._duplicate(outcome, arrival))
                continue
            body = self._store.open(piece.stored, piece.span.first, piece.span.last)
            if body is None:
                return None
            bodies.append(body)
        return ConcatenatedBody(bodies)

    def _duplicate(self, outcome: Outcome, arrival: BodyStream) -> StreamedBody:
        """Duplicate the arriving content for two readers: one copy becomes outcome.content, the other is returned."""
        both = CacheFill(arrival, None)
        outcome.content = both.reader()
        branch = both.reader()
        self._loop.call_soon(both.start)
        return branch

    # Responses to clients.

    def _relay(self, routed: RoutedRequest, outcome: Outcome) -> Response:
        """Build the response for the client whose request was forwarded, from the outcome of the exchange."""
        serve = outcome.received.serve
        if serve is None:
            head = outcome.received.response
            return build_response(routed.request.method, head, outcome.content, self.settings.name, outcome.version)
        response, outcome.served = outcome.served, None
        outcome.discard()
        response = response or self._from_storage(routed.request.method, serve)
        if response is None:
            return self.failure(routed, UpstreamError(502, "the stored response has been removed"))
        return response

    def _failed(self, routed: RoutedRequest, forward: Forward, error: UpstreamError) -> Response:
        """Return the response after a failed exchange: a stale stored response if permitted, else an error page."""
        serve = handle_failure(routed.key, forward, self._wall_clock(), self._policy)
        if serve is not None:
            response = self._from_storage(routed.request.method, serve)
            if response is not None:
                self.metrics.stale_hits += serve.is_stale
                return response
        # RFC 9111 section 5.2.2.2: 504 if a stale response is stored and its reuse is prohibited.
        page = self.failure(routed, error if forward.fallback is None else UpstreamError(504, error.detail))
        line = cache_status_forward(self._policy, routed.key, forward)
        return Response(page.status, page.fields.adding(line), page.body)
