"""HTTP/2 client connection on asyncio: concurrent requests and pushed responses, with their times.

    async with connect(connector, link.origin, push=False) as connection:     # connector: see connector.py
        fetched = await connection.fetch(links)     # links: parsed URLs, such as `link`; a Fetched for each

The client's preface, its SETTINGS and the first requests are sent in one write, so that HTTP/2 costs no additional
round trip (RFC 9113 section 3.4).
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lab7.services.http.errors import HTTPError
from lab7.services.http.http2.client_connection import (
    DataReceived,
    Event,
    Http2ClientConnection,
    PushPromised,
    ResponseReceived,
    StreamEnded,
    StreamLost,
)
from lab7.services.http.http2.header_lists import HTTP_2
from lab7.services.http.messages import Request
from lab7.services.http.page_load.connector import (
    Connector,
    Fetched,
    IncomingResponse,
    LoadError,
    NetworkStream,
    Sink,
    page_request,
)
from lab7.services.http.page_load.timing import ObjectReport
from lab7.services.http.urls import Link, Origin
from lab7.services.tls import HTTP_2 as ALPN_HTTP_2


@asynccontextmanager
async def connect(connector: Connector, origin: Origin, push: bool) -> AsyncIterator["Http2Connection"]:
    """Open an HTTP/2 connection for an `async with` block; raises LoadError, also if ALPN does not select HTTP/2."""
    async with connector.open(origin, ALPN_HTTP_2) as stream:
        if origin.scheme == "https" and stream.protocol != ALPN_HTTP_2:
            raise LoadError(f"{origin.host} port {origin.port} does not support HTTP/2 over TLS")
        core = Http2ClientConnection(push)
        core.start()
        connection = Http2Connection(stream, core)
        try:
            yield connection
        finally:
            connection.send_goaway()


@dataclass(slots=True)
class _Exchange:
    """One request or server push on a stream: its response so far, and its times."""

    incoming: IncomingResponse
    request_s: float
    pushed: bool
    first_byte_s: float | None = None
    end_s: float = 0.0
    is_complete: bool = False


class Http2Connection:
    """HTTP/2 connection to an origin, with concurrent requests."""

    def __init__(self, stream: NetworkStream, core: Http2ClientConnection) -> None:
        self._stream = stream
        self._connector = stream.connector
        self._core = core
        self._exchanges: dict[int, _Exchange] = {}
        self._promised: dict[bytes, int] = {}
        self._lost: dict[int, StreamLost] = {}

    @property
    def is_open(self) -> bool:
        """True if a further request may be sent on this connection."""
        return self._core.is_open

    def start_upgraded(self, octets: bytes, request_s: float, sink: Sink | None) -> None:
        """Start in HTTP/2 after 101: `octets` follow the 101, and stream 1 is the request with Upgrade."""
        self._exchanges[1] = _Exchange(IncomingResponse(sink), request_s, pushed=False)
        self._stream.write(self._core.data_to_send())
        if octets:
            self._receive(octets)

    def send_goaway(self) -> None:
        """Send GOAWAY (RFC 9113 section 6.8)."""
        self._core.close()
        self._stream.write(self._core.data_to_send())

    async def fetch(self, links: Sequence[Link], sink: Sink | None = None) -> list[Fetched | None]:
        """Request all links that the server has not promised to push, and return the responses in the order of `links`.

        For a request that the server has not processed, so that it may be retried, the list has None. Content is passed
        to `sink`. Raises LoadError for an incomplete response.
        """
        streams: dict[int, int] = {}
        waiting = list(range(len(links)))
        while True:
            waiting = self._send_requests(links, waiting, streams, sink)
            if not self._is_pending(streams.values()) and not (waiting and self.is_open):
                break
            await self._read(links[next(iter(streams), 0)])
        return [self._result(link, streams.get(index)) for index, link in enumerate(links)]

    async def complete(self, link: Link, stream_id: int) -> Fetched | None:
        """Wait for the response on a stream; return None if the server has not processed the request."""
        while self._is_pending([stream_id]):
            await self._read(link)
        return self._result(link, stream_id)

    def _send_requests(
        self, links: Sequence[Link], waiting: list[int], streams: dict[int, int], sink: Sink | None
    ) -> list[int]:
        """Send requests for links in one write, as many as the server allows; return the indices of the links left."""
        request_s = self._connector.elapsed_s()
        left: list[int] = []
        for index in waiting:
            promised = self._promised.pop(links[index].request_target, None)
            if promised is not None:
                streams[index] = promised
            elif self._core.available_streams:
                request = page_request(links[index], HTTP_2)
                stream_id = self._core.send_request(request, links[index].origin.scheme.encode("ascii"))
                self._exchanges[stream_id] = _Exchange(IncomingResponse(sink), request_s, pushed=False)
                streams[index] = stream_id
            else:
                left.append(index)
        self._stream.write(self._core.data_to_send())
        return left

    def _is_pending(self, stream_ids: Iterable[int]) -> bool:
        return any(not self._exchanges[number].is_complete and number not in self._lost for number in stream_ids)

    async def _read(self, link: Link) -> None:
        data = await self._stream.read(f"no response for {link.url}")
        if data:
            self._receive(data, link)
        else:
            for event in self._core.receive_eof():
                self._handle(event, self._connector.elapsed_s())

    def _receive(self, data: bytes, link: Link | None = None) -> None:
        read_s = self._connector.elapsed_s()
        try:
            events = self._core.receive_data(data)
        except HTTPError as error:
            name = self._stream.origin.host if link is None else link.url
            raise LoadError(f"{name} was not loaded: {error.detail}") from error
        for event in events:
            self._handle(event, read_s)
        # Send the frames that h2 generates by itself: SETTINGS with ACK, WINDOW_UPDATE.
        self._stream.write(self._core.data_to_send())

    def _handle(self, event: Event, read_s: float) -> None:
        if isinstance(event, PushPromised):
            self._promise(event, read_s)
            return
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        if isinstance(event, StreamLost):
            self._lost[event.stream_id] = event
        elif isinstance(event, StreamEnded):
            exchange.is_complete, exchange.end_s = True, read_s
        else:
            self._receive_response(event, exchange, read_s)

    def _receive_response(self, event: ResponseReceived | DataReceived, exchange: _Exchange, read_s: float) -> None:
        if exchange.first_byte_s is None:
            exchange.first_byte_s = read_s
        if isinstance(event, ResponseReceived):
            exchange.incoming.status, exchange.incoming.fields = event.response.status, event.response.fields
            return
        exchange.incoming.add(event.data)
        if exchange.incoming.size_octets > self._connector.limits.object_octets:
            raise LoadError(f"an object is larger than {self._connector.limits.object_octets} octets")

    def _promise(self, event: PushPromised, read_s: float) -> None:
        """Accept a promise of the connection's origin; ignore one for another origin (RFC 9113 section 8.4)."""
        request: Request = event.request
        self._exchanges[event.stream_id] = _Exchange(IncomingResponse(None), read_s, pushed=True)
        if request.method == b"GET" and request.fields.get(b"host") == self._stream.origin.authority:
            self._promised.setdefault(request.request_target, event.stream_id)

    def _result(self, link: Link, stream_id: int | None) -> Fetched | None:
        if stream_id is None:
            return None
        exchange, lost = self._exchanges.pop(stream_id), self._lost.get(stream_id)
        if lost is not None:
            if lost.may_retry and exchange.first_byte_s is None:
                return None
            raise LoadError(f"{link.url} was not loaded: {lost.detail}")
        received, incoming = self._core.received_sizes, exchange.incoming
        request_sizes = received.promised if exchange.pushed else self._core.sent_sizes.by_stream
        report = ObjectReport(
            link.url,
            incoming.status,
            incoming.size_octets,
            incoming.digest.hexdigest(),
            exchange.request_s,
            exchange.end_s if exchange.first_byte_s is None else exchange.first_byte_s,
            exchange.end_s,
            self._stream.number,
            request_header_size_bytes=request_sizes.get(stream_id, 0),
            response_header_size_bytes=received.by_stream.get(stream_id, 0),
            pushed=exchange.pushed,
        )
        return Fetched(link, report, incoming.fields)
