"""The name server of a CDN, right but for one fault, which the command line names.

    python tests/emulation/wrong/cdn_dns.py FAULT --port 53 --ttl 1 --interval 0.5 --check-path /status

Answers A for the alias by the region of the asker's address: its own replica, another region's where that fails its
checks, the origin where all do; by UDP alone. RFC 1035 section 4.1; messages are dnspython's.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import sys
import threading
import time
from collections.abc import Sequence

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

FAULTS = {
    "none": "no fault at all",
    "one-region": "local name servers of all regions are sent to one region",
    "not-authoritative": "answers do not say that they are authoritative",
    "no-checks": "a replica that fails is named on",
    "no-ttl": "answers may not be used again, whatever the time to live is",
    "stranger": "in the place of a replica that fails, an address is named at which nothing serves",
}
# The plan of topologies/cdn.py.
ZONE, ALIAS, SERVER, OWN = "cdn.net.", "www.example.cdn.net.", "ns.cdn.net.", "10.8.0.5"
REPLICAS = {"10.8.1.": "10.8.1.10", "10.8.2.": "10.8.2.10", "10.8.3.": "10.8.3.10"}
LOCAL_HOST = ".2"
ORIGIN, STRANGER = "10.8.9.1", "10.8.9.250"


class Checks:
    """Which replicas answer their checks."""

    def __init__(self, path: str, interval_s: float) -> None:
        self.well = dict.fromkeys(REPLICAS.values(), True)
        for address in REPLICAS.values():
            threading.Thread(target=self._watch, args=(address, path, interval_s), daemon=True).start()

    def _watch(self, address: str, path: str, interval_s: float) -> None:
        while True:
            began_s = time.monotonic()
            self.well[address] = _answers(address, path, interval_s)
            time.sleep(max(0.0, began_s + interval_s - time.monotonic()))


def _answers(address: str, path: str, timeout_s: float) -> bool:
    connection = http.client.HTTPConnection(address, 80, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def address_for(fault: str, asker: str, checks: Checks) -> str:
    """The server that an asker is sent to."""
    own = next((replica for network, replica in REPLICAS.items() if asker.startswith(network)), None)
    order = [*REPLICAS.values()]
    if own is not None and not (fault == "one-region" and asker.endswith(LOCAL_HOST)):
        place = order.index(own)
        order = [*order[place:], *order[:place]]
    if fault == "no-checks" or checks.well[order[0]]:
        return order[0]
    if fault == "stranger":
        return STRANGER
    return next((address for address in order if checks.well[address]), ORIGIN)


def response_to(fault: str, ttl: int, query: dns.message.Message, asker: str, checks: Checks) -> dns.message.Message:
    """The response to a query."""
    response = dns.message.make_response(query)
    if fault != "not-authoritative":
        response.flags |= dns.flags.AA
    name, kind = query.question[0].name.to_text().lower(), query.question[0].rdtype.name
    soa = dns.rrset.from_text(ZONE, 1, "IN", "SOA", f"{SERVER} hostmaster.{ZONE} 1 3600 600 86400 1")
    if not name.endswith(ZONE):
        response.set_rcode(dns.rcode.REFUSED)
    elif name == ALIAS and kind == "A":
        seconds = 0 if fault == "no-ttl" else ttl
        response.answer.append(dns.rrset.from_text(name, seconds, "IN", "A", address_for(fault, asker, checks)))
    elif name == SERVER and kind == "A":
        response.answer.append(dns.rrset.from_text(name, 3600, "IN", "A", OWN))
    elif name == ZONE and kind == "NS":
        response.answer.append(dns.rrset.from_text(name, 3600, "IN", "NS", SERVER))
    else:
        response.authority.append(soa)
        if name not in (ZONE, ALIAS, SERVER, "example.cdn.net."):
            response.set_rcode(dns.rcode.NXDOMAIN)
    return response


def main(argv: Sequence[str]) -> int:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Be the name server of a CDN with a fault.")
    parser.add_argument("fault", choices=sorted(FAULTS), help="what it does wrong")
    parser.add_argument("--port", type=int, required=True, help="where to listen")
    parser.add_argument("--ttl", type=int, required=True, help="for how many seconds an answer may be used")
    parser.add_argument("--interval", type=float, required=True, help="how often replicas are checked, in seconds")
    parser.add_argument("--check-path", required=True, help="what replicas are asked for")
    options = parser.parse_args(argv)
    # How a server shows that it is ready is a connection by TCP.
    ready = socket.create_server(("0.0.0.0", options.port), backlog=64)
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", options.port))
    checks = Checks(options.check_path, options.interval)
    with ready, server:
        while True:
            octets, (asker, port) = server.recvfrom(4096)
            try:
                query = dns.message.from_wire(octets)
            except dns.exception.DNSException:
                continue
            server.sendto(response_to(options.fault, options.ttl, query, asker, checks).to_wire(), (asker, port))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
