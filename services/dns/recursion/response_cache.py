"""Answers ready to be sent again: the octets of a response, of which only id, question, TTLs and order change.

A response is kept as what follows its question, with the places of its TTLs. Two queries with the same octets after the
id, letters of the name aside, get the same response until the first of its TTLs is over; names in it that repeat the
question's are pointers to it (codec.wire), so they follow each query's spelling. The TTLs are written anew once
a second at most. An address set begins one address further on each time (RFC 1794 section 3): its records have the
same size each, so turning them is a matter of octets. Not kept: what has no TTL or one of 0, truncated responses, and
responses to queries with EDNS options, which are mostly different in each.
"""

import struct
from math import ceil

from services.bounded_dict import BoundedDict
from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.message import HEADER_OCTETS, TC, Message
from services.dns.codec.wire import Reader

# Responses of at most 1232 octets: 25 MiB at the worst.
RESPONSES_MAX = 20_000
# Orders of one response; a set of more addresses keeps its order.
TURNS_MAX = 32

_U32 = struct.Struct("!I")
_KEPT_RCODES = (Rcode.NOERROR, Rcode.NXDOMAIN)


class _Ready:
    """One response; `places` are those of the TTLs, `run` is where a set of addresses stands in it."""

    __slots__ = ("after", "age", "header", "places", "rest", "run", "stored", "ttls", "turn", "turned", "until")

    def __init__(self, wire: bytes, after: int, now: float) -> None:
        self.header = wire[2:HEADER_OCTETS]
        self.after = after
        self.rest = bytearray(wire[after:])
        self.places, self.run = _places(wire, after)
        self.ttls = [_U32.unpack_from(self.rest, place)[0] for place in self.places]
        self.stored = now
        self.until = now + min(self.ttls, default=0)
        self.turn = 1
        self.age = -1
        self.turned: list[bytes] = []

    def rest_at(self, now: float) -> bytes:
        """Return what follows the question, with the TTLs of `now`, in the next order."""
        # As in the cache: what is left is rounded down.
        age = ceil(now - self.stored)
        if age != self.age:
            self.age = age
            for place, ttl in zip(self.places, self.ttls, strict=True):
                _U32.pack_into(self.rest, place, ttl - age)
            self.turned = self._orders()
        turn = self.turn
        self.turn = turn + 1
        return self.turned[turn % len(self.turned)]

    def _orders(self) -> list[bytes]:
        begin, size, count = self.run
        end = begin + size * count
        whole = bytes(self.rest)
        if not 1 < count <= TURNS_MAX:
            return [whole]
        cuts = range(begin, end, size)
        return [whole[:begin] + whole[cut:end] + whole[begin:cut] + whole[end:] for cut in cuts]


class ReadyAnswers:
    """At most `responses_max` responses to datagrams."""

    def __init__(self, responses_max: int = RESPONSES_MAX) -> None:
        self._ready: BoundedDict[bytes, _Ready] = BoundedDict(responses_max)

    def get(self, data: bytes, now: float) -> bytes | None:
        """Return the response to a datagram if it is kept and none of it has expired."""
        key = _key(data)
        ready = self._ready.get(key)
        if ready is None:
            return None
        if now >= ready.until:
            self._ready.drop(key)
            return None
        return data[:2] + ready.header + data[HEADER_OCTETS : ready.after] + ready.rest_at(now)

    def keep(self, data: bytes, query: Message, wire: bytes, now: float) -> None:
        """Keep the response `wire` to the datagram `data`, if it can be kept."""
        name = query.questions[0].name.to_wire()
        after = HEADER_OCTETS + len(name) + 4
        flags = int.from_bytes(wire[2:4], "big")
        if flags & TC or flags & 0xF not in _KEPT_RCODES or (query.edns is not None and query.edns.options):
            return
        # A question whose name is a pointer is longer or shorter than the one that the response repeats.
        if data[HEADER_OCTETS : after - 4] != name:
            return
        ready = _Ready(wire, after, now)
        if ready.until > now:
            self._ready.put(_key(data), ready)


def _key(data: bytes) -> bytes:
    """Return what two queries share that get the same response: all but the id and the case of the name.

    Octets of length in a name are below 64 and no letters, so folding leaves them alone. A label with a zero octet ends
    the folding early, which makes two keys where one would do.
    """
    name_end = data.find(0, HEADER_OCTETS)
    return data[2:HEADER_OCTETS] + data[HEADER_OCTETS:name_end].lower() + data[name_end:]


def _places(wire: bytes, after: int) -> tuple[list[int], tuple[int, int, int]]:
    """Return where TTLs stand after the question, and the last run of address records: its begin, size and count."""
    reader, places = Reader(wire, after), list[int]()
    answers = int.from_bytes(wire[6:8], "big")
    begin, size, head, count = 0, 0, b"", 0
    for number in range(sum(int.from_bytes(wire[place : place + 2], "big") for place in (6, 8, 10))):
        start = reader.offset
        reader.name()
        reader.take(4)
        rtype = int.from_bytes(wire[reader.offset - 4 : reader.offset - 2], "big")
        if rtype != RRType.OPT:
            places.append(reader.offset - after)
        owner = wire[start : reader.offset]
        reader.take(4)
        reader.take(reader.u16())
        if number < answers and rtype in (RRType.A, RRType.AAAA):
            begin, count = (begin, count + 1) if owner == head else (start - after, 1)
            size, head = reader.offset - start, owner
    return places, (begin, size, count)
