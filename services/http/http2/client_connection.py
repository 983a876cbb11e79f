"""HTTP/2 client connection, sans-IO, on the h2 library (RFC 9113).

    client = Http2ClientConnection(push=False)
    client.start()                    # prior knowledge or ALPN; with Upgrade: offer_upgrade()
    stream_id = client.send_request(Request(b"GET", b"/", Fields(((b"Host", b"a"),))), b"http")
    client.data_to_send()             # the preface, SETTINGS, WINDOW_UPDATE and HEADERS, in one piece
    client.receive_data(octets)       # [ResponseReceived(1, Response(...)), DataReceived(1, b"..."), StreamEnded(1)]

RFC 9113 sections 3.3, 3.4, 6.8, 8.4 and 8.7; RFC 7540 section 3.2 (Upgrade). Left out: request content, trailers, and
priorities. The receive windows are large enough that flow control never delays a page load: 16 MiB per stream and 64
MiB for the connection, more than the bandwidth-delay product of 1 Gbit/s and 100 ms. They are replenished at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from lab7.services.http.errors import HTTPError, LocalProtocolError
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.http2.frames import HEADER_OCTETS, KIND_AT, Kind
from lab7.services.http.http2.header_lists import HTTP_2, request_header_list
from lab7.services.http.http2.hpack import HeaderSizes
from lab7.services.http.messages import Request, Response

STREAM_WINDOW = 16 * 1024 * 1024
CONNECTION_WINDOW = 64 * 1024 * 1024
# Concurrent streams assumed until SETTINGS arrive, and limit for pushed streams, from RFC 9113 section 6.5.2.
ASSUMED_STREAMS = 100
HEADER_LIST_OCTETS = 65_536

Setting = h2.settings.SettingCodes


@dataclass(frozen=True, slots=True)
class PushPromised:
    """Event of Http2ClientConnection: PUSH_PROMISE promised the response to `request` on stream `stream_id`."""

    stream_id: int
    request: Request


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """Event of Http2ClientConnection: the head of a final response was received."""

    stream_id: int
    response: Response


@dataclass(frozen=True, slots=True)
class DataReceived:
    """Event of Http2ClientConnection: a piece of a response's content was received."""

    stream_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """Event of Http2ClientConnection: a response is complete."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class StreamLost:
    """Event of Http2ClientConnection: a stream ended without a complete response.

    `may_retry` is True if the server has not processed the request.
    """

    stream_id: int
    may_retry: bool
    detail: str


Event = PushPromised | ResponseReceived | DataReceived | StreamEnded | StreamLost


class Http2ClientConnection:
    """Client's end of an HTTP/2 connection, sans-IO; `push` permits server push."""

    def __init__(self, push: bool) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self._h2 = h2.connection.H2Connection(config)
        self._h2.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                Setting.ENABLE_PUSH: int(push),
                Setting.MAX_CONCURRENT_STREAMS: ASSUMED_STREAMS,
                Setting.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                Setting.MAX_HEADER_LIST_SIZE: HEADER_LIST_OCTETS,
            },
        )
        # RFC 8441 section 3: only a server sends SETTINGS_ENABLE_CONNECT_PROTOCOL, which h2 sets by default.
        del self._h2.local_settings[Setting.ENABLE_CONNECT_PROTOCOL]
        self.sent_sizes = HeaderSizes(with_preface=True)
        self.received_sizes = HeaderSizes()
        self.is_open = True
        self._open_streams: set[int] = set()
        self._knows_settings = False
        self._first_octets = b""

    def start(self) -> None:
        """Buffer the connection preface and SETTINGS, for prior knowledge or after ALPN (RFC 9113 section 3.3)."""
        self._h2.initiate_connection()
        self._widen()

    def offer_upgrade(self) -> bytes:
        """Return the value of HTTP2-Settings for an HTTP/1.1 request with Upgrade (RFC 7540 section 3.2.1).

        data_to_send() then returns the preface and SETTINGS, which must be sent first after a 101.
        """
        value: bytes = self._h2.initiate_upgrade_connection() or b""
        self._widen()
        # RFC 7540 section 3.2: the upgraded request has become stream 1.
        self._open_streams.add(1)
        return value.rstrip(b"=")

    def _widen(self) -> None:
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - self._h2.inbound_flow_control_window)

    @property
    def available_streams(self) -> int:
        """Number of further requests that the server's SETTINGS permit, or ASSUMED_STREAMS before SETTINGS arrive."""
        allowed = self._h2.remote_settings.max_concurrent_streams if self._knows_settings else ASSUMED_STREAMS
        return max(0, int(allowed) - sum(stream_id % 2 for stream_id in self._open_streams)) if self.is_open else 0

    def send_request(self, request: Request, scheme: bytes) -> int:
        """Buffer a request without content for data_to_send(), and return its stream number.

        Raises LocalProtocolError if no stream is available.
        """
        try:
            stream_id = self._h2.get_next_available_stream_id()
            self._h2.send_headers(stream_id, request_header_list(request, scheme), end_stream=True)
        except (h2.exceptions.ProtocolError, h2.exceptions.NoAvailableStreamIDError) as error:
            raise LocalProtocolError(f"no further request can be sent on this connection: {error}") from error
        self._open_streams.add(stream_id)
        return stream_id

    def data_to_send(self) -> bytes:
        """Return the octets to send, and clear the buffer."""
        octets = bytes(self._h2.data_to_send())
        self.sent_sizes.feed(octets)
        return octets

    def close(self) -> None:
        """Buffer GOAWAY for data_to_send() (RFC 9113 section 6.8)."""
        if self.is_open:
            self.is_open = False
            self._h2.close_connection()

    def receive_data(self, data: bytes) -> list[Event]:
        """Process octets from the server and return events; raises HTTPError 502 on a protocol violation."""
        self._check_preface(data)
        try:
            self.received_sizes.feed(data)
            h2_events = self._h2.receive_data(data)
            return [event for h2_event in h2_events for event in self._translate(h2_event)]
        except (h2.exceptions.ProtocolError, ValueError) as error:
            self.is_open = False
            raise HTTPError(502, f"HTTP/2 protocol error of the server: {error or type(error).__name__}") from error

    def _check_preface(self, data: bytes) -> None:
        """Check that the first frame is SETTINGS (RFC 9113 section 3.4); this detects an HTTP/1 server early."""
        if len(self._first_octets) < HEADER_OCTETS:
            self._first_octets += data[: HEADER_OCTETS - len(self._first_octets)]
            if len(self._first_octets) > KIND_AT and self._first_octets[KIND_AT] != Kind.SETTINGS:
                self.is_open = False
                raise HTTPError(502, "the server does not support HTTP/2")

    def receive_eof(self) -> list[Event]:
        """Handle the end of the connection: return StreamLost with `may_retry` for each open stream."""
        self.is_open = False
        return self._lose(list(self._open_streams), may_retry=True, detail="the server closed the connection")

    def _lose(self, stream_ids: Sequence[int], may_retry: bool, detail: str) -> list[Event]:
        self._open_streams.difference_update(stream_ids)
        return [StreamLost(stream_id, may_retry, detail) for stream_id in sorted(stream_ids)]

    def _translate(self, event: h2.events.Event) -> list[Event]:
        if isinstance(event, h2.events.ResponseReceived):
            return [ResponseReceived(event.stream_id or 0, _response(event.headers or []))]
        if isinstance(event, h2.events.DataReceived):
            stream_id = event.stream_id or 0
            self._h2.acknowledge_received_data(event.flow_controlled_length or 0, stream_id)
            return [DataReceived(stream_id, bytes(event.data or b""))]
        if isinstance(event, h2.events.StreamEnded):
            self._open_streams.discard(event.stream_id or 0)
            return [StreamEnded(event.stream_id or 0)]
        if isinstance(event, h2.events.PushedStreamReceived):
            return [self._promised(event)]
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._knows_settings = True
        return self._ending(event)

    def _ending(self, event: h2.events.Event) -> list[Event]:
        if isinstance(event, h2.events.StreamReset):
            refused = event.error_code == h2.errors.ErrorCodes.REFUSED_STREAM
            return self._lose([event.stream_id or 0], refused, f"the server reset the stream ({event.error_code!r})")
        if isinstance(event, h2.events.ConnectionTerminated):
            self.is_open = False
            # RFC 9113 section 6.8: the server has not processed the streams above the last one in GOAWAY.
            last = event.last_stream_id or 0
            unseen = [stream_id for stream_id in self._open_streams if stream_id % 2 and stream_id > last]
            return self._lose(unseen, may_retry=True, detail=f"the server sent GOAWAY ({event.error_code!r})")
        return []

    def _promised(self, event: h2.events.PushedStreamReceived) -> PushPromised:
        stream_id = event.pushed_stream_id or 0
        self._open_streams.add(stream_id)
        pseudo, fields = _split(event.headers or [])
        host = (b"host", pseudo.get(b":authority", b""))
        request = Request(pseudo.get(b":method", b""), pseudo.get(b":path", b""), Fields((host, *fields)), HTTP_2)
        return PushPromised(stream_id, request)


def _split(lines: Sequence[tuple[bytes | str, bytes | str]]) -> tuple[dict[bytes, bytes], list[FieldLine]]:
    octets = [(_octets(name), _octets(value)) for name, value in lines]
    pseudo = {name: value for name, value in octets if name.startswith(b":")}
    return pseudo, [line for line in octets if not line[0].startswith(b":")]


def _octets(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8")


def _response(lines: Sequence[tuple[bytes | str, bytes | str]]) -> Response:
    pseudo, fields = _split(lines)
    return Response(int(pseudo[b":status"]), Fields(tuple(fields)), version=HTTP_2)
