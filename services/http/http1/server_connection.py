"""The server's side of one HTTP/1 connection, without I/O: octets in, events out; responses in, octets out.

    server = ServerConnection(limits.REQUEST_BODY_OCTETS)
    server.receive_data(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")   # [Request(...), EndOfMessage()]
    server.send_response(Response(200, body=b"hi"), date)           # b"HTTP/1.1 200 OK\\r\\n..."
    server.next_exchange()                                          # what the client sent ahead

RFC 9112 sections 2.2, 6.3, 9.3 (persistence), 9.3.2 (pipelining) and 9.6; RFC 9110 sections 6.6.1 and 10.1.1;
RFC 9931 sections 4 (a refused Upgrade leaves the connection open) and 7 (a refused CONNECT closes it).
Of CONNECT and Upgrade only the way out, take_rest() and switch(); which requests take it is said in
proxying/relay.py and http2/upgrade.py.
"""

from functools import lru_cache

from services.errors import LimitExceededError
from services.http import limits
from services.http.errors import HTTPError
from services.http.fields import FieldLine, Fields
from services.http.http1.body import BodyEncoder, body_decoder
from services.http.http1.connection import Connection, Half, Signal, move
from services.http.http1.framing import CHUNKED, UNTIL_CLOSE, Framing, has_no_content, request_framing
from services.http.http1.head import (
    HEAD_END,
    check_line_length,
    check_partial_head,
    format_response_head,
    parse_request_head,
    parse_request_line,
)
from services.http.messages import (
    END,
    HTTP_1_1,
    NO_FIELDS,
    Closed,
    Event,
    Fault,
    Request,
    Response,
)

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


_OVER = (Half.FAILED, Half.CLOSED)
_HEAD = b"HEAD "


class ServerConnection(Connection):
    """The server's side: one exchange at a time; requests sent ahead wait in the buffer (section 9.3.2)."""

    def __init__(self, body_limit_octets: int) -> None:
        super().__init__(body_limit_octets)
        self.wants_continue = False
        # Whether the request under way has content, come already or not.
        self.has_content = False
        self._request: Request | None = None
        self._method = b""
        self._empty_lines = 0
        self._checked = 0
        self._has_line = False
        self._ended = False
        self._encoder = BodyEncoder(0)

    def receive_data(self, data: bytes) -> list[Event]:
        """Take octets from the client; returns what they complete, none while an exchange waits for its response."""
        if self.receiving in _OVER:
            return []
        if self._is_whole_head(data):
            try:
                return self._open(data)
            except HTTPError as error:
                return [self._fail(error.status, error.detail)]
        if fault := self._feed(data):
            return [fault]
        return self._drain(self._step)

    def _is_whole_head(self, data: bytes) -> bool:
        """Tell whether `data` is one head, no less and no more, as most reads are: it needs no buffer."""
        return (
            len(data) <= MEMO_HEAD_OCTETS
            and 0 < data.find(HEAD_END) == len(data) - len(HEAD_END)
            and self.receiving is Half.IDLE
            and not self._buffer
            and not data.startswith(b"\r\n")
        )

    def receive_eof(self) -> list[Event]:
        """Take note that the client sends no more; what it asked for is still answered."""
        self._ended = True
        if self.receiving is Half.IDLE:
            return [self._fail(400, "the connection ended inside a request") if self._buffer else Closed()]
        if self.receiving is Half.BODY:
            return self._drain(self._end_step)
        return []

    def _end_step(self) -> list[Event]:
        # No request's content ends with the connection, so this raises (RFC 9112 section 6.3, rule 7).
        return [self._decoder.at_eof()]

    def time_out(self) -> Fault:
        """Give up on a request that does not come to its end (RFC 9110 section 15.5.9)."""
        return self._fail(408, "the request did not come in time")

    def send_continue(self) -> bytes:
        """Return the interim response that asks for the content (RFC 9110 section 10.1.1)."""
        self.sending = move(self.sending, Signal.INTERIM)
        self.wants_continue = False
        return CONTINUE

    def send_interim(self, response: Response) -> bytes:
        """Return an interim response as it goes on the wire, nothing where the client may not have it."""
        self.sending = move(self.sending, Signal.INTERIM)
        # RFC 9110 section 15.2: HTTP/1.0 knows no interim responses.
        if self._request is None or self._request.version < HTTP_1_1:
            return b""
        if response.status == 100:
            self.wants_continue = False
        return format_response_head(Response(response.status, response.fields, reason=response.reason))

    def switch(self) -> bytes:
        """Leave the connection to another protocol after this request; returns what came behind it (RFC 9110 7.8)."""
        self.sending = move(self.sending, Signal.WHOLE)
        return self.take_rest()

    def take_rest(self) -> bytes:
        """Return what came behind a request after whose response the connection is another's (RFC 9110 9.3.6)."""
        self.persistent = False
        return self._buffer.take(len(self._buffer))

    def send_response(self, response: Response, date: bytes, close: bool = False) -> bytes:
        """Return a final response's head, and with it the content where that is bytes.

        A Body's content follows with send_data() and send_end(), unless `is_sent` is true already. Content-Length or
        Transfer-Encoding, Date (`date`) and Connection are added; the caller's fields have none of the first two.
        """
        body = response.body
        size = len(body) if isinstance(body, bytes) else body.size_octets
        length = self._sent_length(response.status, size)
        if close or length == UNTIL_CLOSE or self.receiving is not Half.DONE or self._has_ended():
            self.persistent = False
        if self._method == b"CONNECT" and response.status >= 300:
            # RFC 9931 section 7: what follows a CONNECT may be a tunnel's octets, no requests of the client's.
            self.persistent = False
        option = self._connection_option()
        if self._method == b"CONNECT":
            # RFC 9110 section 9.3.6: behind a 2xx the connection is a tunnel, and speaks HTTP no more.
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
        """Whether the response is complete."""
        return self.sending is Half.DONE

    @property
    def ends_with_connection(self) -> bool:
        """Whether only the connection's end shows where the response's content does."""
        return self.sending is Half.BODY and self._encoder.ends_with_connection

    def send_data(self, data: bytes) -> bytes:
        """Return content as it goes on the wire."""
        self.sending = move(self.sending, Signal.DATA)
        return self._encoder.data(data)

    def send_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Return what ends the content; trailers are left out where the framing has no place for them."""
        self.sending = move(self.sending, Signal.END)
        # RFC 9110 section 6.5.1: trailer fields may be discarded on the way.
        return self._encoder.end(trailers if self._encoder.is_chunked else NO_FIELDS)

    def next_exchange(self) -> list[Event]:
        """Begin the next exchange, and return what of it already came; raises LocalProtocolError when too early."""
        signal = Signal.NEXT if self.persistent else Signal.CLOSE
        if self.receiving is not Half.BODY:
            self.receiving = move(self.receiving, signal)
        self.sending = move(self.sending, signal)
        # What the last request was says nothing of the next one, even where that never becomes one.
        self._request, self._method, self._empty_lines = None, b"", 0
        if not self.persistent:
            return []
        events = self._drain(self._step) if self._buffer else []
        return events + self.receive_eof() if self._ended and self.receiving is not Half.FAILED else events

    def _fail(self, status: int, detail: str) -> Fault:
        if self.receiving is Half.IDLE and not self._method and self._buffer.peek(len(_HEAD)) == _HEAD:
            # RFC 9110 section 9.3.2: no content in a response to HEAD, even to one that is broken or never complete.
            self._method = b"HEAD"
        return super()._fail(status, detail)

    def _has_ended(self) -> bool:
        """Tell whether no request can follow: the client sends no more, and nothing that it sent waits."""
        return self._ended and not self._buffer

    def _step(self) -> list[Event]:
        if self.receiving is Half.IDLE:
            head = self._take_head()
            return [] if head is None else self._open(head)
        return self._body_step() if self.receiving is Half.BODY else []

    def _open(self, head: bytes) -> list[Event]:
        # Known before the head is judged: even a refused HEAD request gets no content.
        self._method = head[: head.find(b" ")]
        request, framing = _read_known_head(head) if len(head) <= MEMO_HEAD_OCTETS else _read_head(head)
        self._request = request
        self.persistent = framing.persistent
        self.has_content = framing.length != 0
        if framing.length == 0:
            self.receiving = move(self.receiving, Signal.WHOLE)
            return [request, END]
        self._decoder = body_decoder(framing.length, self._body_limit_octets)
        self.receiving = move(self.receiving, Signal.HEAD)
        # RFC 9110 section 10.1.1: 100 may be left out when content came along.
        self.wants_continue = framing.expects_continue and not self._buffer
        return [request]

    def _take_head(self) -> bytes | None:
        while self._buffer.peek(2) == b"\r\n":
            # RFC 9112 section 2.2: an empty line before the request line is skipped, some, not endlessly many.
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
        """Refuse at once what cannot become a request; each octet is looked at once or twice, however it comes."""
        # A CR that came last is looked at again, with what follows it.
        ends_in_cr = self._checked > 0 and self._buffer.peek(1, self._checked - 1) == b"\r"
        came = self._buffer.peek(limits.HEAD_OCTETS, self._checked - ends_in_cr)
        check_partial_head(came)
        if not self._has_line and b"\r\n" in came:
            # Judged as soon as it is there: who leaves out the version waits for a response, not to send more.
            self._has_line = True
            parse_request_line(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        if self._checked <= limits.REQUEST_LINE_OCTETS < len(self._buffer):
            check_line_length(self._buffer.peek(limits.REQUEST_LINE_OCTETS + 2).partition(b"\r\n")[0])
        self._checked = len(self._buffer)

    def _sent_length(self, status: int, size: int | None) -> int | None:
        """Return the framing of the response: octets, CHUNKED or UNTIL_CLOSE, None for no length field."""
        # RFC 9110 section 8.6: no Content-Length with 1xx and 204; with 304 it may be left out.
        if status < 200 or status in (204, 304) or (self._method == b"CONNECT" and status < 300):
            return None
        if size is not None:
            return size
        # RFC 9110 section 8.6: what a GET would have got is not known, so nothing is said of its length.
        if self._method == b"HEAD":
            return None
        # RFC 9112 section 6.1: chunked only for a request that says HTTP/1.1.
        return CHUNKED if self._request is None or self._request.version >= HTTP_1_1 else UNTIL_CLOSE

    def _connection_option(self) -> bytes | None:
        # RFC 9112 section 9.6: a server that will close says so.
        if not self.persistent:
            return b"close"
        # RFC 9112 section 9.3 (appendix C.2.2): an HTTP/1.0 client learns that its wish was heard.
        return b"keep-alive" if self._request and self._request.version < HTTP_1_1 else None
