"""One HTTP/1 connection without I/O, in either role: octets in, events out; messages in, octets out.

    server = ServerConnection(limits.REQUEST_BODY_OCTETS)
    server.receive_data(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")   # [Request(...), EndOfMessage()]
    server.send_response(Response(200, body=b"hi"), date)           # b"HTTP/1.1 200 OK\\r\\n..."
    server.next_exchange()                                          # what the client sent ahead

RFC 9112 sections 2.2, 6.3, 9.3 (persistence), 9.3.2 (pipelining) and 9.6; RFC 9110 sections 6.6.1 and 10.1.1.
A peer's mistake comes out as a Fault event; a mistake of this side raises LocalProtocolError.
Left out: Upgrade and CONNECT tunnels, which RFC 9110 lets a server ignore.
"""

from collections import deque
from collections.abc import Callable
from functools import lru_cache

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.http import limits
from services.http.body import BodyDecoder, BodyEncoder, body_decoder
from services.http.errors import HTTPError, LocalProtocolError
from services.http.fields import FieldLine, Fields
from services.http.framing import (
    CHUNKED,
    UNTIL_CLOSE,
    Framing,
    has_no_content,
    request_framing,
    response_framing,
)
from services.http.head import (
    HEAD_END,
    check_line_length,
    check_partial_head,
    format_request_head,
    format_response_head,
    parse_request_head,
    parse_response_head,
)
from services.http.messages import (
    END,
    HTTP_1_1,
    NO_FIELDS,
    Closed,
    Data,
    EndOfMessage,
    Event,
    Fault,
    Request,
    Response,
)
from services.http.states import Half, Signal, move

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Parsing is a pure function of the head, and clients repeat theirs; only short heads are kept.
MEMO_HEADS = 1024
MEMO_HEAD_OCTETS = 2048


def _read_head(head: bytes) -> tuple[Request, Framing]:
    request = parse_request_head(head)
    return request, request_framing(request)


_read_known_head = lru_cache(maxsize=MEMO_HEADS)(_read_head)


@lru_cache(maxsize=512)
def _final_head(
    status: int, reason: bytes | None, fields: Fields, date: bytes, length: int | None, option: bytes | None
) -> bytes:
    """Return a final response's head with the fields that this connection answers for added."""
    added: list[FieldLine] = []
    # RFC 9110 section 6.6.1: an origin with a clock dates its responses; a relayed Date is left as it is.
    if b"date" not in fields:
        added.append((b"Date", date))
    if length == CHUNKED:
        added.append((b"Transfer-Encoding", b"chunked"))
    elif length is not None and length >= 0:
        added.append((b"Content-Length", b"%d" % length))
    if option is not None:
        added.append((b"Connection", option))
    return format_response_head(Response(status, fields.adding(*added), reason=reason))


class _Connection:
    """What both roles share: the buffer, the two halves, and the drain loop."""

    def __init__(self, body_limit_octets: int) -> None:
        self.receiving = Half.IDLE
        self.sending = Half.IDLE
        self.persistent = True
        self._body_limit_octets = body_limit_octets
        self._buffer = OctetBuffer(limits.UNPARSED_OCTETS)
        self._decoder: BodyDecoder | None = None

    @property
    def waiting_octets(self) -> int:
        """How much came that is not yet parsed."""
        return len(self._buffer)

    def _drain(self, step: Callable[[], Event | None]) -> list[Event]:
        events: list[Event] = []
        try:
            while (event := step()) is not None:
                events.append(event)
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
        self.receiving = move(self.receiving, Signal.FAULT)
        self.persistent = False
        return Fault(status, detail)

    def _body_step(self) -> Event | None:
        if self._decoder is None:
            raise LocalProtocolError("no content is being received")
        event = self._decoder.step(self._buffer)
        if event is not None:
            signal = Signal.DATA if isinstance(event, Data) else Signal.END
            self.receiving = move(self.receiving, signal)
        return event


class ServerConnection(_Connection):
    """The server's side: one exchange at a time; requests sent ahead wait in the buffer (section 9.3.2)."""

    def __init__(self, body_limit_octets: int) -> None:
        super().__init__(body_limit_octets)
        self.wants_continue = False
        self._request: Request | None = None
        self._method = b""
        self._empty_lines = 0
        self._checked = 0
        self._ended = False
        self._encoder = BodyEncoder(0)

    def receive_data(self, data: bytes) -> list[Event]:
        """Take octets from the client; returns what they complete, none while an exchange waits for its response."""
        if self.receiving in (Half.FAILED, Half.CLOSED):
            return []
        if fault := self._feed(data):
            return [fault]
        return self._drain(self._step)

    def receive_eof(self) -> list[Event]:
        """Take note that the client sends no more; what it asked for is still answered."""
        self._ended = True
        if self.receiving is Half.IDLE:
            return [self._fail(400, "the connection ended inside a request") if self._buffer else Closed()]
        if self.receiving is Half.BODY and self._decoder is not None:
            return self._drain(self._decoder.at_eof)
        return []

    def time_out(self) -> Fault:
        """Give up on a request that does not come to its end (RFC 9110 section 15.5.9)."""
        return self._fail(408, "the request did not come in time")

    def send_continue(self) -> bytes:
        """Return the interim response that asks for the content (RFC 9110 section 10.1.1)."""
        self.sending = move(self.sending, Signal.INTERIM)
        self.wants_continue = False
        return CONTINUE

    def send_response(self, response: Response, date: bytes, close: bool = False) -> bytes:
        """Return a final response's head, and with it the content where that is bytes.

        A Body's content follows with send_data() and send_end(), unless `is_sent` is true already. Content-Length or
        Transfer-Encoding, Date (`date`) and Connection are added; the caller's fields have none of the first two.
        """
        self.sending = move(self.sending, Signal.HEAD)
        body = response.body
        size = len(body) if isinstance(body, bytes) else body.size_octets
        length = self._sent_length(response.status, size)
        if close or length == UNTIL_CLOSE or self.receiving is not Half.DONE or self._ended:
            self.persistent = False
        head = _final_head(response.status, response.reason, response.fields, date, length, self._connection_option())
        if length is None or has_no_content(self._method, response.status):
            self.sending = move(self.sending, Signal.END)
            return head
        self._encoder = BodyEncoder(length)
        if not isinstance(body, bytes):
            return head
        return head + self.send_data(body) + self.send_end()

    @property
    def is_sent(self) -> bool:
        """Whether the response is complete."""
        return self.sending is Half.DONE

    def send_data(self, data: bytes) -> bytes:
        """Return content as it goes on the wire."""
        self.sending = move(self.sending, Signal.DATA)
        return self._encoder.data(data)

    def send_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Return what ends the content."""
        self.sending = move(self.sending, Signal.END)
        return self._encoder.end(trailers)

    def next_exchange(self) -> list[Event]:
        """Begin the next exchange, and return what of it already came; raises LocalProtocolError when too early."""
        signal = Signal.NEXT if self.persistent else Signal.CLOSE
        if self.receiving is not Half.BODY:
            self.receiving = move(self.receiving, signal)
        self.sending = move(self.sending, signal)
        return self._drain(self._step) if self.persistent and self._buffer else []

    def _step(self) -> Event | None:
        if self.receiving is Half.IDLE:
            return self._head_step()
        return self._body_step() if self.receiving is Half.BODY else None

    def _head_step(self) -> Event | None:
        head = self._take_head()
        if head is None:
            return None
        # Known before the head is judged: even a refused HEAD request gets no content.
        self._method = head[: head.find(b" ")]
        self._request = None
        reader = _read_known_head if len(head) <= MEMO_HEAD_OCTETS else _read_head
        request, framing = reader(head)
        self._request = request
        self.persistent = framing.persistent
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self.receiving = move(self.receiving, Signal.HEAD)
        # RFC 9110 section 10.1.1: 100 may be left out when content came along.
        self.wants_continue = framing.expects_continue and not self._buffer
        return request

    def _take_head(self) -> bytes | None:
        while self._buffer.peek(2) == b"\r\n":
            # RFC 9112 section 2.2: an empty line before the request line is skipped, some, not endlessly many.
            self._empty_lines += 1
            if self._empty_lines > limits.EMPTY_LINES_BEFORE_REQUEST:
                raise HTTPError(400, "nothing but empty lines")
            self._buffer.take(2)
        try:
            head = self._buffer.take_through(HEAD_END, limits.HEAD_OCTETS)
        except LimitExceededError as error:
            self._check_partial_head()
            # RFC 6585 section 5
            raise HTTPError(431, f"the header section is longer than {limits.HEAD_OCTETS} octets") from error
        if head is None:
            self._check_partial_head()
        else:
            self._empty_lines = self._checked = 0
        return head

    def _check_partial_head(self) -> None:
        """Refuse at once what cannot become a request; each octet is looked at once or twice, however it comes."""
        check_partial_head(self._buffer.peek(limits.HEAD_OCTETS, max(self._checked - 1, 0)))
        if self._checked <= limits.REQUEST_LINE_OCTETS < len(self._buffer):
            check_line_length(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        self._checked = len(self._buffer)

    def _sent_length(self, status: int, size: int | None) -> int | None:
        """Return the framing of the response: octets, CHUNKED or UNTIL_CLOSE, None for no length field."""
        # RFC 9110 section 8.6: no Content-Length with 1xx and 204; with 304 it may be left out.
        if status < 200 or status in (204, 304):
            return None
        if size is not None:
            return size
        # RFC 9112 section 6.1: chunked only for a request that says HTTP/1.1.
        return CHUNKED if self._request is None or self._request.version >= HTTP_1_1 else UNTIL_CLOSE

    def _connection_option(self) -> bytes | None:
        # RFC 9112 section 9.6: a server that will close says so.
        if not self.persistent:
            return b"close"
        # RFC 9112 section 9.3 (appendix C.2.2): an HTTP/1.0 client learns that its wish was heard.
        return b"keep-alive" if self._request and self._request.version < HTTP_1_1 else None


class ClientConnection(_Connection):
    """The client's side: requests may go ahead of their responses, which come in order (section 9.3.2)."""

    def __init__(self, body_limit_octets: int = limits.RESPONSE_BODY_OCTETS) -> None:
        super().__init__(body_limit_octets)
        self._methods: deque[bytes] = deque()
        self._ends_after_this = False

    @property
    def unanswered(self) -> int:
        """How many requests have no complete response yet."""
        return len(self._methods)

    def send_request(self, request: Request, body: bytes = b"") -> bytes:
        """Return a whole request; Content-Length is added where there is a body and no field frames it."""
        if not self.persistent or self.unanswered >= limits.PIPELINED_REQUESTS:
            raise LocalProtocolError("no further request may be sent on this connection now")
        if body and not request.fields.has_any((b"content-length", b"transfer-encoding")):
            fields = request.fields.adding((b"Content-Length", b"%d" % len(body)))
            request = Request(request.method, request.request_target, fields, request.version)
        framing = request_framing(request)
        encoder = BodyEncoder(framing.length)
        octets = format_request_head(request) + encoder.data(body) + encoder.end()
        for signal in (Signal.HEAD, Signal.END, Signal.NEXT):
            self.sending = move(self.sending, signal)
        # RFC 9112 section 9.6: after a request with close, no further one.
        self.persistent = framing.persistent
        self._methods.append(request.method)
        return octets

    def receive_data(self, data: bytes) -> list[Event]:
        """Take octets from the server; returns the events that they complete."""
        if self.receiving in (Half.FAILED, Half.CLOSED):
            return []
        if fault := self._feed(data):
            return [fault]
        return self._drain(self._step)

    def receive_eof(self) -> list[Event]:
        """Take note of the connection's end: the end of a message, a Fault, or Closed between messages.

        After Closed, `unanswered` requests will get no response.
        """
        self.persistent = False
        if self.receiving is Half.BODY and self._decoder is not None:
            return self._drain(self._end_step)
        if self.receiving is Half.IDLE and self._buffer:
            return [self._fail(502, "the connection ended inside a response's header section")]
        return [] if self.receiving is Half.FAILED else [Closed()]

    def _end_step(self) -> Event | None:
        if self.receiving is not Half.BODY or self._decoder is None:
            return None
        event = self._decoder.at_eof()
        self._complete()
        return event

    def _step(self) -> Event | None:
        if self.receiving is Half.IDLE:
            return self._head_step()
        if self.receiving is not Half.BODY:
            return None
        event = self._decoder.step(self._buffer) if self._decoder else END
        if isinstance(event, EndOfMessage):
            self._complete()
        return event

    def _complete(self) -> None:
        self._methods.popleft()
        self.receiving = move(self.receiving, Signal.END)
        signal = Signal.CLOSE if self._ends_after_this else Signal.NEXT
        self.receiving = move(self.receiving, signal)

    def _head_step(self) -> Event | None:
        if not self._methods:
            if self._buffer:
                # RFC 9112 section 9.2: octets that answer no request are not a response.
                raise HTTPError(502, "the server sent octets that nothing asked for")
            return None
        try:
            head = self._buffer.take_through(HEAD_END, limits.HEAD_OCTETS)
        except LimitExceededError as error:
            raise HTTPError(502, "the response's header section is too long") from error
        return None if head is None else self._open_response(parse_response_head(head))

    def _open_response(self, response: Response) -> Response:
        # RFC 9110 section 15.2: any number of interim responses come before the final one.
        if response.status < 200:
            if response.status == 101:
                raise HTTPError(502, "the server switched protocols unasked")
            self.receiving = move(self.receiving, Signal.INTERIM)
            return response
        framing = response_framing(self._methods[0], response)
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self._ends_after_this = not framing.persistent
        if self._ends_after_this:
            self.persistent = False
        self.receiving = move(self.receiving, Signal.HEAD)
        return response
