"""A responder for zones that do not change: what was answered once is answered again from its octets.

Two queries with the same octets after the id, letters of the name aside, get the same response, but for the id, the
spelling of the name in the question, and the turn of the address sets. So a response is kept as three pieces: the id
and the question come from each query, the rest from here, one rest for each turn. Names in the rest that repeat the
question's are pointers to it (codec.wire), so they follow its spelling. A response whose rdata spells a part of
the question's name, which DNAME makes, is not kept; neither is one to a query with EDNS options, which are mostly
different in each, nor one that has no question section like the query's.
"""

from services.dns.codec.edns import UDP_SIZE_DEFAULT
from services.dns.codec.message import HEADER_OCTETS, Message
from services.dns.server.responder import Client, accept, finished
from services.dns.zones.handler import Authority, response, turns
from services.dns.zones.lookup import Answer

# Responses that are kept; at about 600 octets each, 40 MiB at most.
RESPONSES_MAX = 65_536
# Orders of one response that are kept; more addresses than that and it is made anew.
TURNS_MAX = 32
# Questions whose turn is remembered.
QUESTIONS_MAX = 65_536


class _Kept:
    """One response: its header after the id, what follows the question for each turn, and whose turn counts."""

    __slots__ = ("after_question", "header", "rests", "turn")

    def __init__(self, header: bytes, rests: list[bytes], turn: list[int], after_question: int) -> None:
        self.header = header
        self.rests = rests
        self.turn = turn
        self.after_question = after_question


class AuthoritativeResponder:
    """Answers octets with octets from an authority, rotating address sets with `rotate`.

    `caching` False makes each response anew, with the same octets.
    """

    def __init__(
        self,
        authority: Authority,
        udp_size_max: int = UDP_SIZE_DEFAULT,
        rotate: bool = True,
        caching: bool = True,
    ) -> None:
        self._authority = authority
        self._udp_size_max = udp_size_max
        self._rotate = rotate
        self._caching = caching
        self._kept: dict[bytes, _Kept] = {}
        self._turns: dict[tuple[tuple[bytes, ...], int], list[int]] = {}

    def __call__(self, data: bytes, client: Client) -> bytes | None:
        """Return the response's octets, or None for silence."""
        if client.over_tcp:
            return self._fresh(data, client)
        return self.cached(data) or self._fresh(data, client)

    def cached(self, data: bytes) -> bytes | None:
        """Return the response to a datagram if it is kept."""
        # The same as _key(), without a call: this is the path that most queries take.
        name_end = data.find(0, HEADER_OCTETS)
        kept = self._kept.get(data[2:HEADER_OCTETS] + data[HEADER_OCTETS:name_end].lower() + data[name_end:])
        if kept is None:
            return None
        rests = kept.rests
        if len(rests) == 1:
            return data[:2] + kept.header + data[HEADER_OCTETS : kept.after_question] + rests[0]
        turn = kept.turn[0]
        kept.turn[0] = turn + 1
        return data[:2] + kept.header + data[HEADER_OCTETS : kept.after_question] + rests[turn % len(rests)]

    def _fresh(self, data: bytes, client: Client) -> bytes | None:
        query = accept(data)
        if not isinstance(query, Message):
            return query
        answer = self._authority.answer(query.questions[0])
        count = turns(answer) if self._rotate else 1
        counter = self._counter(query) if count > 1 else [0]
        turn = counter[0]
        counter[0] = turn + 1
        if self._caching and not client.over_tcp and count <= TURNS_MAX and _may_be_kept(query, answer):
            self._keep(data, query, answer, client, counter)
        return self._octets(query, answer, client, turn)

    def _octets(self, query: Message, answer: Answer, client: Client, turn: int) -> bytes:
        return finished(query, response(query, answer, turn), client, self._udp_size_max)

    def _keep(self, data: bytes, query: Message, answer: Answer, client: Client, counter: list[int]) -> None:
        name = query.questions[0].name.to_wire()
        after = HEADER_OCTETS + len(name) + 4
        # A question whose name is a pointer is longer or shorter than the one that the response repeats.
        if data[HEADER_OCTETS : after - 4] != name:
            return
        count = turns(answer) if self._rotate else 1
        wires = [self._octets(query, answer, client, turn) for turn in range(count)]
        if len(self._kept) >= RESPONSES_MAX:
            self._kept.clear()
        self._kept[_key(data)] = _Kept(wires[0][2:HEADER_OCTETS], [wire[after:] for wire in wires], counter, after)

    def _counter(self, query: Message) -> list[int]:
        """Return the turn of a question, shared by all queries that ask it, whatever else they carry."""
        question = query.questions[0]
        if len(self._turns) >= QUESTIONS_MAX:
            self._turns.clear()
        return self._turns.setdefault((question.name.folded, question.rtype), [0])


def _key(data: bytes) -> bytes:
    """Return what two queries share that get the same response: all but the id and the case of the name.

    Octets of length in a name are below 64 and no letters, so folding leaves them alone. A label with a zero octet
    ends the folding early, which makes two keys where one would do.
    """
    name_end = data.find(0, HEADER_OCTETS)
    return data[2:HEADER_OCTETS] + data[HEADER_OCTETS:name_end].lower() + data[name_end:]


def _may_be_kept(query: Message, answer: Answer) -> bool:
    return not answer.spells_qname and not (query.edns and query.edns.options)
