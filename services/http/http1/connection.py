r"""HTTP/1 connections of client and server, sans-IO: octets in, events out; messages in, octets out (RFC 9112).

    client = ClientConnection()
    client.send_request(Request(b"GET", b"/", Fields(((b"Host", b"a"),))))   # b"GET / HTTP/1.1\r\n..."
    client.receive_data(b"HTTP/1.1 204 No Content\r\n\r\n")                # [Response(...), EndOfMessage()]

    server = ServerConnection(limits.REQUEST_BODY_OCTETS)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")               # [Request(...), EndOfMessage()]
    server.send_response(Response(200, body=b"hi"), date)                   # b"HTTP/1.1 200 OK\r\n..."
    server.next_exchange()                                                  # events of a pipelined request

An error of the peer is returned as a Fault, which is always the last event. An error of this side raises
LocalProtocolError.

A connection has two halves, one per direction, and each half has its own state. Signals change it (http1/states.py):
HEAD for the head of a message with content, END for the end of the content, NEXT and CLOSE after an exchange on a
connection that does or does not persist. Received octets never raise LocalProtocolError: a half in BODY passes them to
a decoder, a half in IDLE parses a head, and in all other states they stay in the buffer.

The server couples its halves: one exchange is a request in the receiving half and the response in the sending half.
While the response is not complete, the receiving half stays in DONE and pipelined requests stay in the buffer
(RFC 9112 section 9.3.2); that bounds the work that a client can cause. next_exchange() then applies NEXT to both
halves if the connection persists, else CLOSE. A response may be complete before the request is: then the receiving
half is still in BODY, the response was sent with `Connection: close`, and the rest of the request is discarded.

    receiving   IDLE -HEAD-> BODY -END-> DONE ........................... DONE -NEXT-> IDLE
    sending     IDLE ....................... -HEAD-> BODY -END-> DONE ........ -NEXT-> IDLE

The client does not couple its halves, since it may pipeline requests. It applies NEXT to the sending half as soon as a
request is sent, and keeps the methods of unanswered requests in a queue, since the method decides whether a response
has content (section 6.3).

`persistent` is not a state but a flag: true if the connection persists after the exchange. The framing of each message
sets it (section 9.3). Other causes can only clear it: a fault, the peer's half-close, a stop of the server.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError
from lab7.services.http import limits
from lab7.services.http.errors import HTTPError, LocalProtocolError
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.http1.codec import (
    CHUNKED,
    HEAD_END,
    UNTIL_CLOSE,
    BodyDecoder,
    BodyEncoder,
    Framing,
    LengthDecoder,
    body_decoder,
    check_line_length,
    check_partial_head,
    format_request_head,
    format_response_head,
    has_no_content,
    parse_request_head,
    parse_request_line,
    parse_response_head,
    request_framing,
    response_framing,
)
from lab7.services.http.http1.states import TRANSITIONS, HalfState, Signal
from lab7.services.http.messages import END, HTTP_1_1, NO_FIELDS, Closed, Data, Event, Fault, Request, Response


def _move(half: HalfState, signal: Signal) -> HalfState:
    """Return the state of a half after `signal`. Raises LocalProtocolError if the table has no such transition."""
    after = TRANSITIONS.get((half, signal))
    if after is None:
        raise LocalProtocolError(f"invalid transition: {signal.name} in state {half.name}")
    return after


class Connection:
    """Base class of both ends of an HTTP/1 connection: input buffer, states of both directions, parsing loop."""

    def __init__(self, body_limit_octets: int) -> None:
        self.receiving = HalfState.IDLE
        self.sending = HalfState.IDLE
        self.persistent = True
        self._body_limit_octets = body_limit_octets
        self._buffer = OctetBuffer(limits.UNPARSED_OCTETS)
        self._decoder: BodyDecoder = LengthDecoder(0)

    @property
    def unparsed_octets(self) -> int:
        """Size in octets of the input that is buffered and not yet parsed."""
        return len(self._buffer)

    def _parse(self, step: Callable[[], list[Event]]) -> list[Event]:
        """Call `step`, which parses buffered input and returns events, until it returns none.

        Return the events of all calls. If the peer made an error, the last event is a Fault.
        """
        events: list[Event] = []
        try:
            while parsed := step():
                events += parsed
        except HTTPError as error:
            events.append(self._fail(error.status, error.detail))
        return events

    def _feed(self, data: bytes) -> Fault | None:
        try:
            self._buffer.feed(data)
        except LimitExceededError as error:
            return self._fail(400, str(error))
        return None

    def _fail(self, status: int, detail: str) -> Fault:
        self.receiving = _move(self.receiving, Signal.FAULT)
        self.persistent = False
        return Fault(status, detail)

    def _body_step(self) -> list[Event]:
        event = self._decoder.decode(self._buffer)
        if event is None:
            return []
        self.receiving = _move(self.receiving, Signal.DATA if isinstance(event, Data) else Signal.END)
        return [event]


class ClientConnection(Connection):
    """The client's end of an HTTP/1 connection, sans-IO, with pipelining.

    RFC 9112 sections 6.3 (length of a response), 9.2, 9.3.2 (pipelining) and 9.6. Left out: CONNECT. Upgrade is
    supported as far as leaving HTTP/1: has_switched and take_rest().
    """

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
        """Number of requests without a complete response."""
        return len(self._methods)

    def send_request(self, request: Request, body: bytes = b"") -> bytes:
        """Return the octets of a complete request, to be sent; add Content-Length if no field states the length."""
        if not self.persistent or self.unanswered >= limits.PIPELINED_REQUESTS:
            raise LocalProtocolError("no further request can be sent on this connection")
        if body and not request.fields.has_any((b"content-length", b"transfer-encoding")):
            fields = request.fields.adding((b"Content-Length", b"%d" % len(body)))
            request = Request(request.method, request.request_target, fields, request.version)
        return self.open_request(request) + self.send_data(body) + self.send_end()

    def open_request(self, request: Request) -> bytes:
        """Encode the head of a request, and return the octets to send.

        send_data() and send_end() then encode the content, framed according to the fields of the head.
        """
        framing = request_framing(request)
        octets = format_request_head(request)
        self.sending = _move(self.sending, Signal.HEAD)
        self._encoder = BodyEncoder(framing.length)
        # RFC 9112 section 9.6: a request with the close option is the last one.
        self.persistent = framing.persistent
        self._methods.append(request.method)
        self._offers_upgrade = b"upgrade" in request.fields
        return octets

    @property
    def is_request_sent(self) -> bool:
        """True if the last request is completely sent."""
        return self.sending is HalfState.IDLE

    def send_data(self, data: bytes) -> bytes:
        """Encode a piece of a request's content, and return the octets to send."""
        self.sending = _move(self.sending, Signal.DATA)
        return self._encoder.encode_data(data)

    def send_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Return the octets to send at the end of a request; trailers are omitted unless the content is chunked."""
        octets = self._encoder.encode_end(trailers if self._encoder.is_chunked else NO_FIELDS)
        self.sending = _move(_move(self.sending, Signal.END), Signal.NEXT)
        return octets

    def take_head_size(self) -> int:
        """Return the size in octets of the head of the next response.

        The n-th call returns that of the n-th response.
        """
        return self._head_sizes.popleft()

    def take_rest(self) -> bytes:
        """Return the octets received after a 101, which belong to the new protocol (RFC 9110 section 7.8)."""
        return self._buffer.take(len(self._buffer))

    def receive_data(self, data: bytes) -> list[Event]:
        """Parse octets from the server and return events."""
        if self.receiving in (HalfState.FAILED, HalfState.CLOSED):
            return []
        if fault := self._feed(data):
            return [fault]
        return self._parse(self._step)

    def receive_eof(self) -> list[Event]:
        """Handle the end of the connection: return EndOfMessage, a Fault inside a message, or Closed between messages.

        After Closed, `unanswered` is the number of requests that get no response.
        """
        self.persistent = False
        if self.receiving is HalfState.BODY:
            return self._parse(self._end_step)
        if self.receiving is HalfState.IDLE and self._buffer:
            return [self._fail(502, "the connection was closed inside the header section of a response")]
        return [] if self.receiving is HalfState.FAILED else [Closed()]

    def _end_step(self) -> list[Event]:
        if self.receiving is not HalfState.BODY:
            return []
        end = self._decoder.at_eof()
        self.receiving = _move(self.receiving, Signal.END)
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
        self.receiving = _move(self.receiving, Signal.CLOSE if self._ends_after_this else Signal.NEXT)

    def _head_step(self) -> list[Event]:
        if not self._methods:
            if self._buffer:
                # RFC 9112 section 9.2: input without an outstanding request is not a response.
                raise HTTPError(502, "the server sent octets without an outstanding request")
            return []
        try:
            head = self._buffer.take_through(HEAD_END, limits.HEAD_OCTETS)
        except LimitExceededError as error:
            raise HTTPError(502, "the response's header section is too long") from error
        if head is None:
            # Reject at once an input that cannot become a response, since waiting for its end would be useless.
            check_partial_head(self._buffer.peek(limits.HEAD_OCTETS), 502)
            return []
        return [self._open_response(parse_response_head(head), len(head))]

    def _open_response(self, response: Response, size_octets: int) -> Response:
        # RFC 9110 section 15.2: any number of interim responses may precede the final one.
        if response.status < 200:
            if response.status == 101:
                return self._switch(response)
            self.receiving = _move(self.receiving, Signal.INTERIM)
            return response
        self._head_sizes.append(size_octets)
        framing = response_framing(self._methods[0], response)
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self._ends_after_this = not framing.persistent
        if self._ends_after_this:
            self.persistent = False
        self.receiving = _move(self.receiving, Signal.HEAD)
        return response

    def _switch(self, response: Response) -> Response:
        # RFC 9110 section 7.8: a server must not switch to a protocol that the client has not offered.
        if not self._offers_upgrade:
            raise HTTPError(502, "the server switched protocols without an Upgrade offer")
        self.receiving = _move(self.receiving, Signal.CLOSE)
        self.persistent = False
        self.has_switched = True
        return response


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Maximum number of cached request heads: clients repeat their heads, and parsing is a pure function.
CACHED_HEADS = 1024
# Maximum size in octets of a cached request head; longer heads are parsed each time.
CACHED_HEAD_OCTETS = 2048


def _parse_head(head: bytes) -> tuple[Request, Framing]:
    request = parse_request_head(head)
    return request, request_framing(request)


_parse_head_cached = lru_cache(maxsize=CACHED_HEADS)(_parse_head)


@lru_cache(maxsize=512)
def _final_head(
    status: int, reason: bytes | None, fields: Fields, date: bytes, length: int | None, option: bytes | None
) -> bytes:
    """Return the octets of a final response's head; add Date, the length field, and Connection as needed."""
    added: list[FieldLine] = []
    # RFC 9110 section 6.6.1: an origin with a clock sends Date; a forwarded Date is not replaced.
    if b"date" not in fields:
        added.append((b"Date", date))
    if length == CHUNKED:
        added.append((b"Transfer-Encoding", b"chunked"))
    elif length is not None and length >= 0:
        added.append((b"Content-Length", b"%d" % length))
    if option is not None:
        added.append((b"Connection", option))
    return format_response_head(Response(status, fields.adding(*added), reason=reason))


_OVER = (HalfState.FAILED, HalfState.CLOSED)
_HEAD = b"HEAD "


class ServerConnection(Connection):
    """The server's end of an HTTP/1 connection: one exchange at a time; pipelined requests stay in the buffer.

    RFC 9112 sections 2.2, 6.3, 9.3 (persistence), 9.3.2 (pipelining) and 9.6; RFC 9110 sections 6.6.1 and 10.1.1; RFC
    9931 sections 4 (a refused Upgrade leaves the connection open) and 7 (a refused CONNECT closes it). CONNECT and
    Upgrade are supported as far as leaving HTTP/1, with take_rest() and switch(); services/http/intermediary/tunnel.py
    and services/http/http2/upgrade.py do the rest.
    """

    def __init__(self, body_limit_octets: int) -> None:
        super().__init__(body_limit_octets)
        self.wants_continue = False
        # False at a forward proxy: RFC 9112 section 9.3 forbids it to keep a connection to an HTTP/1.0 client.
        self.keeps_http_1_0 = True
        # The scheme of the connection: a target in absolute-form with another one gets 421 (RFC 9110 section 7.4).
        self.scheme = b"http"
        # True if the current request has content, whether or not the content has been received.
        self.has_content = False
        self._request: Request | None = None
        self._method = b""
        self._empty_lines = 0
        self._checked = 0
        self._has_line = False
        self._ended = False
        self._encoder = BodyEncoder(0)

    def receive_data(self, data: bytes) -> list[Event]:
        """Parse octets from the client and return events of the current request.

        next_exchange() returns the events of a pipelined request later.
        """
        if self.receiving in _OVER:
            return []
        if self._is_whole_head(data):
            try:
                return self._start_request(data)
            except HTTPError as error:
                return [self._fail(error.status, error.detail)]
        if fault := self._feed(data):
            return [fault]
        return self._parse(self._step)

    def _is_whole_head(self, data: bytes) -> bool:
        """Return whether `data` is exactly one request head. In this common case, the input buffer is not needed."""
        return (
            len(data) <= CACHED_HEAD_OCTETS
            and 0 < data.find(HEAD_END) == len(data) - len(HEAD_END)
            and self.receiving is HalfState.IDLE
            and not self._buffer
            and not data.startswith(b"\r\n")
        )

    def receive_eof(self) -> list[Event]:
        """Handle the client's half-close: complete requests are still answered, an incomplete one gets 400."""
        self._ended = True
        if self.receiving is HalfState.IDLE:
            return [self._fail(400, "the connection was closed inside a request") if self._buffer else Closed()]
        if self.receiving is HalfState.BODY:
            return self._parse(self._end_step)
        return []

    def _end_step(self) -> list[Event]:
        # RFC 9112 section 6.3, rule 7: a request is never close-delimited, so at_eof() raises TruncatedError.
        return [self._decoder.at_eof()]

    def time_out(self) -> Fault:
        """Fail an incomplete request with status 408, and return the Fault (RFC 9110 section 15.5.9)."""
        return self._fail(408, "timeout while receiving the request")

    def send_continue(self) -> bytes:
        """Return the octets of 100 Continue, to be sent (RFC 9110 section 10.1.1)."""
        self.sending = _move(self.sending, Signal.INTERIM)
        self.wants_continue = False
        return CONTINUE

    def send_interim(self, response: Response) -> bytes:
        """Encode an interim (1xx) response, and return the octets to send; none for an HTTP/1.0 client."""
        self.sending = _move(self.sending, Signal.INTERIM)
        # RFC 9110 section 15.2: no interim response to an HTTP/1.0 client.
        if self._request is None or self._request.version < HTTP_1_1:
            return b""
        if response.status == 100:
            self.wants_continue = False
        return format_response_head(Response(response.status, response.fields, reason=response.reason))

    def switch(self) -> bytes:
        """Leave HTTP/1 after a request with Upgrade (RFC 9110 section 7.8); return the octets received after it."""
        self.sending = _move(self.sending, Signal.WHOLE)
        return self.take_rest()

    def take_rest(self) -> bytes:
        """Leave HTTP/1 after the response to CONNECT (RFC 9110 section 9.3.6); return the octets after the request."""
        self.persistent = False
        return self._buffer.take(len(self._buffer))

    def send_response(self, response: Response, date: bytes, close: bool = False) -> bytes:
        """Encode a final response; return the octets to send: its head, and the content if `response.body` is bytes.

        If the body is a Body, send_data() and send_end() encode its content afterwards, unless `is_sent` is already
        true (no content is sent, for example to HEAD). This method adds Date (`date`), Connection, and Content-Length
        or Transfer-Encoding; the response must not have the latter two.
        """
        body = response.body
        size = len(body) if isinstance(body, bytes) else body.size_octets
        length = self._sent_length(response.status, size)
        if close or length == UNTIL_CLOSE or self.receiving is not HalfState.DONE or self._has_ended():
            self.persistent = False
        if self._method == b"CONNECT" and response.status >= 300:
            # RFC 9931 section 7: input after CONNECT may be data for the tunnel and not requests.
            self.persistent = False
        is_switch = response.status == 101
        # RFC 9110 section 7.8: Upgrade is listed in Connection.
        option = b"Upgrade" if is_switch else self._connection_option()
        if self._method == b"CONNECT" or is_switch:
            # RFC 9110 sections 9.3.6 and 7.8: after a 2xx, or 101, the connection is a tunnel.
            self.persistent = False
        head = _final_head(response.status, response.reason, response.fields, date, length, option)
        if length is None or has_no_content(self._method, response.status):
            self.sending = _move(self.sending, Signal.WHOLE)
            return head
        if isinstance(body, bytes):
            self.sending = _move(self.sending, Signal.WHOLE)
            return head + body
        self.sending = _move(self.sending, Signal.HEAD)
        self._encoder = BodyEncoder(length)
        return head

    @property
    def is_sent(self) -> bool:
        """True if the response is completely sent."""
        return self.sending is HalfState.DONE

    @property
    def ends_with_connection(self) -> bool:
        """True if the response's content is close-delimited."""
        return self.sending is HalfState.BODY and self._encoder.ends_with_connection

    def send_data(self, data: bytes) -> bytes:
        """Encode a piece of a response's content, and return the octets to send."""
        self.sending = _move(self.sending, Signal.DATA)
        return self._encoder.encode_data(data)

    def send_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Return the octets to send at the end of a response; trailers are omitted unless the content is chunked."""
        self.sending = _move(self.sending, Signal.END)
        # RFC 9110 section 6.5.1: trailer fields may be discarded.
        return self._encoder.encode_end(trailers if self._encoder.is_chunked else NO_FIELDS)

    def next_exchange(self) -> list[Event]:
        """Start the next exchange, a request with its response, and return the events of the request received so far.

        Raises LocalProtocolError if the current exchange is incomplete.
        """
        signal = Signal.NEXT if self.persistent else Signal.CLOSE
        if self.receiving is not HalfState.BODY:
            self.receiving = _move(self.receiving, signal)
        self.sending = _move(self.sending, signal)
        # Forget the last request, so that an error in the next request is not attributed to the last one.
        self._request, self._method, self._empty_lines = None, b"", 0
        if not self.persistent:
            return []
        events = self._parse(self._step) if self._buffer else []
        return events + self.receive_eof() if self._ended and self.receiving is not HalfState.FAILED else events

    def _fail(self, status: int, detail: str) -> Fault:
        if self.receiving is HalfState.IDLE and not self._method and self._buffer.peek(len(_HEAD)) == _HEAD:
            # RFC 9110 section 9.3.2: no content in a response to HEAD, even if the request is malformed or incomplete.
            self._method = b"HEAD"
        return super()._fail(status, detail)

    def _has_ended(self) -> bool:
        """Return whether no further request can arrive: the client has half-closed, and the input buffer is empty."""
        return self._ended and not self._buffer

    def _step(self) -> list[Event]:
        if self.receiving is HalfState.IDLE:
            head = self._take_head()
            return [] if head is None else self._start_request(head)
        return self._body_step() if self.receiving is HalfState.BODY else []

    def _start_request(self, head: bytes) -> list[Event]:
        # Set the method before parsing: the response to a rejected HEAD request has no content either.
        self._method = head[: head.find(b" ")]
        request, framing = _parse_head_cached(head) if len(head) <= CACHED_HEAD_OCTETS else _parse_head(head)
        self._request = request
        self.persistent = framing.persistent and (self.keeps_http_1_0 or request.version >= HTTP_1_1)
        self._check_scheme(request)
        self.has_content = framing.length != 0
        if framing.length == 0:
            self.receiving = _move(self.receiving, Signal.WHOLE)
            return [request, END]
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self.receiving = _move(self.receiving, Signal.HEAD)
        # RFC 9110 section 10.1.1: 100 may be omitted if content was received already.
        self.wants_continue = framing.expects_continue and not self._buffer
        return [request]

    def _check_scheme(self, request: Request) -> None:
        target = request.request_target
        if not target.startswith(b"/") and request.method != b"CONNECT":
            scheme, mark, _ = target.partition(b"://")
            if mark and scheme.lower() != self.scheme:
                raise HTTPError(421, f"the server has {self.scheme.decode('ascii')} resources only on this connection")

    def _take_head(self) -> bytes | None:
        while self._buffer.peek(2) == b"\r\n":
            # RFC 9112 section 2.2: empty lines before the request line are skipped, up to a limit.
            self._empty_lines += 1
            if self._empty_lines > limits.EMPTY_LINES_BEFORE_REQUEST:
                raise HTTPError(400, "too many empty lines before the request line")
            self._buffer.take(2)
            self._checked = 0
        try:
            head = self._buffer.take_through(HEAD_END, limits.HEAD_OCTETS)
        except LimitExceededError as error:
            self._check_partial_head()
            # RFC 6585 section 5: a header section that is too large gets 431.
            raise HTTPError(431, f"the header section is longer than {limits.HEAD_OCTETS} octets") from error
        if head is None:
            self._check_partial_head()
        else:
            self._checked = 0
            self._has_line = False
        return head

    def _check_partial_head(self) -> None:
        """Raise HTTPError as soon as the buffered input cannot become a valid request head.

        Each octet is checked at most twice, whatever the sizes of the pieces in which it arrives.
        """
        # A CR at the end of the checked input is checked again together with the octet that follows.
        ends_in_cr = self._checked > 0 and self._buffer.peek(1, self._checked - 1) == b"\r"
        unchecked = self._buffer.peek(limits.HEAD_OCTETS, self._checked - ends_in_cr)
        check_partial_head(unchecked)
        if not self._has_line and b"\r\n" in unchecked:
            # Parse the request line before the head is complete: a client of HTTP/0.9 sends only that line, and waits.
            self._has_line = True
            parse_request_line(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        if self._checked <= limits.REQUEST_LINE_OCTETS < len(self._buffer):
            check_line_length(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        self._checked = len(self._buffer)

    def _sent_length(self, status: int, size: int | None) -> int | None:
        """Return the framing of a response to send: octets, CHUNKED, UNTIL_CLOSE, or None for no length field."""
        # RFC 9110 section 8.6: no Content-Length with 1xx and 204; it may be omitted with 304.
        if status < 200 or status in (204, 304) or (self._method == b"CONNECT" and status < 300):
            return None
        if size is not None:
            return size
        # RFC 9110 section 8.6: the length of the response to a GET is unknown, so no length field is sent.
        if self._method == b"HEAD":
            return None
        # RFC 9112 section 6.1: the chunked coding is sent only in response to an HTTP/1.1 request.
        return CHUNKED if self._request is None or self._request.version >= HTTP_1_1 else UNTIL_CLOSE

    def _connection_option(self) -> bytes | None:
        # RFC 9112 section 9.6: a server that closes sends the close option.
        if not self.persistent:
            return b"close"
        # RFC 9112 section 9.3 (appendix C.2.2): confirm keep-alive to an HTTP/1.0 client.
        return b"keep-alive" if self._request and self._request.version < HTTP_1_1 else None
