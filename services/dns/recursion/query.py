"""One question to one server: what goes out, what may come of it, and which octets count as its answer.

RFC 5452 section 9.1 (id, question, address and port must fit; the shell's connected socket sees to the last two), RFC
1035 section 7.3. What does not fit is dropped, and the waiting goes on. The letters of the question are sent in random
case ("0x20", draft-vixie-dnsext-dns0x20): a forger must guess those too. RFC 7871 section 7.3: an answer about another
network than was asked for is dropped as well, and a client subnet that nobody asked for is taken off.
"""

from dataclasses import dataclass, replace
from random import Random

from services.dns.address_space import Network
from services.dns.codec.client_subnet import subnet_in, without_subnet
from services.dns.codec.codes import Opcode, Rcode, RRType
from services.dns.codec.edns import EDNS, UDP_SIZE_DEFAULT, ClientSubnet
from services.dns.codec.errors import WireError
from services.dns.codec.message import HEADER_OCTETS, Message
from services.dns.codec.name import Name
from services.dns.codec.records import Question


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the server at `address` about `zone`, and wait for `timeout_s`.

    The name goes out in `spelling`; with `exact_case` an answer must repeat it letter by letter. `subnet` is the
    network of the client, as far as the server is told; it goes out with EDNS only.
    """

    address: str
    question: Question
    spelling: Name
    zone: Name
    timeout_s: float
    tcp: bool = False
    edns: bool = True
    udp_size: int = UDP_SIZE_DEFAULT
    recursion_desired: bool = False
    exact_case: bool = False
    subnet: Network | None = None


@dataclass(frozen=True, slots=True)
class Replied:
    """An answer that fits came after `rtt_s`; `case_mangled` when it, or one before it, differed in case."""

    message: Message
    rtt_s: float
    case_mangled: bool = False
    size_octets: int = 0


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No answer that fits came in time; `case_mangled` when one came that differed in case alone."""

    case_mangled: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The server's host said that nobody is there."""


Outcome = Replied | TimedOut | Unreachable


class Expected:
    """Tells the answer to one query from all else.

    `case_mangled` tells that one came that differed in case, whether it was dropped for that or not.
    """

    def __init__(self, ask: Ask, message_id: int) -> None:
        self._ask = ask
        self._id = message_id
        self.case_mangled = False

    def replied(self, message: Message, rtt_s: float, size_octets: int) -> Replied:
        """Return the outcome that an accepted message is."""
        return Replied(message, rtt_s, self.case_mangled, size_octets)

    def query(self) -> bytes:
        """Return the query's octets."""
        subnet = () if self._ask.subnet is None else (ClientSubnet(self._ask.subnet).to_option(),)
        edns = EDNS(self._ask.udp_size, options=subnet) if self._ask.edns else None
        questions = (replace(self._ask.question, name=self._ask.spelling),)
        return Message(id=self._id, rd=self._ask.recursion_desired, questions=questions, edns=edns).to_wire()

    def accept(self, data: bytes) -> Message | None:
        """Return the message that octets are, if they answer the query; None drops them."""
        if int.from_bytes(data[:2], "big") != self._id:
            return None
        sent, meant = self._ask.spelling.to_wire(), self._ask.question.name.to_wire()
        after = HEADER_OCTETS + len(sent)
        kept_case = data[HEADER_OCTETS:after] == sent
        if kept_case:
            # With the name as it was meant, what points to it has no random letters.
            data = data[:HEADER_OCTETS] + meant + data[after:]
        try:
            message = Message.from_wire(data)
        except WireError:
            return None
        if self._ask.subnet is None or not self._ask.edns:
            message = without_subnet(message)
        return message if self._is_for_subnet(message) and self._fits(message, kept_case) else None

    def _is_for_subnet(self, message: Message) -> bool:
        """RFC 7871 section 11.2: tell whether an option in the answer is the query's, but for its scope."""
        try:
            answered = subnet_in(message)
        except WireError:
            return False
        return answered is None or answered.network == self._ask.subnet

    def _fits(self, message: Message, kept_case: bool) -> bool:
        if not message.qr or message.opcode != Opcode.QUERY:
            return False
        # RFC 6891 section 7: a server from before EDNS may answer FORMERR with nothing but a header.
        if not message.questions:
            return self._ask.edns and message.rcode == Rcode.FORMERR
        if message.questions != (self._ask.question,):
            return False
        self.case_mangled = self.case_mangled or not kept_case
        return kept_case or not self._ask.exact_case


def random_case(name: Name, random: Random) -> Name:
    """Return a name with its letters in random case."""
    return Name(tuple(_random_case(label, random) for label in name.folded))


def _random_case(label: bytes, random: Random) -> bytes:
    bits = random.getrandbits(len(label))
    return bytes(octet ^ 0x20 if 0x61 <= octet <= 0x7A and bits >> at & 1 else octet for at, octet in enumerate(label))


# Questions that a resolver does not pass on: transfers and what RFC 1035 section 3.2.3 has for mail that is gone.
NOT_RESOLVED = frozenset({RRType.OPT, RRType.TKEY, RRType.TSIG, RRType.IXFR, RRType.AXFR, RRType.MAILB, RRType.MAILA})
