"""MX routing, sans-IO: selection and order of the hosts that receive a domain's mail (RFC 5321 section 5).

    steps = find_route("example.net", own_names, random)
    next(steps)                        Lookup("example.net.", MX), a DNS query
    steps.send(Answer(response))       the next Lookup, or StopIteration with a list of hosts

If the domain has no usable host, the result is an SMTP reply with the reason. Hosts of equal preference are shuffled. A
domain without MX records but with an address is its own MX host with preference 0 (implicit MX). The MX record `.`
(null MX, RFC 7505) means that the domain accepts no mail. If this server (`own_names`) is one of the MX hosts, only
hosts with a lower preference value are tried; this prevents mail loops (section 5.1).
"""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from random import Random

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.errors import TextError
from lab7.services.dns.codec.message import Message, Record
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.codec.rdata import AAAA, CNAME, MX, A
from lab7.services.mail.address import literal_address
from lab7.services.mail.smtp.syntax import Reply

# Maximum number of MX hosts tried (RFC 5321 section 5.1: at least two; Postfix's smtp_mx_address_limit: 5).
HOSTS_MAX = 8
# Maximum number of CNAME records followed in a response, so that alias loops end.
ALIASES_MAX = 16

NO_DOMAIN = Reply(550, "Domain not found", "5.1.2")
NO_MAIL = Reply(556, "Domain does not accept mail (null MX)", "5.1.10")
NO_HOST = Reply(550, "Domain has neither MX nor address records", "5.4.4")
LOOPS_BACK = Reply(554, "Mail for the domain loops back to this server", "5.4.6")
NO_ANSWER = Reply(451, "Domain name lookup failed: try again", "4.4.3")
NO_ADDRESS = Reply(451, "The mail exchangers of the domain have no address", "4.4.4")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A DNS query that a sans-IO generator such as find_route() yields, to be sent by its caller."""

    name: Name
    rtype: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a Lookup: the DNS message, None after a time-out."""

    message: Message | None


@dataclass(frozen=True, slots=True)
class Host:
    """A mail server to try: its host name and one of its IP addresses."""

    name: str
    address: str


Lookups = Generator[Lookup, Answer, list[Host] | Reply]


def find_route(domain: str, own_names: Collection[str], random: Random) -> Lookups:
    """Yield DNS lookups for a domain or address literal; return its hosts in order of preference, or an SMTP reply.

    `own_names` are the host names of this server, in lower case. The reply gives the reason if there is no host.
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
    exchanges = [record.rdata for record in final_records(answer.message, name, RRType.MX)]
    mx_records = [record for record in exchanges if isinstance(record, MX)]
    if answer.message.rcode == Rcode.NXDOMAIN and not mx_records:
        return NO_DOMAIN
    # RFC 7505 section 3: a null MX means that the domain accepts no mail.
    if [record.exchange for record in mx_records] == [ROOT]:
        return NO_MAIL
    if not mx_records:
        hosts = yield from _addresses(name)
        return hosts if isinstance(hosts, Reply) or hosts else NO_HOST
    return (yield from _mx_hosts(mx_records, own_names, random))


def _mx_hosts(mx_records: Sequence[MX], own_names: Collection[str], random: Random) -> Lookups:
    own = [record.preference for record in mx_records if _text(record.exchange) in own_names]
    candidates = [
        record for record in mx_records if record.exchange != ROOT and (not own or record.preference < min(own))
    ]
    if not candidates:
        return LOOPS_BACK
    random.shuffle(candidates)
    candidates.sort(key=lambda record: record.preference)
    hosts: list[Host] = []
    failed: Reply = NO_HOST
    for record in candidates[:HOSTS_MAX]:
        result = yield from _addresses(record.exchange)
        if isinstance(result, Reply):
            failed = result
        else:
            hosts += result
    if hosts:
        return hosts
    # A missing address is a temporary failure, since it may be added before the message expires.
    return NO_ADDRESS if failed is NO_HOST else failed


def _addresses(name: Name) -> Lookups:
    """Yield A and AAAA lookups for a host; return its addresses, IPv4 first, or a 4yz reply after a time-out."""
    hosts: list[Host] = []
    silent = False
    for rtype in (RRType.A, RRType.AAAA):
        answer = yield Lookup(name, rtype)
        if answer.message is None or answer.message.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            silent = True
            continue
        for record in final_records(answer.message, name, rtype):
            if isinstance(record.rdata, A | AAAA):
                hosts.append(Host(_text(name), str(record.rdata.address)))
    return NO_ANSWER if silent and not hosts else hosts


def final_records(message: Message, name: Name, rtype: int) -> list[Record]:
    """Return the records of a type at the end of a name's CNAME chain (RFC 5321 section 5.1)."""
    for _ in range(ALIASES_MAX):
        result = [record for record in message.answers if record.name == name and record.rtype == rtype]
        alias = next(
            (record.rdata for record in message.answers if record.name == name and record.rtype == RRType.CNAME), None
        )
        if result or not isinstance(alias, CNAME):
            return result
        name = alias.target
    return []


def _text(name: Name) -> str:
    return str(name).rstrip(".").lower()
