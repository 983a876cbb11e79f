"""One client connection of HTTP/2 on asyncio: many requests at once, their responses as they come, pushes among them.

    async with connect(session, link.origin, push=False) as connection:
        fetched = await connection.fetch(links)

The client's preface, its SETTINGS and the first requests leave in one write: no round trip goes by for the version
(RFC 9113 section 3.4).
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.http.errors import HTTPError
from services.http.http2.client_connection import (
    DataReceived,
    Event,
    Http2ClientConnection,
    PushPromised,
    ResponseReceived,
    StreamEnded,
    StreamLost,
)
from services.http.http2.header_lists import HTTP_2
from services.http.messages import Request
from services.http.page_load.load import Arriving, Fetched, LoadError, Session, Sink, Wire, page_request
from services.http.page_load.timing import ObjectReport
from services.http.urls import Link, Origin
from services.tls import HTTP_2 as ALPN_HTTP_2


@asynccontextmanager
async def connect(session: Session, origin: Origin, push: bool) -> AsyncIterator["Http2Connection"]:
    """Open a connection for the length of a `with`; raises LoadError, also for a server that agrees to no HTTP/2."""
    async with session.open(origin, ALPN_HTTP_2) as wire:
        if origin.scheme == "https" and wire.protocol != ALPN_HTTP_2:
            raise LoadError(f"{origin.host} port {origin.port} speaks no HTTP/2 over TLS")
        core = Http2ClientConnection(push)
        core.start()
        connection = Http2Connection(wire, core)
        try:
            yield connection
        finally:
            connection.say_goodbye()


@dataclass(slots=True)
class _Under:
    """A stream under way: what it is for, and the response as it comes."""

    arriving: Arriving
    request_s: float
    pushed: bool
    first_byte_s: float | None = None
    end_s: float = 0.0
    is_complete: bool = False


class Http2Connection:
    """A connection to an origin, on which any number of requests are under way at once."""

    def __init__(self, wire: Wire, core: Http2ClientConnection) -> None:
        self._wire = wire
        self._session = wire.session
        self._core = core
        self._under: dict[int, _Under] = {}
        self._promised: dict[bytes, int] = {}
        self._lost: dict[int, StreamLost] = {}

    @property
    def is_open(self) -> bool:
        """Whether a further request may be sent."""
        return self._core.is_open

    def begin_upgraded(self, octets: bytes, request_s: float, sink: Sink | None) -> None:
        """Go on after 101, with the octets behind it; stream 1 is the request that asked for the upgrade."""
        self._under[1] = _Under(Arriving(sink), request_s, pushed=False)
        self._wire.write(self._core.data_to_send())
        if octets:
            self._receive(octets)

    def say_goodbye(self) -> None:
        """Tell the server that this side is done."""
        self._core.close()
        self._wire.write(self._core.data_to_send())

    async def fetch(self, links: Sequence[Link], sink: Sink | None = None) -> list[Fetched | None]:
        """Ask for all links, those the server promised left out, and return their responses in the order of `links`.

        None stands for a link that the server did not look at, which may be asked for again. The content goes to
        `sink`. Raises LoadError for a response that does not come to its end.
        """
        streams: dict[int, int] = {}
        waiting = list(range(len(links)))
        while True:
            waiting = self._ask(links, waiting, streams, sink)
            if not self._awaited(streams.values()) and not (waiting and self.is_open):
                break
            await self._read(links[next(iter(streams), 0)])
        return [self._result(link, streams.get(index)) for index, link in enumerate(links)]

    async def complete(self, link: Link, stream_id: int) -> Fetched | None:
        """Return the response of a stream that is under way."""
        while self._awaited([stream_id]):
            await self._read(link)
        return self._result(link, stream_id)

    def _ask(self, links: Sequence[Link], waiting: list[int], streams: dict[int, int], sink: Sink | None) -> list[int]:
        """Send as many requests as the server takes, in one write; returns the indices of those that have to wait."""
        request_s = self._session.elapsed_s()
        left: list[int] = []
        for index in waiting:
            promised = self._promised.pop(links[index].request_target, None)
            if promised is not None:
                streams[index] = promised
            elif self._core.available_streams:
                request = page_request(links[index], HTTP_2)
                stream_id = self._core.send_request(request, links[index].origin.scheme.encode("ascii"))
                self._under[stream_id] = _Under(Arriving(sink), request_s, pushed=False)
                streams[index] = stream_id
            else:
                left.append(index)
        self._wire.write(self._core.data_to_send())
        return left

    def _awaited(self, stream_ids: Iterable[int]) -> bool:
        return any(not self._under[one].is_complete and one not in self._lost for one in stream_ids)

    async def _read(self, link: Link) -> None:
        data = await self._wire.read(f"nothing came of {link.url}")
        if data:
            self._receive(data, link)
        else:
            for event in self._core.receive_eof():
                self._note(event, self._session.elapsed_s())

    def _receive(self, data: bytes, link: Link | None = None) -> None:
        read_s = self._session.elapsed_s()
        try:
            events = self._core.receive_data(data)
        except HTTPError as error:
            what = self._wire.origin.host if link is None else link.url
            raise LoadError(f"{what} was not loaded: {error.detail}") from error
        for event in events:
            self._note(event, read_s)
        # What h2 has to say by itself: acknowledged SETTINGS, windows.
        self._wire.write(self._core.data_to_send())

    def _note(self, event: Event, read_s: float) -> None:
        if isinstance(event, PushPromised):
            self._promise(event, read_s)
            return
        under = self._under.get(event.stream_id)
        if under is None:
            return
        if isinstance(event, StreamLost):
            self._lost[event.stream_id] = event
        elif isinstance(event, StreamEnded):
            under.is_complete, under.end_s = True, read_s
        else:
            self._take(event, under, read_s)

    def _take(self, event: ResponseReceived | DataReceived, under: _Under, read_s: float) -> None:
        if under.first_byte_s is None:
            under.first_byte_s = read_s
        if isinstance(event, ResponseReceived):
            under.arriving.status, under.arriving.fields = event.response.status, event.response.fields
            return
        under.arriving.take(event.data)
        if under.arriving.size_octets > self._session.bounds.object_octets:
            raise LoadError(f"an object is larger than {self._session.bounds.object_octets} octets")

    def _promise(self, event: PushPromised, read_s: float) -> None:
        """RFC 9113 section 8.4: only what is of this connection's own origin is taken; the rest is not looked at."""
        request: Request = event.request
        self._under[event.stream_id] = _Under(Arriving(None), read_s, pushed=True)
        if request.method == b"GET" and request.fields.get(b"host") == self._wire.origin.authority:
            self._promised.setdefault(request.request_target, event.stream_id)

    def _result(self, link: Link, stream_id: int | None) -> Fetched | None:
        if stream_id is None:
            return None
        under, lost = self._under.pop(stream_id), self._lost.get(stream_id)
        if lost is not None:
            if lost.may_retry and under.first_byte_s is None:
                return None
            raise LoadError(f"{link.url} was not loaded: {lost.detail}")
        received, arriving = self._core.received_sizes, under.arriving
        asked = received.promised if under.pushed else self._core.sent_sizes.by_stream
        report = ObjectReport(
            link.url,
            arriving.status,
            arriving.size_octets,
            arriving.digest.hexdigest(),
            under.request_s,
            under.end_s if under.first_byte_s is None else under.first_byte_s,
            under.end_s,
            self._wire.number,
            request_header_size_bytes=asked.get(stream_id, 0),
            response_header_size_bytes=received.by_stream.get(stream_id, 0),
            pushed=under.pushed,
        )
        return Fetched(link, report, arriving.fields)
