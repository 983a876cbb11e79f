"""Verdict on one cell of the DNS interoperability matrix: whether a client gets the correct answer from a name server.

    asked = Asked("www.example.com.", "A")
    answered("cell", at_client, asked, zones, client, server, "authoritative")     # a client queries a server directly
    resolved("cell", at_client, at_resolver, asked, zones, hosts)                  # a resolver in between

The rows of the matrix are name servers, its columns clients with a question; a cell is one client with one server and
one question, and "cell" is the id of its verdict. at_client and at_resolver are the DNS traffic captured at these
hosts, zones the configured records, client, server and hosts are addresses.

Captured packets decide. The correct answer has all records of the name, through its aliases; for a name or type that
does not exist, it is the zone's SOA (RFC 2308 sections 2.1 and 2.2). An authoritative server sets AA (RFC 1035 section
4.1.1), a resolver RA. A UDP response has at most the size that its query permits. After a truncated response, the
client repeats the query over TCP (RFC 7766 section 5) or with a larger UDP payload size (RFC 6891 section 6.2.5). Every
message is well-formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lab7.experiments.dns.claims.evidence import GivenZones, asks_for
from lab7.experiments.dns.wire.messages import RCODES, DnsMessage, canonical, is_within
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decide, listed

Role = Literal["authoritative", "local"]
NOERROR, NXDOMAIN = 0, 3
OPCODE_QUERY = 0


@dataclass(frozen=True)
class Asked:
    """Question that a client sends for a cell of the interoperability matrix, and the correct RCODE of the response."""

    name: str
    rtype: str
    rcode: int = NOERROR

    def __str__(self) -> str:
        return f"{canonical(self.name)} {self.rtype}"


@dataclass(frozen=True)
class Resolving:
    """Addresses of the hosts in a resolution: the stub resolver, the resolver, and the zone's authoritative server."""

    stub: str
    resolver: str
    authoritative: str


def answered(
    cell_id: str, traffic: DnsTraffic, asked: Asked, zones: GivenZones, client: str, server: str, role: Role
) -> Verdict:
    """Return the verdict (with the id `cell_id`) on one question that a client sends directly to a name server."""

    def check() -> Finding:
        exchange = _final_exchange(traffic, asked, client, server)
        message = _require_answer(exchange, asked, zones, role)
        return _describe(asked, exchange, message), [exchange.query.frame, message.frame]

    return decide(cell_id, [traffic], check)


def resolved(
    cell_id: str, at_stub: DnsTraffic, at_resolver: DnsTraffic, asked: Asked, zones: GivenZones, hosts: Resolving
) -> Verdict:
    """Return the verdict on a resolver that gets the answer for a stub resolver from an authoritative server.

    `at_resolver` is the traffic at the resolver; each of its queries to the authoritative server must get a valid
    response.
    """

    def check() -> Finding:
        exchange = _final_exchange(at_stub, asked, hosts.stub, hosts.resolver)
        message = _require_answer(exchange, asked, zones, "local")
        upstream = [one for one in at_resolver.exchanges if one.query.source == hosts.resolver]
        final = [one for one in upstream if one.query.target == hosts.authoritative]
        for one in final:
            _require_valid(one, at_resolver)
        if not any(_is_for_name(one, asked) for one in final):
            raise Contradiction(
                f"The resolver answers {asked} in frame {message.frame}, but did not ask {hosts.authoritative}.",
                message.frame,
            )
        frames = [exchange.query.frame, *(one.query.frame for one in final), message.frame]
        return f"{_describe(asked, exchange, message)} Queries of the resolver to the server: {len(final)}.", frames

    return decide(cell_id, [merged([at_stub, at_resolver])], check)


def _final_exchange(traffic: DnsTraffic, asked: Asked, client: str, server: str) -> DnsExchange:
    """Return the client's last query for the question, with a response that is not truncated.

    Raises Contradiction if there is no query, or if a query has no valid response.
    """
    exchanges = [
        one
        for one in traffic.exchanges
        if asks_for(one, asked.name, asked.rtype) and (one.query.source, one.query.target) == (client, server)
    ]
    if not exchanges:
        others = [one.query for one in traffic.exchanges if one.query.source == client]
        what = f"; frame {others[0].frame} asks {others[0].question} of {others[0].target}" if others else ""
        raise Contradiction(f"The client did not ask {server} for {asked}{what}.", *(one.frame for one in others[:1]))
    for one in exchanges:
        _require_valid(one, traffic)
    whole = [one for one in exchanges if one.response is not None and not one.response.tc]
    return whole[-1]


def _require_valid(exchange: DnsExchange, traffic: DnsTraffic) -> None:
    """Raise Contradiction unless a query has a valid response: NOERROR or NXDOMAIN, and no larger than permitted.

    After a truncated response, the client must repeat the query over TCP or with a larger UDP payload size.
    """
    query, response = exchange.query, exchange.response
    if query.opcode != OPCODE_QUERY:
        raise Contradiction(f"The query in frame {query.frame} has OPCODE {query.opcode}.", query.frame)
    if response is None:
        raise Contradiction(f"The query for {query.question} in frame {query.frame} gets no response.", query.frame)
    if response.rcode not in (NOERROR, NXDOMAIN):
        code = RCODES.get(response.rcode, response.rcode)
        raise Contradiction(
            f"The query for {query.question} in frame {query.frame} is answered with {code} in frame {response.frame}.",
            query.frame,
            response.frame,
        )
    if query.transport == "udp" and response.size_bytes > query.udp_limit_bytes:
        raise Contradiction(
            f"The UDP response in frame {response.frame} has {response.size_bytes} octets, but the query in frame "
            f"{query.frame} permits {query.udp_limit_bytes}.",
            query.frame,
            response.frame,
        )
    if response.tc and not any(_repeats(exchange, response, later) for later in traffic.exchanges):
        raise Contradiction(
            f"The response in frame {response.frame} is truncated, but {query.question} is not repeated by TCP or for "
            "more octets.",
            response.frame,
        )


def _repeats(exchange: DnsExchange, cut: DnsMessage, later: DnsExchange) -> bool:
    one, other = exchange.query, later.query
    same = (one.source, one.target, one.question) == (other.source, other.target, other.question)
    more = other.transport == "tcp" or other.udp_limit_bytes > one.udp_limit_bytes
    return same and more and other.time_ns >= cut.time_ns


def _require_answer(exchange: DnsExchange, asked: Asked, zones: GivenZones, role: Role) -> DnsMessage:
    """Return the response to a query. Raises Contradiction if it is wrong for the question or the server's role."""
    response = exchange.response
    assert response is not None
    if response.rcode != asked.rcode:
        raise Contradiction(
            f"{asked} is answered with {RCODES[response.rcode]} in frame {response.frame}, not {RCODES[asked.rcode]}.",
            response.frame,
        )
    if role == "authoritative" and not response.aa:
        raise Contradiction(f"The response in frame {response.frame} is not authoritative (AA=0).", response.frame)
    if role == "local" and not response.ra:
        raise Contradiction(f"The response in frame {response.frame} offers no recursion (RA=0).", response.frame)
    zones.answered(response, asked.name, asked.rtype)
    if not response.answer:
        _require_negative(response, asked, zones)
    for record in response.answer:
        zones.lives_no_longer(record, response.frame)
    return response


def _require_negative(response: DnsMessage, asked: Asked, zones: GivenZones) -> None:
    """Raise Contradiction unless the authority section has the SOA of the name's zone (RFC 2308 section 2)."""
    soa = [record for record in response.authority if record.type == "SOA"]
    if len(soa) != 1 or not is_within(canonical(asked.name), soa[0].name):
        raise Contradiction(
            f"The negative response in frame {response.frame} has {len(soa)} SOA records of the zone, not 1.",
            response.frame,
        )
    if soa[0].rdata not in zones.values(soa[0].name, "SOA"):
        raise Contradiction(f"The SOA in frame {response.frame} is not that of {soa[0].name}.", response.frame)
    zones.lives_no_longer(soa[0], response.frame)


def _is_for_name(exchange: DnsExchange, asked: Asked) -> bool:
    question = exchange.query.question
    return question is not None and is_within(canonical(asked.name), question.qname.removeprefix("_."))


def _describe(asked: Asked, exchange: DnsExchange, message: DnsMessage) -> str:
    what = f"{len(message.answer)} records" if message.answer else f"{RCODES[message.rcode]} without records"
    frames = listed([exchange.query.frame, message.frame])
    return f"{asked} over {exchange.query.transport.upper()}: {what} (frames {frames})."
