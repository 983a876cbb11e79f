"""Questions of the assignment dns-records, on DNS records and negative caching: parameters, traffic and answer keys.

variant() draws the random parameters of one student. record() produces the traffic that is captured for this student.
Each function q1, q2, ... computes the correct answer to one question (its key) from this capture.
"""

from __future__ import annotations

from typing import Any

from lab7.experiments.assignments.answer_types import Frames, Listing, Number, Text
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import Key, question
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.recording import Lab
from lab7.experiments.dns.wire.messages import DnsMessage
from lab7.topologies.dns_zones import reverse_name

NXDOMAIN = 3


def variant(draw: Draw) -> dict[str, Any]:
    """Draw a student's parameters: names, records, TTLs, order of the queries, and pause before the last query."""
    domain = f"{draw.word('domain')}.example.com"
    address = f"10.53.{draw.number('network', 20, 250)}.{draw.number('host', 1, 250)}"
    canonical, pool = f"{draw.word('host')}.example.com", f"{draw.word('pool')}.{domain}"
    preferences = draw.sample("preferences", range(5, 100, 5), draw.number("exchanges", 3, 4))
    aliases = [
        f"{draw.word(f'alias-{place}', 2)}-{place + 1}.example.com" for place in range(draw.number("chain", 2, 4))
    ]
    ttl_s = {name: draw.number(f"ttl-{name}", 120, 4_000) for name in [*aliases, canonical]}
    records = [
        *(f"{domain}. 900 MX {value} {draw.word(f'mx-{value}')}.{domain}." for value in preferences),
        *(f"{one}. {ttl_s[one]} CNAME {other}." for one, other in zip(aliases, [*aliases[1:], canonical], strict=True)),
        f"{canonical}. {ttl_s[canonical]} A {address}",
        f"{reverse_name(address)} 600 PTR {canonical}.",
        f'{domain}. 300 TXT "course" "{draw.nonce}"',
        *(f"{pool}. 60 A 10.53.19.{place + 1}" for place in range(draw.number("addresses", 2, 6))),
    ]
    missing = f"{draw.word('missing')}.{domain}"
    queries = [
        [domain, "MX"], [domain, "TXT"], [aliases[0], "A"], [pool, "A"], [reverse_name(address), "PTR"],
        [missing, "A"], [canonical, "AAAA"],
    ]  # fmt: skip
    return {
        "domain": domain,
        "alias": aliases[0],
        "pool": pool,
        "address": address,
        "missing": missing,
        "queries": draw.shuffled("order", queries),
        "pause": draw.number("pause", 3, 40),
        "parameters": {
            "scale": draw.number("scale", 20, 120) / 100,
            "ttl": draw.number("zone-ttl", 60, 600),
            "records": "\n".join(records),
        },
    }


def record(lab: Lab) -> None:
    """Produce the traffic: the queries in the drawn order; after a pause again the query for the nonexistent name."""
    for name, kind in lab.variant["queries"]:
        lab.run_module("client", "lab7.services.dns.stub", name, kind)
    lab.run("client", ["sleep", str(lab.variant["pause"])])
    lab.run_module("client", "lab7.services.dns.stub", lab.variant["missing"], "A")


def _responses(seen: CaptureView, kind: str, name: str = "") -> list[DnsMessage]:
    """Return the responses to queries of a type; with `name` (without final dot), only those about this name."""
    return [
        one.response
        for one in seen.dns.exchanges
        if one.query.question is not None
        and one.query.question.qtype == kind
        and name in ("", one.query.question.qname.rstrip("."))
        and one.response is not None
    ]


def _missing(seen: CaptureView) -> list[DnsMessage]:
    """Return the captured NXDOMAIN responses to queries for A records."""
    return [one for one in _responses(seen, "A") if one.rcode == NXDOMAIN]


def _soa(response: DnsMessage) -> tuple[int, int]:
    """Return (TTL, field MINIMUM) in s of the SOA record in a negative response."""
    soa = next(one for one in response.authority if one.type == "SOA")
    return soa.ttl, int(soa.rdata.split()[-1])


@question(points=2, filter="dns.mx.preference", hint="A lower preference value is tried earlier.")
def q1(seen: CaptureView) -> Key:
    """Return the answer key: the names of the domain's mail exchanges, the lowest preference value first."""
    (response,) = _responses(seen, "MX")
    found = sorted(one.mx for one in response.answer if one.type == "MX")
    text = ", ".join(f"{value} {name}" for value, name in found)
    explanation = f"Frame {response.frame}, the lowest value first (RFC 5321 section 5.1): {text}."
    return Key(Listing(tuple(Text(name, name=True) for _, name in found), ordered=True), (response.frame,), explanation)


@question(points=1, filter="dns.mx.preference", hint="Open the MX records in the answer section.")
def q2(seen: CaptureView) -> Key:
    """Return the answer key: the highest preference value among the MX records."""
    (response,) = _responses(seen, "MX")
    value, name = max(one.mx for one in response.answer if one.type == "MX")
    return Key(Number(value), (response.frame,), f"Frame {response.frame}: {name} has {value}, and is tried last.")


@question(points=1, filter="dns.cname && dns.flags.response == 1", hint="Follow the records from alias to name.")
def q3(seen: CaptureView) -> Key:
    """Return the answer key: the canonical name at the end of the alias's CNAME chain."""
    response = _responses(seen, "A", seen.variant["alias"])[0]
    name = next(one.name for one in response.answer if one.type == "A")
    explanation = f"The A record in frame {response.frame} belongs to {name} (RFC 1034 section 3.6.2)."
    return Key(Text(name, name=True), (response.frame,), explanation)


@question(points=1, filter="dns.cname && dns.flags.response == 1", hint="Each alias has one CNAME record.")
def q4(seen: CaptureView) -> Key:
    """Return the answer key: the number of CNAME records in the chain from the alias to the canonical name."""
    response = _responses(seen, "A", seen.variant["alias"])[0]
    chain = [one for one in response.answer if one.type == "CNAME"]
    text = ", ".join(f"{one.name} to {one.rdata}" for one in chain)
    return Key(Number(len(chain)), (response.frame,), f"Frame {response.frame}: {text} (RFC 1034 section 3.6.2).")


@question(points=2, filter="dns.cname && dns.flags.response == 1", hint="Compare the TTLs of all its records.")
def q5(seen: CaptureView) -> Key:
    """Return the answer key: the smallest TTL in the response about the alias, in s."""
    response = _responses(seen, "A", seen.variant["alias"])[0]
    ttls_s = [one.ttl for one in response.answer]
    text = ", ".join(f"{one.name} {one.type} {one.ttl}" for one in response.answer)
    explanation = f"The smallest TTL in frame {response.frame} counts (RFC 1035 section 3.2.1): {text}."
    return Key(Number(min(ttls_s), "time", "s"), (response.frame,), explanation)


@question(points=1, filter="dns.a", hint="Count the A records in the answer section.")
def q6(seen: CaptureView) -> Key:
    """Return the answer key: the number of A records of the name with several addresses."""
    response = _responses(seen, "A", seen.variant["pool"])[0]
    addresses = [one.rdata for one in response.answer if one.type == "A"]
    return Key(Number(len(addresses)), (response.frame,), f"Frame {response.frame} has {', '.join(addresses)}.")


@question(points=1, filter="dns.qry.type == 12", hint="The domain in-addr.arpa has the octets in reverse order.")
def q7(seen: CaptureView) -> Key:
    """Return the answer key: the name in the question section of the query for a PTR record."""
    query = next(one.query for one in seen.dns.exchanges if one.query.question and one.query.question.qtype == "PTR")
    assert query.question is not None
    name = query.question.qname
    explanation = f"Frame {query.frame}: {name} has the octets in reverse order (RFC 1035 section 3.5)."
    return Key(Text(name, name=True), (query.frame,), explanation)


@question(points=1, filter="dns.ptr.domain_name", hint="The answer is a PTR record.")
def q8(seen: CaptureView) -> Key:
    """Return the answer key: the host name in the PTR record."""
    (response,) = _responses(seen, "PTR")
    name = next(one.rdata for one in response.answer if one.type == "PTR")
    return Key(Text(name, name=True), (response.frame,), f"Frame {response.frame} has the record PTR {name}.")


@question(points=1, filter="dns.flags.rcode != 0", hint="Look at the reply code of the responses.")
def q9(seen: CaptureView) -> Key:
    """Return the answer key: the name in the query that gets NXDOMAIN."""
    response = _missing(seen)[0]
    assert response.question is not None
    name = response.question.qname
    explanation = f"Frame {response.frame} has the response code 3, NXDOMAIN (RFC 1035 section 4.1.1; RFC 8020)."
    return Key(Text(name, name=True), (response.frame,), explanation)


@question(
    points=2,
    filter="dns.flags.rcode == 0 && dns.count.answers == 0 && dns.flags.response == 1",
    hint="Such a response has no error code and no answer.",
)
def q10(seen: CaptureView) -> Key:
    """Return the answer key: the frame number of the NODATA response (RFC 2308 section 2.2)."""
    response = next(
        one.response
        for one in seen.dns.exchanges
        if one.response is not None and one.response.rcode == 0 and not one.response.answer
    )
    explanation = (
        f"Frame {response.frame} answers {response.question} by NOERROR without answer: NODATA (RFC 2308 section 2.2)."
    )
    return Key(Frames((response.frame,)), (response.frame,), explanation)


@question(points=2, filter="dns.flags.rcode == 3", hint="The SOA record has two numbers that limit the time.")
def q11(seen: CaptureView) -> Key:
    """Return the answer key: the time in s for which the first NXDOMAIN response may be cached (RFC 2308 section 5)."""
    response = _missing(seen)[0]
    ttl_s, minimum_s = _soa(response)
    explanation = (
        f"Frame {response.frame}: the smaller of the SOA record's TTL, {ttl_s} s, and its field MINIMUM, {minimum_s} s "
        "(RFC 2308 section 5)."
    )
    return Key(Number(min(ttl_s, minimum_s), "time", "s"), (response.frame,), explanation)


@question(points=1, filter="dns.flags.rcode == 3", hint="Compare the SOA records of both negative responses.")
def q12(seen: CaptureView) -> Key:
    """Return the answer key: the TTL in s of the SOA record in the second NXDOMAIN response."""
    first, second = _missing(seen)
    ttl_s, _ = _soa(second)
    explanation = (
        f"{ttl_s} s in frame {second.frame}, {_soa(first)[0]} s in frame {first.frame}: the cached negative response "
        "has aged (RFC 2308 section 5)."
    )
    return Key(Number(ttl_s, "time", "s"), (first.frame, second.frame), explanation)
