"""HTTP/1 client connection, sans-IO: requests in, octets out; octets in, events out (RFC 9112).

    client = ClientConnection()
    client.send_request(Request(b"GET", b"/", Fields(((b"Host", b"a"),))))   # b"GET / HTTP/1.1\\r\\n..."
    client.receive_data(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")                # [Response(...), EndOfMessage()]

RFC 9112 sections 6.3 (length of a response), 9.2, 9.3.2 (pipelining) and 9.6; connection.py explains the states. Left
out: CONNECT. Upgrade is supported as far as leaving HTTP/1: has_switched and take_rest().
"""

from collections import deque

from services.errors import LimitExceededError
from services.http import limits
from services.http.errors import HTTPError, LocalProtocolError
from services.http.fields import Fields
from services.http.http1.body import BodyEncoder, body_decoder
from services.http.http1.connection import Connection, HalfState, Signal, move
from services.http.http1.framing import request_framing, response_framing
from services.http.http1.head import HEAD_END, format_request_head, parse_response_head
from services.http.messages import NO_FIELDS, Closed, Event, Request, Response


class ClientConnection(Connection):
    """The client's end of a connection, with pipelining (section 9.3.2)."""

    def __init__(self, body_limit_octets: int = limits.RESPONSE_BODY_OCTETS) -> None:
        super().__init__(body_limit_octets)
        self._methods: deque[bytes] = deque()
        self._head_sizes: deque[int] = deque()
        self._encoder = BodyEncoder(0)
        self._ends_after_this = False
        self._offers_upgrade = False
        self.has_switched = False

    @property
    def unanswered(self) -> int:
        """The number of requests without a complete response."""
        return len(self._methods)

    def send_request(self, request: Request, body: bytes = b"") -> bytes:
        """Encode a complete request; Content-Length is added if there is content that no field frames."""
        if not self.persistent or self.unanswered >= limits.PIPELINED_REQUESTS:
            raise LocalProtocolError("no further request may be sent on this connection now")
        if body and not request.fields.has_any((b"content-length", b"transfer-encoding")):
            fields = request.fields.adding((b"Content-Length", b"%d" % len(body)))
            request = Request(request.method, request.request_target, fields, request.version)
        return self.open_request(request) + self.send_data(body) + self.send_end()

    def open_request(self, request: Request) -> bytes:
        """Encode a request's head; send_data() and send_end() add the content, framed by its fields."""
        framing = request_framing(request)
        octets = format_request_head(request)
        self.sending = move(self.sending, Signal.HEAD)
        self._encoder = BodyEncoder(framing.length)
        # RFC 9112 section 9.6: no further request after one with the close option.
        self.persistent = framing.persistent
        self._methods.append(request.method)
        self._offers_upgrade = b"upgrade" in request.fields
        return octets

    @property
    def is_request_sent(self) -> bool:
        """True if the last request is complete."""
        return self.sending is HalfState.IDLE

    def send_data(self, data: bytes) -> bytes:
        """Encode a piece of a request's content."""
        self.sending = move(self.sending, Signal.DATA)
        return self._encoder.encode_data(data)

    def send_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Encode the end of a request; trailers are omitted unless the content is chunked."""
        octets = self._encoder.encode_end(trailers if self._encoder.is_chunked else NO_FIELDS)
        self.sending = move(move(self.sending, Signal.END), Signal.NEXT)
        return octets

    def take_head_size(self) -> int:
        """Return the size of the next response's head, in the order of receive_data()."""
        return self._head_sizes.popleft()

    def take_rest(self) -> bytes:
        """Return the octets after 101, which belong to the new protocol (RFC 9110 section 7.8)."""
        return self._buffer.take(len(self._buffer))

    def receive_data(self, data: bytes) -> list[Event]:
        """Parse octets from the server and return events."""
        if self.receiving in (HalfState.FAILED, HalfState.CLOSED):
            return []
        if fault := self._feed(data):
            return [fault]
        return self._parse(self._step)

    def receive_eof(self) -> list[Event]:
        """Handle the end of the connection: return the end of a message, a Fault, or Closed between messages.

        After Closed, `unanswered` requests get no response.
        """
        self.persistent = False
        if self.receiving is HalfState.BODY:
            return self._parse(self._end_step)
        if self.receiving is HalfState.IDLE and self._buffer:
            return [self._fail(502, "the connection ended inside a response's header section")]
        return [] if self.receiving is HalfState.FAILED else [Closed()]

    def _end_step(self) -> list[Event]:
        if self.receiving is not HalfState.BODY:
            return []
        end = self._decoder.at_eof()
        self.receiving = move(self.receiving, Signal.END)
        self._complete()
        return [end]

    def _step(self) -> list[Event]:
        if self.receiving is HalfState.IDLE:
            return self._head_step()
        events = self._body_step() if self.receiving is HalfState.BODY else []
        if self.receiving is HalfState.DONE:
            self._complete()
        return events

    def _complete(self) -> None:
        self._methods.popleft()
        self.receiving = move(self.receiving, Signal.CLOSE if self._ends_after_this else Signal.NEXT)

    def _head_step(self) -> list[Event]:
        if not self._methods:
            if self._buffer:
                # RFC 9112 section 9.2: input without an outstanding request is not a response.
                raise HTTPError(502, "the server sent octets that nothing asked for")
            return []
        try:
            head = self._buffer.take_through(HEAD_END, limits.HEAD_OCTETS)
        except LimitExceededError as error:
            raise HTTPError(502, "the response's header section is too long") from error
        return [] if head is None else [self._open_response(parse_response_head(head), len(head))]

    def _open_response(self, response: Response, size_octets: int) -> Response:
        # RFC 9110 section 15.2: any number of interim responses may precede the final one.
        if response.status < 200:
            if response.status == 101:
                return self._switch(response)
            self.receiving = move(self.receiving, Signal.INTERIM)
            return response
        self._head_sizes.append(size_octets)
        framing = response_framing(self._methods[0], response)
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self._ends_after_this = not framing.persistent
        if self._ends_after_this:
            self.persistent = False
        self.receiving = move(self.receiving, Signal.HEAD)
        return response

    def _switch(self, response: Response) -> Response:
        # RFC 9110 section 7.8: a server must not switch to a protocol that the client has not offered.
        if not self._offers_upgrade:
            raise HTTPError(502, "the server switched protocols unasked")
        self.receiving = move(self.receiving, Signal.CLOSE)
        self.persistent = False
        self.has_switched = True
        return response
