"""MX routing: resolve a mail domain to the hosts to try, without I/O (RFC 5321 section 5).

    steps = find_route("example.net", own_names, random)
    lookup = next(steps)                        Lookup("example.net", MX)
    steps.send(Answer(records))                 the next Lookup, or StopIteration with a list of hosts

Hosts of equal preference are shuffled. A domain without MX but with an address is its own MX of preference 0 (implicit
MX); the MX `.` (null MX, RFC 7505) means that the domain accepts no mail; hosts with a preference not better than this
server's own are dropped, against loops (section 5.1).
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from random import Random

from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.errors import TextError
from services.dns.codec.message import Message, Record
from services.dns.codec.name import ROOT, Name
from services.dns.codec.rdata import AAAA, CNAME, MX, A
from services.mail.address import literal_address
from services.mail.smtp.reply import Reply

# Limit on MX hosts: section 5.1 requires at least two; Postfix's smtp_mx_address_limit is 5.
HOSTS_MAX = 8
# Limit on the CNAME chain in one response.
ALIASES_MAX = 16

NO_DOMAIN = Reply(550, "There is no such domain", "5.1.2")
NO_MAIL = Reply(556, "The domain takes no mail", "5.1.10")
NO_HOST = Reply(550, "The domain has neither a mail server nor an address", "5.4.4")
LOOPS_BACK = Reply(554, "Mail for the domain comes back to this server", "5.4.6")
NO_ANSWER = Reply(451, "The name servers do not answer for the domain", "4.4.3")
NO_ADDRESS = Reply(451, "The domain's mail servers have no address", "4.4.4")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A DNS query for the resolver."""

    name: Name
    rtype: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a Lookup; None after a timeout."""

    message: Message | None


@dataclass(frozen=True, slots=True)
class Host:
    """One host to try: its name and one address."""

    name: str
    address: str


Steps = Generator[Lookup, Answer, list[Host] | Reply]


def find_route(domain: str, own_names: Collection[str], random: Random) -> Steps:
    """Resolve a domain or address literal to hosts in order of preference, or to the reply for a failure.

    `own_names` are the host names of this server, in lower case.
    """
    address = literal_address(domain)
    if address is not None:
        return [Host(domain, address)]
    try:
        name = Name.from_text(domain + ".")
    except TextError:
        return NO_DOMAIN
    answer = yield Lookup(name, RRType.MX)
    if answer.message is None or answer.message.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return NO_ANSWER
    exchanges = [record.rdata for record in _final(answer.message, name, RRType.MX)]
    offered = [one for one in exchanges if isinstance(one, MX)]
    if answer.message.rcode == Rcode.NXDOMAIN and not offered:
        return NO_DOMAIN
    # RFC 7505 section 3
    if [one.exchange for one in offered] == [ROOT]:
        return NO_MAIL
    if not offered:
        hosts = yield from _addresses(name)
        return hosts if isinstance(hosts, Reply) or hosts else NO_HOST
    return (yield from _exchanges(offered, own_names, random))


def _exchanges(offered: Sequence[MX], own_names: Collection[str], random: Random) -> Steps:
    own = [one.preference for one in offered if _text(one.exchange) in own_names]
    left = [one for one in offered if one.exchange != ROOT and (not own or one.preference < min(own))]
    if not left:
        return LOOPS_BACK
    random.shuffle(left)
    left.sort(key=lambda one: one.preference)
    hosts: list[Host] = []
    failed: Reply = NO_HOST
    for one in left[:HOSTS_MAX]:
        found = yield from _addresses(one.exchange)
        if isinstance(found, Reply):
            failed = found
        else:
            hosts += found
    if hosts:
        return hosts
    # The missing address may be added later: report a temporary failure; the expiry of the queue makes it an error.
    return NO_ADDRESS if failed is NO_HOST else failed


def _addresses(name: Name) -> Steps:
    """Resolve a host's addresses, IPv4 first; empty if it has none."""
    hosts: list[Host] = []
    silent = False
    for rtype in (RRType.A, RRType.AAAA):
        answer = yield Lookup(name, rtype)
        if answer.message is None or answer.message.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            silent = True
            continue
        for record in _final(answer.message, name, rtype):
            if isinstance(record.rdata, A | AAAA):
                hosts.append(Host(_text(name), str(record.rdata.address)))
    return NO_ANSWER if silent and not hosts else hosts


def _final(message: Message, name: Name, rtype: int) -> list[Record]:
    """Return the records of a type at the end of the CNAME chain of a name (section 5.1)."""
    for _ in range(ALIASES_MAX):
        found = [one for one in message.answers if one.name == name and one.rtype == rtype]
        alias = next((one.rdata for one in message.answers if one.name == name and one.rtype == RRType.CNAME), None)
        if found or not isinstance(alias, CNAME):
            return found
        name = alias.target
    return []


def _text(name: Name) -> str:
    return str(name).rstrip(".").lower()
