"""HTTP/1 server connection, sans-IO: octets in, events out; responses in, octets out (RFC 9112).

    server = ServerConnection(limits.REQUEST_BODY_OCTETS)
    server.receive_data(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")   # [Request(...), EndOfMessage()]
    server.send_response(Response(200, body=b"hi"), date)           # b"HTTP/1.1 200 OK\\r\\n..."
    server.next_exchange()                                          # events of a pipelined request

RFC 9112 sections 2.2, 6.3, 9.3 (persistence), 9.3.2 (pipelining) and 9.6; RFC 9110 sections 6.6.1 and 10.1.1;
RFC 9931 sections 4 (a refused Upgrade leaves the connection open) and 7 (a refused CONNECT closes it). The states are
explained in connection.py. CONNECT and Upgrade are supported as far as leaving HTTP/1, with take_rest() and switch();
intermediary/tunnel.py and http2/upgrade.py do the rest.
"""

from functools import lru_cache

from services.errors import LimitExceededError
from services.http import limits
from services.http.errors import HTTPError
from services.http.fields import FieldLine, Fields
from services.http.http1.body import BodyEncoder, body_decoder
from services.http.http1.connection import Connection, HalfState, Signal, move
from services.http.http1.framing import CHUNKED, UNTIL_CLOSE, Framing, has_no_content, request_framing
from services.http.http1.head import (
    HEAD_END,
    check_line_length,
    check_partial_head,
    format_response_head,
    parse_request_head,
    parse_request_line,
)
from services.http.messages import END, HTTP_1_1, NO_FIELDS, Closed, Event, Fault, Request, Response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Cache of parsed heads: parsing is a pure function, and clients repeat their heads. Only short ones are stored.
CACHED_HEADS = 1024
CACHED_HEAD_OCTETS = 2048


def _parse_head(head: bytes) -> tuple[Request, Framing]:
    request = parse_request_head(head)
    return request, request_framing(request)


_parse_head_cached = lru_cache(maxsize=CACHED_HEADS)(_parse_head)


@lru_cache(maxsize=512)
def _final_head(
    status: int, reason: bytes | None, fields: Fields, date: bytes, length: int | None, option: bytes | None
) -> bytes:
    """Format a final response's head, with the fields that the connection adds."""
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
    """The server's end of a connection: one exchange at a time; pipelined requests stay in the buffer."""

    def __init__(self, body_limit_octets: int) -> None:
        super().__init__(body_limit_octets)
        self.wants_continue = False
        # Whether the current request has content, received or not.
        self.has_content = False
        self._request: Request | None = None
        self._method = b""
        self._empty_lines = 0
        self._checked = 0
        self._has_line = False
        self._ended = False
        self._encoder = BodyEncoder(0)

    def receive_data(self, data: bytes) -> list[Event]:
        """Parse octets from the client and return events, none until the response to the last request is complete."""
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
        """Return whether `data` is exactly one head, the common case, which needs no buffer."""
        return (
            len(data) <= CACHED_HEAD_OCTETS
            and 0 < data.find(HEAD_END) == len(data) - len(HEAD_END)
            and self.receiving is HalfState.IDLE
            and not self._buffer
            and not data.startswith(b"\r\n")
        )

    def receive_eof(self) -> list[Event]:
        """Handle the client's half-close; requests received so far are still answered."""
        self._ended = True
        if self.receiving is HalfState.IDLE:
            return [self._fail(400, "the connection ended inside a request") if self._buffer else Closed()]
        if self.receiving is HalfState.BODY:
            return self._parse(self._end_step)
        return []

    def _end_step(self) -> list[Event]:
        # A request is never close-delimited, so this raises (RFC 9112 section 6.3, rule 7).
        return [self._decoder.at_eof()]

    def time_out(self) -> Fault:
        """Fail an incomplete request with 408 (RFC 9110 section 15.5.9)."""
        return self._fail(408, "the request did not come in time")

    def send_continue(self) -> bytes:
        """Encode 100 Continue (RFC 9110 section 10.1.1)."""
        self.sending = move(self.sending, Signal.INTERIM)
        self.wants_continue = False
        return CONTINUE

    def send_interim(self, response: Response) -> bytes:
        """Encode an interim response; return no octets for an HTTP/1.0 client."""
        self.sending = move(self.sending, Signal.INTERIM)
        # RFC 9110 section 15.2: no interim response to an HTTP/1.0 client.
        if self._request is None or self._request.version < HTTP_1_1:
            return b""
        if response.status == 100:
            self.wants_continue = False
        return format_response_head(Response(response.status, response.fields, reason=response.reason))

    def switch(self) -> bytes:
        """Leave HTTP/1 after this request (Upgrade, RFC 9110 section 7.8); return the octets received after it."""
        self.sending = move(self.sending, Signal.WHOLE)
        return self.take_rest()

    def take_rest(self) -> bytes:
        """Leave HTTP/1 after this response (CONNECT, RFC 9110 section 9.3.6); return the octets after the request."""
        self.persistent = False
        return self._buffer.take(len(self._buffer))

    def send_response(self, response: Response, date: bytes, close: bool = False) -> bytes:
        """Encode a final response's head, with the content if that is bytes.

        A Body's content follows with send_data() and send_end(), unless `is_sent` is already true. Content-Length or
        Transfer-Encoding, Date (`date`) and Connection are added; the response's fields must not have the first two.
        """
        body = response.body
        size = len(body) if isinstance(body, bytes) else body.size_octets
        length = self._sent_length(response.status, size)
        if close or length == UNTIL_CLOSE or self.receiving is not HalfState.DONE or self._has_ended():
            self.persistent = False
        if self._method == b"CONNECT" and response.status >= 300:
            # RFC 9931 section 7: input after CONNECT may be data for the tunnel and not requests.
            self.persistent = False
        option = self._connection_option()
        if self._method == b"CONNECT":
            # RFC 9110 section 9.3.6: after a 2xx the connection is a tunnel.
            self.persistent = False
        head = _final_head(response.status, response.reason, response.fields, date, length, option)
        if length is None or has_no_content(self._method, response.status):
            self.sending = move(self.sending, Signal.WHOLE)
            return head
        if isinstance(body, bytes):
            self.sending = move(self.sending, Signal.WHOLE)
            return head + body
        self.sending = move(self.sending, Signal.HEAD)
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
        """Encode a piece of content."""
        self.sending = move(self.sending, Signal.DATA)
        return self._encoder.encode_data(data)

    def send_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Encode the end of the content; trailers are omitted unless the content is chunked."""
        self.sending = move(self.sending, Signal.END)
        # RFC 9110 section 6.5.1: trailer fields may be discarded.
        return self._encoder.encode_end(trailers if self._encoder.is_chunked else NO_FIELDS)

    def next_exchange(self) -> list[Event]:
        """Start the next exchange and return its events so far; raises LocalProtocolError if the last is incomplete."""
        signal = Signal.NEXT if self.persistent else Signal.CLOSE
        if self.receiving is not HalfState.BODY:
            self.receiving = move(self.receiving, signal)
        self.sending = move(self.sending, signal)
        # Reset, so that an error in the next request is not attributed to the last one.
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
        """Return whether no request can follow: the client has half-closed, and the buffer is empty."""
        return self._ended and not self._buffer

    def _step(self) -> list[Event]:
        if self.receiving is HalfState.IDLE:
            head = self._take_head()
            return [] if head is None else self._start_request(head)
        return self._body_step() if self.receiving is HalfState.BODY else []

    def _start_request(self, head: bytes) -> list[Event]:
        # Set before parsing: the response to a rejected HEAD request has no content either.
        self._method = head[: head.find(b" ")]
        request, framing = _parse_head_cached(head) if len(head) <= CACHED_HEAD_OCTETS else _parse_head(head)
        self._request = request
        self.persistent = framing.persistent
        self.has_content = framing.length != 0
        if framing.length == 0:
            self.receiving = move(self.receiving, Signal.WHOLE)
            return [request, END]
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self.receiving = move(self.receiving, Signal.HEAD)
        # RFC 9110 section 10.1.1: 100 may be omitted if content was received already.
        self.wants_continue = framing.expects_continue and not self._buffer
        return [request]

    def _take_head(self) -> bytes | None:
        while self._buffer.peek(2) == b"\r\n":
            # RFC 9112 section 2.2: empty lines before the request line are skipped, up to a limit.
            self._empty_lines += 1
            if self._empty_lines > limits.EMPTY_LINES_BEFORE_REQUEST:
                raise HTTPError(400, "nothing but empty lines")
            self._buffer.take(2)
            self._checked = 0
        try:
            head = self._buffer.take_through(HEAD_END, limits.HEAD_OCTETS)
        except LimitExceededError as error:
            self._check_partial_head()
            # RFC 6585 section 5
            raise HTTPError(431, f"the header section is longer than {limits.HEAD_OCTETS} octets") from error
        if head is None:
            self._check_partial_head()
        else:
            self._checked = 0
            self._has_line = False
        return head

    def _check_partial_head(self) -> None:
        """Reject early an input that cannot become a request; each octet is checked at most twice."""
        # A CR at the end of the last input is checked again, together with the next octet.
        ends_in_cr = self._checked > 0 and self._buffer.peek(1, self._checked - 1) == b"\r"
        unchecked = self._buffer.peek(limits.HEAD_OCTETS, self._checked - ends_in_cr)
        check_partial_head(unchecked)
        if not self._has_line and b"\r\n" in unchecked:
            # Parsed early: a client that omits the version (HTTP/0.9) sends no more and waits for the response.
            self._has_line = True
            parse_request_line(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        if self._checked <= limits.REQUEST_LINE_OCTETS < len(self._buffer):
            check_line_length(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        self._checked = len(self._buffer)

    def _sent_length(self, status: int, size: int | None) -> int | None:
        """Return the length for the response's framing: octets, CHUNKED or UNTIL_CLOSE, None for no length field."""
        # RFC 9110 section 8.6: no Content-Length with 1xx and 204; it may be omitted with 304.
        if status < 200 or status in (204, 304) or (self._method == b"CONNECT" and status < 300):
            return None
        if size is not None:
            return size
        # RFC 9110 section 8.6: the length of the response to a GET is unknown, so no length field is sent.
        if self._method == b"HEAD":
            return None
        # RFC 9112 section 6.1: chunked only in a response to an HTTP/1.1 request.
        return CHUNKED if self._request is None or self._request.version >= HTTP_1_1 else UNTIL_CLOSE

    def _connection_option(self) -> bytes | None:
        # RFC 9112 section 9.6: a server that closes sends the close option.
        if not self.persistent:
            return b"close"
        # RFC 9112 section 9.3 (appendix C.2.2): confirm keep-alive to an HTTP/1.0 client.
        return b"keep-alive" if self._request and self._request.version < HTTP_1_1 else None
