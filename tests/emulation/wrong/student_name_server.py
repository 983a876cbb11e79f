"""An authoritative name server for UDP as a student writes it, with one bug in its octets.

    python student_name_server.py BUG PORT ORIGIN=MASTERFILE...

It reads the master files with dnspython, and answers from them with answers, referrals and negative answers.
"""

from __future__ import annotations

import socket
import sys

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

BUGS = {
    "none": "no bug",
    "id": "the ID is that of the query plus 1",
    "rdlength": "the RDLENGTH of the last record is 2 too large",
    "no-qr": "QR is not set",
    "no-question": "the question section is empty",
    "no-glue": "a referral lacks the addresses of name servers",
}


def zones_of(words: list[str]) -> list[dns.zone.Zone]:
    """Read the zones, the most specific first."""
    found = []
    for word in words:
        origin, _, file = word.partition("=")
        found.append(dns.zone.from_file(file, origin, relativize=False, check_origin=False))
    return sorted(found, key=lambda zone: -len(zone.origin or ()))


def rrset(zone: dns.zone.Zone, name: dns.name.Name, rtype: dns.rdatatype.RdataType) -> dns.rrset.RRset | None:
    return zone.get_rrset(name, rtype)


def answer(bug: str, zones: list[dns.zone.Zone], data: bytes) -> bytes:
    """Return the octets of the response to a query."""
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query, our_payload=1232)
    name, rtype = query.question[0].name, query.question[0].rdtype
    zone = next((one for one in zones if one.origin is not None and name.is_subdomain(one.origin)), None)
    if zone is None or zone.origin is None:
        reply.set_rcode(dns.rcode.REFUSED)
        return finished(bug, reply)
    cut = name
    while cut != zone.origin:
        servers = rrset(zone, cut, dns.rdatatype.NS)
        if servers is not None:
            reply.authority = [servers]
            addresses = [rrset(zone, one.target, dns.rdatatype.A) for one in servers]
            reply.additional = [] if bug == "no-glue" else [one for one in addresses if one is not None]
            return finished(bug, reply)
        cut = cut.parent()
    reply.flags |= dns.flags.AA
    alias = rrset(zone, name, dns.rdatatype.CNAME)
    found = [alias] if alias is not None else []
    target = alias[0].target if alias is not None and rtype != dns.rdatatype.CNAME else name
    data_set = rrset(zone, target, rtype) if alias is None or target != name else None
    reply.answer = found + ([data_set] if data_set is not None else [])
    if not reply.answer:
        soa = rrset(zone, zone.origin, dns.rdatatype.SOA)
        reply.authority = [soa] if soa is not None else []
        if zone.get_node(name) is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
    return finished(bug, reply)


def finished(bug: str, reply: dns.message.Message) -> bytes:
    """Encode a response, with the bug."""
    if bug == "no-question":
        reply.question = []
    if bug == "no-qr":
        reply.flags &= ~dns.flags.QR
    if bug == "rdlength":
        # Without OPT, so that the last record is one of the zone.
        reply.use_edns(False)
    try:
        wire = reply.to_wire(max_size=1232 if reply.edns >= 0 else 512)
    except dns.exception.TooBig:
        reply.answer, reply.authority, reply.additional = [], [], []
        reply.flags |= dns.flags.TC
        wire = reply.to_wire()
    if bug == "id":
        wire = ((reply.id + 1) % 65536).to_bytes(2, "big") + wire[2:]
    records = [
        record for section in (reply.answer, reply.authority, reply.additional) for one in section for record in one
    ]
    if bug == "rdlength" and records:
        size = 4 if records[-1].rdtype == dns.rdatatype.A else 0
        at = len(wire) - size - 2
        wire = wire[:at] + (size + 2).to_bytes(2, "big") + wire[at + 2 :] if size else wire
    return wire


def main() -> None:
    """Serve as the command line says."""
    bug, port, zones = sys.argv[1], int(sys.argv[2]), zones_of(sys.argv[3:])
    assert bug in BUGS
    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(("", port))
    while True:
        data, source = peer.recvfrom(4096)
        peer.sendto(answer(bug, zones, data), source)


if __name__ == "__main__":
    main()
