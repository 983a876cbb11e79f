"""Responder and response cache: from the octets of a query to the octets of its response.

    respond = Responder(handler)
    respond(octets, Client("192.0.2.1", 53124, over_tcp=False))   -> octets, None to drop the query, or an awaitable

The responder decodes a query, calls the handler, and encodes the response, with EDNS (RFC 6891 section 6.1.1, RFC 3225
section 3) and the server's EDNS options (edns_options), truncated if necessary. A handler is a callable of a query and
a client that returns a response, None to drop the query, or an awaitable of either. The handler gets valid queries
only: the responder drops responses (two servers could exchange them for ever), and itself answers opcodes other than
QUERY (NOTIMP), malformed messages and messages without exactly one question (FORMERR; RFC 1035 section 4.1.1, RFC
9619), and EDNS versions other than 0 (BADVERS; RFC 6891 section 6.1.3). An exception of the handler results in
SERVFAIL. An error response to a query with OPT has OPT, even if the OPT of the query is malformed (section 7). The
responses to a query with TSIG are signed; a query whose signature is not valid gets NOTAUTH (RFC 8945 section 5.2).

The response cache is looked up before the responder is called. It has encoded UDP responses, and reuses them for
queries that differ only in message id and case of the qname:

    query     id=7   WWW.example.com. A   rd      ->  key: everything after the id, qname in lower case
    response  id=7   WWW.example.com. A   [header, TTLs and rdata from the cache]

A response is stored without its id and its question; `get` puts those of the new query in front of the rest. Names in
the rest are compressed to pointers into the question (RFC 1035 section 4.1.4), so they follow the case of each query.
StaticResponseCache serves an authoritative server, whose TTLs are constant; AgingResponseCache serves a resolver, whose
TTLs count down. Both rotate the order of addresses (RFC 1794 section 3). lab7.services.dns.recursion.cache explains the
difference from the RRset cache and the infra cache.

Not stored: responses to queries with EDNS options, which mostly differ in each query (cookies, client subnets), and
signed responses (TSIG), and responses to queries whose own qname is compressed, because the offset of the rest would
differ.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from math import ceil

from lab7.services.bounded_dict import BoundedDict, cost_of
from lab7.services.dns.codec.codes import ADDRESS_TYPES, Opcode, Rcode, RRType
from lab7.services.dns.codec.errors import NameTooLongError, WireError
from lab7.services.dns.codec.message import (
    EDNS,
    HEADER_OCTETS,
    MESSAGE_OCTETS_MAX,
    TC,
    UDP_SIZE_DEFAULT,
    Message,
    encode,
    read_envelope,
    udp_limit,
)
from lab7.services.dns.codec.name import Reader
from lab7.services.dns.server.edns_options import (
    OPTION_PADDING,
    EDNSOptions,
    Transport,
    check_options,
    cookie_of,
    padding_of,
)
from lab7.services.dns.server.tsig import SignedTransaction, TSIGKeys, find_tsig


@dataclass(frozen=True, slots=True)
class Client:
    """Source of a query: address, port and transport; `idle_s`: idle timeout of its TCP connection in seconds."""

    host: str
    port: int
    over_tcp: bool = False
    encrypted: bool = False
    idle_s: float | None = None

    @property
    def transport(self) -> Transport:
        """The transport by which the query has arrived, for EDNS options."""
        return Transport(self.host, self.encrypted, self.idle_s)


Handled = Message | None | Awaitable[Message | None]
Handler = Callable[[Message, Client], Handled]
Response = bytes | None | Awaitable[bytes | None]
ErrorCallback = Callable[[Exception], None]


def accept(data: bytes) -> Message | bytes | None:
    """Decode a query; return an encoded error response if it is invalid, None if it must be dropped."""
    return ServerCodec().decode(data, Client("", 0))


def _decoded(data: bytes) -> tuple[Message, int] | None:
    """Decode a query; return (query, rcode), where NOERROR means that it can be answered; None if it must be dropped.

    The query may have any number of questions. If the rcode is FORMERR or BADVERS, the query has only its envelope:
    header, questions and OPT.
    """
    # Respond only to a complete header, so that an error response is never longer than the query.
    if len(data) < HEADER_OCTETS or data[2] & 0x80:
        return None
    rcode = Rcode.NOERROR if data[2] >> 3 & 0xF == Opcode.QUERY else Rcode.NOTIMP
    try:
        # As in BIND and NSD, octets behind the message are ignored.
        query = Message.from_wire(data, ignore_trailing=True)
    except WireError:
        query, rcode = read_envelope(data), rcode or Rcode.FORMERR
    if query.edns is not None and query.edns.version > 0:
        # RFC 6891 section 6.1.3: BADVERS, whatever the options, whose format may differ in another version.
        query, rcode = read_envelope(data), Rcode.BADVERS
    return query, rcode


def _refusal(query: Message, rcode: int) -> Message:
    """Return the error response to a query that cannot be answered: a header, and for EDNS or TSIG the question.

    RFC 6891 section 7: the minimal response to a query with OPT has header, question and OPT.
    """
    has_question = (query.edns is not None or query.signer is not None) and len(query.questions) == 1
    return replace(query.reply(rcode), questions=query.questions if has_question else ())


class ServerCodec:
    """Codec of a server: decodes queries, encodes responses with the server's EDNS options and signatures.

    udp_size_max: maximum size of a UDP response in octets; options: None for a server without EDNS options; keys: TSIG
    keys by name; now: their clock in seconds since 1970, which a server without keys does not need.
    """

    def __init__(
        self,
        udp_size_max: int = UDP_SIZE_DEFAULT,
        options: EDNSOptions | None = None,
        keys: TSIGKeys | None = None,
        now: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.udp_size_max = udp_size_max
        self._options = options
        self._keys = {} if keys is None else keys
        self._now = now

    def decode(self, data: bytes, client: Client) -> Message | bytes | None:
        """Decode a query; return the Message, or an encoded error response, or None if the query must be dropped.

        An error response is returned if the query is invalid, or if its EDNS options require a response without an
        answer.
        """
        decoded = _decoded(data)
        if decoded is None:
            return None
        query, rcode = decoded
        reply = None
        # A query with TSIG has additional records; those of another opcode may not have been decoded.
        if query.additional or (query.opcode != Opcode.QUERY and rcode == Rcode.NOTIMP):
            query, rcode = self._authenticated(data, query, rcode)
        if self._options is not None and rcode in (Rcode.NOERROR, Rcode.NOTIMP):
            reply = self._reply_to_options(query, self._options, client)
        if reply is None and rcode == Rcode.NOERROR and len(query.questions) == 1:
            return query
        return self.encode(query, reply or _refusal(query, rcode or Rcode.FORMERR), client)

    def _authenticated(self, data: bytes, query: Message, rcode: int) -> tuple[Message, int]:
        """Verify the TSIG signature of a query; return the query with the signer of its responses, and the rcode.

        The rcode is NOTAUTH if the signature is not valid.
        """
        try:
            record = find_tsig(data)
            signer = None if record is None else SignedTransaction(data, record, self._keys, self._now)
        except (WireError, NameTooLongError):
            # RFC 8945 sections 5.1 and 5.2
            return query, Rcode.FORMERR
        if signer is None:
            return query, rcode
        return replace(query, signer=signer), Rcode.NOTAUTH if signer.error else rcode

    @property
    def requires_cookie(self) -> bool:
        """True if UDP queries without a valid server cookie are not answered."""
        return self._options is not None and self._options.require_cookie

    def _reply_to_options(self, query: Message, options: EDNSOptions, client: Client) -> Message | None:
        """Return a response that the EDNS options of a query require instead of an answer; None if it requires none."""
        sent = () if query.edns is None else query.edns.options
        if not (sent or options.require_cookie):
            return None
        try:
            check_options(sent, client.transport)
        except WireError:
            return query.reply(Rcode.FORMERR)
        has_cookie = cookie_of(sent) is not None
        if has_cookie and not query.questions and query.opcode == Opcode.QUERY:
            # RFC 7873 section 5.4: a query without a question requests a server cookie.
            return query.reply()
        if not options.require_cookie or client.over_tcp or options.has_valid_cookie(sent, client.transport):
            return None
        # RFC 7873 section 5.2.3; a client without cookies repeats its query over TCP (section 5.2.1).
        return query.reply(Rcode.BADCOOKIE) if has_cookie else replace(query.reply(), tc=True)

    def encode(self, query: Message, reply: Message, client: Client) -> bytes:
        """Encode a reply: with EDNS and TSIG if the query has them, truncated to the size that the client accepts."""
        limit = MESSAGE_OCTETS_MAX if client.over_tcp else udp_limit(query, self.udp_size_max)
        signer = query.signer
        if signer is None:
            return self._encode(query, reply, client, limit)
        return signer.sign(self._encode(query, reply, client, limit - signer.octets))

    def _encode(self, query: Message, reply: Message, client: Client, limit: int) -> bytes:
        if query.edns is None:
            # RFC 6891 section 6.1.1: no OPT in a response to a query without; an extended rcode becomes SERVFAIL.
            rcode = reply.rcode if reply.rcode <= 0xF else Rcode.SERVFAIL
            return encode(replace(reply, edns=None, rcode=rcode), limit)
        # RFC 3225 section 3: the response repeats the DO bit of the query.
        edns = replace(reply.edns or EDNS(), udp_size=self.udp_size_max, do=query.edns.do)
        sent = query.edns.options
        if not sent or self._options is None:
            return encode(replace(reply, edns=edns), limit)
        edns = replace(edns, options=(*edns.options, *self._options.in_response(sent, client.transport)))
        octets = encode(replace(reply, edns=edns), limit)
        if not client.encrypted or all(option.code != OPTION_PADDING for option in sent):
            # RFC 7830 section 6: without encryption, padding would only cost.
            return octets
        padded = replace(edns, options=(*edns.options, padding_of(len(octets), limit)))
        return encode(replace(reply, edns=padded), limit)


class Responder:
    """Function from query octets to response octets: decodes the query, calls `handler`, encodes the response.

    `on_error` is called with each exception that the handler raises.
    """

    def __init__(
        self, handler: Handler, codec: ServerCodec | None = None, on_error: ErrorCallback | None = None
    ) -> None:
        self._handler = handler
        self.codec = codec or ServerCodec()
        self._on_error = on_error

    def __call__(self, data: bytes, client: Client) -> Response:
        """Return the encoded response, None to drop the query, or an awaitable of either."""
        query = self.codec.decode(data, client)
        return self.respond(query, client) if isinstance(query, Message) else query

    def respond(self, query: Message, client: Client) -> Response:
        """Call the handler with a decoded query, and return the encoded response.

        As in __call__, the result may also be None, to drop the query, or an awaitable.
        """
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
        return None if reply is None else self.codec.encode(query, reply, client)

    def _servfail(self, query: Message, client: Client, error: Exception) -> bytes:
        if self._on_error is not None:
            self._on_error(error)
        return self.codec.encode(query, query.reply(Rcode.SERVFAIL), client)


# Maximum number of cached authoritative responses: 40 MiB at about 600 octets each.
STATIC_RESPONSES_MAX = 65_536
# Maximum number of cached authoritative responses by exact query; queries in random case (0x20) have many spellings.
EXACT_RESPONSES_MAX = 8_192
# Maximum number of cached responses of a resolver; one whose rotations have 1000 octets or more counts as several.
AGING_RESPONSES_MAX = 20_000
# Maximum number of rotations stored per response; larger address sets are encoded anew (static) or not rotated (aging).
ROTATIONS_MAX = 32

_U32 = struct.Struct("!I")
_CACHEABLE_RCODES = (Rcode.NOERROR, Rcode.NXDOMAIN)


def _cache_key(data: bytes) -> bytes:
    """Return the cache key of a query: all octets except the id, with the qname in lower case.

    lower() changes no length octets, because they are below 64, where ASCII has no letters. If a label contains a zero
    octet, only the labels before it are converted; queries in different cases then have different keys, which costs
    only a cache miss.
    """
    name_end = data.find(0, HEADER_OCTETS)
    return data[2:HEADER_OCTETS] + data[HEADER_OCTETS:name_end].lower() + data[name_end:]


def _question_end(data: bytes, query: Message) -> int | None:
    """Return the offset of the first octet after the question; None if responses to this query cannot be cached."""
    if query.signer is not None or (query.edns is not None and query.edns.options):
        return None
    name = query.questions[0].name.to_wire()
    end = HEADER_OCTETS + len(name) + 4
    return end if data[HEADER_OCTETS : end - 4] == name else None


class _StaticResponse:
    """A cached response with constant TTLs: header without id, and the octets after the question, in several rotations.

    There is one rotation for each order of its addresses; `counter` is the number of the next rotation to send.
    """

    __slots__ = ("counter", "header", "question_end", "rests")

    def __init__(self, header: bytes, rests: list[bytes], counter: list[int], question_end: int) -> None:
        self.header = header
        self.rests = rests
        self.counter = counter
        self.question_end = question_end


class StaticResponseCache:
    """Cache of at most `responses_max` encoded responses with constant TTLs; 0 disables it."""

    def __init__(self, responses_max: int = STATIC_RESPONSES_MAX) -> None:
        self._responses_max = responses_max
        self._responses: dict[bytes, _StaticResponse] = {}
        # Responses without rotation by the exact octets of a query, both without id: faster than by the folded name.
        self._exact: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, data: bytes) -> bytes | None:
        """Return the encoded response to the query `data`; None on a miss."""
        exact = self._exact.get(data[2:])
        if exact is not None:
            return data[:2] + exact
        # The cache key is computed inline, not by _cache_key(), because most queries take this path.
        name_end = data.find(0, HEADER_OCTETS)
        stored = self._responses.get(data[2:HEADER_OCTETS] + data[HEADER_OCTETS:name_end].lower() + data[name_end:])
        if stored is None:
            return None
        rests = stored.rests
        if len(rests) == 1:
            exact = stored.header + data[HEADER_OCTETS : stored.question_end] + rests[0]
            if len(self._exact) >= EXACT_RESPONSES_MAX:
                self._exact.clear()
            self._exact[data[2:]] = exact
            return data[:2] + exact
        rotation = stored.counter[0]
        stored.counter[0] = rotation + 1
        return data[:2] + stored.header + data[HEADER_OCTETS : stored.question_end] + rests[rotation % len(rests)]

    def accepts(self, data: bytes, query: Message, rotations: int) -> bool:
        """Tell whether the response to the query `data` may be stored, given its number of address rotations."""
        return self._responses_max > 0 and rotations <= ROTATIONS_MAX and _question_end(data, query) is not None

    def put(self, data: bytes, query: Message, rotations: list[bytes], counter: list[int]) -> None:
        """Store the response to the query `data`, encoded once for each rotation of its addresses.

        `counter[0]` is the number of the next rotation to send.
        """
        end = _question_end(data, query)
        if end is None:
            return
        if len(self._responses) >= self._responses_max:
            self._responses.clear()
            self._exact.clear()
        rests = [wire[end:] for wire in rotations]
        self._responses[_cache_key(data)] = _StaticResponse(rotations[0][2:HEADER_OCTETS], rests, counter, end)


class _AgingResponse:
    """A cached response whose TTLs count down: octets, offsets of the TTLs, and the address records to rotate."""

    __slots__ = (
        "age_s",
        "expires",
        "header",
        "question_end",
        "rest",
        "rotation",
        "rotations",
        "run",
        "stored",
        "ttl_offsets",
        "ttls",
    )

    def __init__(self, wire: bytes, question_end: int, now: float) -> None:
        self.header = wire[2:HEADER_OCTETS]
        self.question_end = question_end
        self.rest = bytearray(wire[question_end:])
        self.ttl_offsets, self.run = _ttl_offsets(wire, question_end)
        self.ttls = [_U32.unpack_from(self.rest, offset)[0] for offset in self.ttl_offsets]
        self.stored = now
        self.expires = now + min(self.ttls, default=0)
        self.rotation = 1
        self.age_s = -1
        self.rotations: list[bytes] = []

    @property
    def octets(self) -> int:
        """Number of octets in all rotations of the response."""
        count = self.run[2]
        return len(self.rest) * (count if 1 < count <= ROTATIONS_MAX else 1)

    def rest_at(self, now: float) -> bytes:
        """Return the octets after the question, with remaining TTLs at the time `now`, in the next rotation."""
        # Remaining TTLs are rounded down, as in the RRset cache, and are rewritten at most once a second.
        age_s = ceil(now - self.stored)
        if age_s != self.age_s:
            self.age_s = age_s
            for offset, ttl in zip(self.ttl_offsets, self.ttls, strict=True):
                _U32.pack_into(self.rest, offset, ttl - age_s)
            self.rotations = self._rotated()
        rotation = self.rotation
        self.rotation = rotation + 1
        return self.rotations[rotation % len(self.rotations)]

    def _rotated(self) -> list[bytes]:
        # Consecutive address records have equal sizes, so that slicing the octets rotates the records.
        begin, size, count = self.run
        end = begin + size * count
        whole = bytes(self.rest)
        if not 1 < count <= ROTATIONS_MAX:
            return [whole]
        cuts = range(begin, end, size)
        return [whole[:begin] + whole[cut:end] + whole[begin:cut] + whole[end:] for cut in cuts]


class AgingResponseCache:
    """LRU cache of at most `responses_max` responses, each of which expires with its lowest TTL; 0 disables it."""

    def __init__(self, responses_max: int = AGING_RESPONSES_MAX) -> None:
        self._responses: BoundedDict[bytes, _AgingResponse] = BoundedDict(responses_max)

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, data: bytes, now: float) -> bytes | None:
        """Return the encoded response to the query `data`; None on a miss, or if a TTL in it has expired."""
        key = _cache_key(data)
        stored = self._responses.get(key)
        if stored is None:
            return None
        if now >= stored.expires:
            self._responses.drop(key)
            return None
        return data[:2] + stored.header + data[HEADER_OCTETS : stored.question_end] + stored.rest_at(now)

    def put(self, data: bytes, query: Message, wire: bytes, now: float) -> None:
        """Store the encoded response `wire` to the query `data`.

        A response that is truncated, an error, or without a TTL above 0 is not stored.
        """
        flags = int.from_bytes(wire[2:4], "big")
        if flags & TC or flags & 0xF not in _CACHEABLE_RCODES:
            return
        end = _question_end(data, query)
        if end is None:
            return
        response = _AgingResponse(wire, end, now)
        if response.expires > now:
            self._responses.put(_cache_key(data), response, cost_of(response.octets))


def _ttl_offsets(wire: bytes, question_end: int) -> tuple[list[int], tuple[int, int, int]]:
    """Return (offsets of all TTLs, position of the addresses to rotate); offsets count from the end of the question.

    The position is (offset, size, count) of the last run of address records with the same owner in the answer section.
    """
    reader, offsets = Reader(wire, question_end), list[int]()
    answers = int.from_bytes(wire[6:8], "big")
    begin, size, run_owner, count = 0, 0, b"", 0
    for number in range(sum(int.from_bytes(wire[field : field + 2], "big") for field in (6, 8, 10))):
        start = reader.offset
        reader.name()
        reader.octets(4)
        rtype = int.from_bytes(wire[reader.offset - 4 : reader.offset - 2], "big")
        if rtype != RRType.OPT:
            offsets.append(reader.offset - question_end)
        owner = wire[start : reader.offset]
        reader.octets(4)
        reader.octets(reader.u16())
        if number < answers and rtype in ADDRESS_TYPES:
            begin, count = (begin, count + 1) if owner == run_owner else (start - question_end, 1)
            size, run_owner = reader.offset - start, owner
    return offsets, (begin, size, count)
