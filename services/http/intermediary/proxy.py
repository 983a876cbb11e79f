"""HTTP proxy without a cache: validates, routes and forwards requests, and streams responses (RFC 9110 section 7).

    proxy = Proxy(Settings(b"lab7"), loop, log, time.time)             # b"lab7": pseudonym in Via
    server = HTTPServer(handler, log, time.time, relay=proxy)          # the relay gets all requests, the handler none

The HTTPServer calls a relay when the head of a request has arrived, and a handler only when the content is complete.
CachingProxy (caching_proxy.py) adds a cache by overriding respond().
"""

import asyncio
import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address

from lab7.services.eventlog import EventLog
from lab7.services.http.cache.keys import cache_key
from lab7.services.http.cache.validation import relayed
from lab7.services.http.errors import HTTPError, UpstreamError
from lab7.services.http.fields import Fields, lower_tokens
from lab7.services.http.http1.codec import content_length
from lab7.services.http.intermediary.forwarding import (
    WEBSOCKET,
    Route,
    authority_origin,
    build_response,
    check_request,
    forwarded_request,
    offers_websocket,
    own_response,
    remaining_forwards,
    route,
    strip_hop_by_hop,
    switching_response,
    takes_trailers,
    websocket_accept,
)
from lab7.services.http.intermediary.pool import OnInterim, Pool
from lab7.services.http.intermediary.settings import Settings, is_connect_permitted
from lab7.services.http.intermediary.tunnel import Tunnel, open_tunnel
from lab7.services.http.messages import HTTP_1_1, Request, Response, split_target
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.server.context import EventualResponse, LazyResponse
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.inbound import Inbound

# Maximum number of requests whose route is cached, as many as the parser caches: clients repeat their heads.
MEMO_REQUESTS = 1024
# Maximum number of fields in a request whose route is cached.
MEMO_FIELDS = 32

# Length of the random octets in Sec-WebSocket-Key (RFC 6455 section 4.1).
KEY_OCTETS = 16


@dataclass(frozen=True, slots=True)
class RoutedRequest:
    """Request that may be forwarded: without hop-by-hop fields, with its route and its cache key.

    `trailers` is True if the client accepts trailer fields, `upgrade` if it offers WebSocket.
    """

    request: Request
    route: Route
    key: bytes
    trailers: bool
    upgrade: bool = False


@dataclass(slots=True)
class Metrics:
    """Counters of a proxy's requests by outcome, which only increase.

    requests        received, including refused ones
    hits            satisfied by a stored response without forwarding
    stale_hits      hits with a stale response (RFC 9111 section 4.2.4, RFC 5861)
    misses          forwarded without a validator
    revalidations   forwarded with a validator, for a client or in the background
    not_modified    revalidations with a 304 from the origin
    collapsed       satisfied by the response to another client's request
    failures        without a usable response from the origin
    refused         by this proxy's own rules
    tunnels         opened by CONNECT or WebSocket
    """

    requests: int = 0
    hits: int = 0
    stale_hits: int = 0
    misses: int = 0
    revalidations: int = 0
    not_modified: int = 0
    collapsed: int = 0
    failures: int = 0
    refused: int = 0
    tunnels: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counters as a dictionary keyed by name."""
        return asdict(self)


def _sent_length(request: Request, content: BodyStream) -> int | None:
    """Return the length in octets with which a request's content is forwarded.

    Returns None if the content is forwarded chunked, with its trailers, if any.
    """
    length = content_length(request.fields)
    # RFC 9112 section 6.1: an origin of HTTP/1.0 does not understand chunked, so that a length that is known is sent.
    return content.size_octets if length is None and not len(content.trailers) else length


class Proxy:
    """Forward or reverse proxy without a cache, called for each request by an HTTPServer.

    The HTTPServer calls it as a relay: as soon as the head of a request has arrived (server/inbound.py).
    """

    def __init__(
        self,
        settings: Settings,
        loop: asyncio.AbstractEventLoop,
        log: EventLog,
        wall_clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.pool = Pool(loop, settings.limits)
        self.client_octets: Callable[[], int] = lambda: 0
        """Octets that the server has sent to clients; set by the program."""
        self.requests_under_way: Callable[[], int] = lambda: 0
        """Number of requests without a complete response; set by the program."""
        self._loop = loop
        self._log = log
        self._wall_clock = wall_clock
        self._memo: dict[Request, RoutedRequest] = {}

    def __call__(self, request: Request, inbound: Inbound) -> EventualResponse:
        """Return the response to a request, or an awaitable of it, after access control and a check of the request."""
        self.metrics.requests += 1
        if self.settings.clients and not self._is_client(inbound):
            return self._refuse(request, inbound, HTTPError(403, "requests from the client's address are forbidden"))
        routed = self._memo.get(request)
        if routed is not None:
            return self._dispatch(routed, inbound)
        try:
            own = self._own_response(request)
            if own is not None:
                return own
            check_request(request, self.settings.name)
            if request.method == b"CONNECT":
                return self._connect(request)
            return self._dispatch(self._route(request), inbound)
        except HTTPError as error:
            return self._refuse(request, inbound, error)

    def _dispatch(self, routed: RoutedRequest, inbound: Inbound) -> EventualResponse:
        return LazyResponse(self._forward, routed, inbound) if routed.upgrade else self.respond(routed, inbound)

    def respond(self, routed: RoutedRequest, inbound: Inbound) -> EventualResponse:
        """Forward a request, and return an awaitable of the response; CachingProxy overrides this method."""
        return LazyResponse(self._forward, routed, inbound)

    def route(self, request: Request) -> Route:
        """Return the route of a request: origin to connect to, Host and request target to send; raises HTTPError."""
        return route(request, self.settings.origin)

    def key(self, request: Request, destination: Route) -> bytes:
        """Return the cache key of a request, its normalised URI."""
        return cache_key(split_target(request.method, request.request_target), destination.authority)

    async def close(self) -> None:
        """Close all connections to origins."""
        self.pool.close()

    def status(self) -> dict[str, object]:
        """Return the counters that the proxy serves as JSON under its status path."""
        numbers: dict[str, object] = dict(self.metrics.as_dict())
        numbers["requests_under_way"] = self.requests_under_way()
        numbers["client_octets"] = self.client_octets()
        numbers["upstream_octets"] = self.pool.received_octets
        numbers["upstream_connections"] = self.pool.connection_count
        return numbers

    # Validation and routing of a request.

    def _is_client(self, inbound: Inbound) -> bool:
        address = ip_address(inbound.peer.rpartition(":")[0].partition("%")[0])
        return any(address in network for network in self.settings.clients)

    def _route(self, request: Request) -> RoutedRequest:
        destination = self.route(request)
        key = self.key(request, destination)
        routed = RoutedRequest(
            strip_hop_by_hop(request), destination, key, takes_trailers(request.fields), offers_websocket(request)
        )
        if len(request.fields) <= MEMO_FIELDS and remaining_forwards(request) is None:
            if len(self._memo) >= MEMO_REQUESTS:
                self._memo.clear()
            self._memo[request] = routed
        return routed

    def _own_response(self, request: Request) -> Response | None:
        """Return the response to a request that the proxy answers itself, such as one for its counters.

        Returns None for others.
        """
        if request.request_target == self.settings.status and request.method in (b"GET", b"HEAD"):
            fields = Fields(((b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")))
            return Response(200, fields, json.dumps(self.status()).encode("ascii") + b"\n")
        # RFC 9110 section 7.6.2
        return own_response(request) if remaining_forwards(request) == 0 else None

    def _refuse(self, request: Request, inbound: Inbound, error: HTTPError) -> Response:
        self.metrics.refused += 1
        self._log.write(
            "refused",
            peer=inbound.peer,
            method=request.method,
            target=request.request_target,
            status=error.status,
            reason=error.detail,
        )
        return page_response(error.status, f"The request cannot be forwarded: {error.detail}.")

    # Forwarding.

    async def _forward(self, routed: RoutedRequest, inbound: Inbound) -> Response:
        request, key = routed.request, None
        if routed.upgrade and request.version > HTTP_1_1:
            # RFC 8441 section 5: the handshake over HTTP/2 has no key, so the proxy itself sends and checks one.
            key = base64.b64encode(secrets.token_bytes(KEY_OCTETS))
            request = replace(request, fields=request.fields.adding((b"Sec-WebSocket-Key", key)))
        try:
            response = await self.exchange(routed, request, inbound.content, self.interim_to(inbound))
        except UpstreamError as error:
            return self.failure(routed, error)
        if isinstance(response.body, Tunnel):
            return self._switched(routed, response, response.body, key)
        if key is not None and 200 <= response.status < 300 and isinstance(response.body, BodyStream):
            # RFC 8441 section 5: to an HTTP/2 client any 2xx would mean that WebSocket has begun.
            response.body.close()
            return self.failure(routed, UpstreamError(502, "the origin does not switch to WebSocket here"))
        head = relayed(response, self._wall_clock())
        return build_response(routed.request.method, head, response.body, self.settings.name, response.version)

    async def exchange(
        self, routed: RoutedRequest, request: Request, content: BodyStream | None, on_interim: OnInterim | None
    ) -> Response:
        """Send `request`, the client's request or a modified one, and return the head of the response as received.

        The body of the response is a BodyStream, or a Tunnel if the status is 101. Raises UpstreamError.
        """
        length = 0 if content is None else _sent_length(request, content)
        sent = forwarded_request(request, routed.route, self.settings.name, length, routed.trailers, routed.upgrade)
        return await self.pool.exchange(routed.route.origin, sent, content, on_interim)

    def failure(self, routed: RoutedRequest, error: UpstreamError) -> Response:
        """Log an exchange with an origin that failed, and return the error page for the client."""
        self.metrics.failures += 1
        self._log.write("failure", uri=routed.key, status=error.status, reason=error.detail)
        return page_response(error.status, f"{error.detail[:1].upper()}{error.detail[1:]}.")

    def interim_to(self, inbound: Inbound) -> OnInterim:
        """Return a callback that forwards interim (1xx) responses to the request's client (RFC 9110 section 15.2)."""

        def pass_on(response: Response) -> None:
            inbound.send_interim(build_response(b"", response, b"", self.settings.name, response.version))

        return pass_on

    # CONNECT and WebSocket.

    def _switched(self, routed: RoutedRequest, response: Response, tunnel: Tunnel, key: bytes | None) -> Response:
        # RFC 9110 section 7.8: a server must not switch to a protocol that was not offered.
        if lower_tokens(response.fields.get(b"upgrade")) != [WEBSOCKET]:
            tunnel.close()
            return self.failure(
                routed, UpstreamError(502, "the origin switched to a protocol that the request did not offer")
            )
        if key is not None and response.fields.get(b"sec-websocket-accept") != websocket_accept(key):
            tunnel.close()
            return self.failure(routed, UpstreamError(502, "the origin's Sec-WebSocket-Accept is not that of the key"))
        self.metrics.tunnels += 1
        return switching_response(response, tunnel, self.settings.name)

    def _connect(self, request: Request) -> EventualResponse:
        if self.settings.origin is not None:
            raise HTTPError(403, "a reverse proxy does not support CONNECT")
        origin = authority_origin(request.request_target)
        if not is_connect_permitted(origin, self.settings.allowed):
            raise HTTPError(403, "CONNECT to this target is forbidden")
        return LazyResponse(
            self._open_tunnel,
            RoutedRequest(request, Route(origin, request.request_target, b"/"), request.request_target, False),
        )

    async def _open_tunnel(self, routed: RoutedRequest) -> Response:
        try:
            tunnel = await open_tunnel(self._loop, routed.route.origin, self.settings.limits)
        except UpstreamError as error:
            return self.failure(routed, error)
        self.metrics.tunnels += 1
        return Response(200, body=tunnel)
