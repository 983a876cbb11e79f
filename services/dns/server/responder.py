"""From the octets of a query to the octets of its response, around any handler of messages.

    respond = Responder(handler)
    respond(octets, Client("192.0.2.1", 53124, over_tcp=False))   -> octets, None for silence, or an awaitable of those

A handler is a function of a query and the client that returns a response, or None for silence, or an awaitable of
either. What a handler never sees: responses (they are ignored, or two servers would talk for ever), opcodes beside
QUERY (NOTIMP), any number of questions but one and octets that are no message (FORMERR; RFC 1035 section 4.1.1,
RFC 9619), EDNS versions beside 0 (BADVERS; RFC 6891 section 6.1.3). A handler's failure is a SERVFAIL.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from services.dns.codec.codes import Opcode, Rcode
from services.dns.codec.edns import EDNS, UDP_SIZE_DEFAULT
from services.dns.codec.errors import WireError
from services.dns.codec.message import HEADER_OCTETS, MESSAGE_OCTETS_MAX, Message
from services.dns.codec.truncation import encode, udp_limit


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, and over what."""

    host: str
    port: int
    over_tcp: bool = False


Handled = Message | None | Awaitable[Message | None]
Handler = Callable[[Message, Client], Handled]
Response = bytes | None | Awaitable[bytes | None]
FailureReport = Callable[[Exception], None]


def accept(data: bytes) -> Message | bytes | None:
    """Return the query that octets are, or the response that is all they earn, or None for silence."""
    # A header at least, so that what goes out is never more than what came in.
    if len(data) < HEADER_OCTETS or data[2] & 0x80:
        return None
    if data[2] >> 3 & 0xF != Opcode.QUERY:
        return _bare(data, Rcode.NOTIMP)
    if data[4:6] != b"\x00\x01":
        return _bare(data, Rcode.FORMERR)
    try:
        query = Message.from_wire(data)
    except WireError:
        return _bare(data, Rcode.FORMERR)
    if query.edns is not None and query.edns.version > 0:
        return replace(query.reply(Rcode.BADVERS), edns=EDNS()).to_wire()
    return query


def _bare(data: bytes, rcode: int) -> bytes:
    """Return a header alone: the query's id, opcode and RD, and a code; nothing is echoed that was not understood."""
    return data[:2] + bytes((0x80 | data[2] & 0x79, rcode)) + bytes(8)


def finished(query: Message, reply: Message, client: Client, udp_size_max: int) -> bytes:
    """Return a reply's octets with the EDNS that the query earns, cut to what the client takes."""
    if query.edns is None:
        # RFC 6891 section 6.1.1: no OPT to who sent none; a code that needs it becomes SERVFAIL.
        reply = replace(reply, edns=None, rcode=reply.rcode if reply.rcode <= 0xF else Rcode.SERVFAIL)
    elif reply.edns is None:
        # RFC 3225 section 3: DO is copied.
        reply = replace(reply, edns=EDNS(udp_size_max, do=query.edns.do))
    return encode(reply, MESSAGE_OCTETS_MAX if client.over_tcp else udp_limit(query, udp_size_max))


class Responder:
    """Answers octets with octets through `handler`; `failed` is told what a handler raises."""

    def __init__(
        self, handler: Handler, udp_size_max: int = UDP_SIZE_DEFAULT, failed: FailureReport | None = None
    ) -> None:
        self._handler = handler
        self._udp_size_max = udp_size_max
        self._failed = failed

    def __call__(self, data: bytes, client: Client) -> Response:
        """Return the response's octets, None for silence, or an awaitable of either."""
        query = accept(data)
        return self.respond(query, client) if isinstance(query, Message) else query

    def respond(self, query: Message, client: Client) -> Response:
        """Return what the handler makes of a query that was accepted."""
        try:
            handled = self._handler(query, client)
        except Exception as error:
            return self._servfail(query, client, error)
        if handled is None or isinstance(handled, Message):
            return self._octets(query, handled, client)
        return self._awaited(query, handled, client)

    async def _awaited(self, query: Message, handled: Awaitable[Message | None], client: Client) -> bytes | None:
        try:
            reply = await handled
        except Exception as error:
            return self._servfail(query, client, error)
        return self._octets(query, reply, client)

    def _octets(self, query: Message, reply: Message | None, client: Client) -> bytes | None:
        return None if reply is None else finished(query, reply, client, self._udp_size_max)

    def _servfail(self, query: Message, client: Client, error: Exception) -> bytes:
        if self._failed is not None:
            self._failed(error)
        return finished(query, query.reply(Rcode.SERVFAIL), client, self._udp_size_max)
