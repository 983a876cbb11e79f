"""Responder: decodes a query, calls the handler, and encodes the response with EDNS and truncation.

    respond = Responder(handler)
    respond(octets, Client("192.0.2.1", 53124, over_tcp=False))   -> octets, None to drop the query, or an awaitable

A handler is a callable of a query and a client that returns a response, None to drop the query, or an awaitable of
either. It does not get responses (dropped, because two servers could exchange them for ever), opcodes other than QUERY
(NOTIMP), malformed messages and those without exactly one question (FORMERR; RFC 1035 section 4.1.1, RFC 9619), EDNS
versions other than 0 (BADVERS; RFC 6891 section 6.1.3). An exception of the handler is a SERVFAIL.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from services.dns.codec.codes import Opcode, Rcode
from services.dns.codec.errors import WireError
from services.dns.codec.message import (
    EDNS,
    HEADER_OCTETS,
    MESSAGE_OCTETS_MAX,
    UDP_SIZE_DEFAULT,
    Message,
    encode,
    udp_limit,
)


@dataclass(frozen=True, slots=True)
class Client:
    """The client's address and port, and the transport."""

    host: str
    port: int
    over_tcp: bool = False


Handled = Message | None | Awaitable[Message | None]
Handler = Callable[[Message, Client], Handled]
Response = bytes | None | Awaitable[bytes | None]
ErrorCallback = Callable[[Exception], None]


def accept(data: bytes) -> Message | bytes | None:
    """Decode a query; return an encoded error response if it is invalid, None if it must be dropped."""
    # Respond only to a complete header, so that an error response is never longer than the query.
    if len(data) < HEADER_OCTETS or data[2] & 0x80:
        return None
    if data[2] >> 3 & 0xF != Opcode.QUERY:
        return _error(data, Rcode.NOTIMP)
    if data[4:6] != b"\x00\x01":
        return _error(data, Rcode.FORMERR)
    try:
        query = Message.from_wire(data)
    except WireError:
        return _error(data, Rcode.FORMERR)
    if query.edns is not None and query.edns.version > 0:
        return replace(query.reply(Rcode.BADVERS), edns=EDNS()).to_wire()
    return query


def _error(data: bytes, rcode: int) -> bytes:
    """Encode a header without sections: the query's id, opcode and RD, and the rcode."""
    return data[:2] + bytes((0x80 | data[2] & 0x79, rcode)) + bytes(8)


def encode_reply(query: Message, reply: Message, client: Client, udp_size_max: int) -> bytes:
    """Encode a reply: with EDNS if the query has it, truncated to the size that the client accepts."""
    if query.edns is None:
        # RFC 6891 section 6.1.1: no OPT in a response to a query without; an extended rcode becomes SERVFAIL.
        reply = replace(reply, edns=None, rcode=reply.rcode if reply.rcode <= 0xF else Rcode.SERVFAIL)
    elif reply.edns is None:
        # RFC 3225 section 3: DO is copied.
        reply = replace(reply, edns=EDNS(udp_size_max, do=query.edns.do))
    return encode(reply, MESSAGE_OCTETS_MAX if client.over_tcp else udp_limit(query, udp_size_max))


class Responder:
    """Responder around `handler`; `on_error` is called with the exceptions that the handler raises."""

    def __init__(
        self, handler: Handler, udp_size_max: int = UDP_SIZE_DEFAULT, on_error: ErrorCallback | None = None
    ) -> None:
        self._handler = handler
        self._udp_size_max = udp_size_max
        self._on_error = on_error

    def __call__(self, data: bytes, client: Client) -> Response:
        """Return the encoded response, None to drop the query, or an awaitable of either."""
        query = accept(data)
        return self.respond(query, client) if isinstance(query, Message) else query

    def respond(self, query: Message, client: Client) -> Response:
        """Dispatch a decoded query to the handler and return the encoded response, as __call__ does."""
        try:
            handled = self._handler(query, client)
        except Exception as error:
            return self._servfail(query, client, error)
        if handled is None or isinstance(handled, Message):
            return self._encode(query, handled, client)
        return self._wait(query, handled, client)

    async def _wait(self, query: Message, handled: Awaitable[Message | None], client: Client) -> bytes | None:
        try:
            reply = await handled
        except Exception as error:
            return self._servfail(query, client, error)
        return self._encode(query, reply, client)

    def _encode(self, query: Message, reply: Message | None, client: Client) -> bytes | None:
        return None if reply is None else encode_reply(query, reply, client, self._udp_size_max)

    def _servfail(self, query: Message, client: Client, error: Exception) -> bytes:
        if self._on_error is not None:
            self._on_error(error)
        return encode_reply(query, query.reply(Rcode.SERVFAIL), client, self._udp_size_max)
