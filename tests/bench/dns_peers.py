"""The name servers that the authoritative server is measured beside, each run as a process that prints READY.

    python -m tests.bench.dns_peers NAME PORT ZONE_FILE

dnspython      a loop around recvfrom: dns.message parses, a dict of rrsets answers, dns.message writes
dnslib         the same with dnslib's DNSRecord and its ZoneResolver
twisted.names  its DNSServerFactory and DNSDatagramProtocol around a BindAuthority, on Twisted's default reactor
Every one gives the same records for the names of the benchmark; none looks for wildcards or cuts.
"""

import socket
import sys
from pathlib import Path
from typing import Any

ORIGIN = "example.com."


def _bound(port: int) -> socket.socket:
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", port))
    print("READY", flush=True)
    return receiver


def _dnspython(port: int, zone_file: Path) -> None:
    import dns.flags
    import dns.message
    import dns.rcode
    import dns.zone

    zone = dns.zone.from_file(str(zone_file), ORIGIN, relativize=False)
    rrsets = {
        (name, rdataset.rdtype): zone.find_rrset(name, rdataset.rdtype) for name, rdataset in zone.iterate_rdatasets()
    }
    receiver = _bound(port)
    while True:
        data, peer = receiver.recvfrom(65_535)
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        question = query.question[0]
        found = rrsets.get((question.name, question.rdtype))
        if found is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
        else:
            response.answer.append(found)
        receiver.sendto(response.to_wire(), peer)


def _dnslib(port: int, zone_file: Path) -> None:
    import dnslib

    records: dict[tuple[str, int], list[Any]] = {}
    for record in dnslib.RR.fromZone(zone_file.read_text()):
        records.setdefault((str(record.rname).lower(), record.rtype), []).append(record)
    receiver = _bound(port)
    while True:
        data, peer = receiver.recvfrom(65_535)
        query = dnslib.DNSRecord.parse(data)
        response = query.reply()
        found = records.get((str(query.q.qname).lower(), query.q.qtype))
        if found is None:
            response.header.rcode = dnslib.RCODE.NXDOMAIN
        else:
            response.add_answer(*found)
        receiver.sendto(response.pack(), peer)


def _twisted(port: int, zone_file: Path) -> None:
    from twisted.internet import reactor
    from twisted.names import authority, dns, server

    factory = server.DNSServerFactory(authorities=[authority.BindAuthority(str(zone_file))])
    reactor.listenUDP(port, dns.DNSDatagramProtocol(factory), "127.0.0.1")
    reactor.callWhenRunning(print, "READY", flush=True)
    reactor.run()


PEERS = {"dnspython": _dnspython, "dnslib": _dnslib, "twisted.names": _twisted}


if __name__ == "__main__":
    PEERS[sys.argv[1]](int(sys.argv[2]), Path(sys.argv[3]))
