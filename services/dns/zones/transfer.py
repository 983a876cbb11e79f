"""Outgoing zone transfer (AXFR): all records of a zone in a series of messages over TCP, for allowed peers.

RFC 5936 sections 2.2 (the SOA is the first and the last record), 2.2.1 (rcodes) and 4.1 (TCP only). IXFR is answered
with the whole zone, as RFC 1995 section 4 permits a server without differences. Left out: TSIG; access is by address.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.message import Message, Record
from services.dns.server.responder import Client
from services.dns.zones.zone import Zone, Zones

# Uncompressed size of the records in one message: compression pointers reach 16 KiB.
BATCH_OCTETS = 16_000
_RECORD_OCTETS = 10
_TRANSFERS = (RRType.AXFR, RRType.IXFR)


class Transfers:
    """Handler for transfers of `zones` to clients in the `allowed` networks."""

    def __init__(self, zones: Zones, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
        self._zones = zones
        self._allowed = allowed

    def __call__(self, query: Message, client: Client) -> Iterator[Message] | None:
        """Return the messages of a transfer, or an error response; None for a query of another type."""
        if query.questions[0].rtype not in _TRANSFERS:
            return None
        if not self._allows(client.host):
            return iter((query.reply(Rcode.REFUSED),))
        zone = self._zones.get(query.questions[0].name)
        if zone is None or zone.rclass != query.questions[0].rclass:
            # RFC 5936 section 2.2.1
            return iter((query.reply(Rcode.NOTAUTH),))
        return _messages(query, zone)

    def _allows(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return any(address.version == network.version and address in network for network in self._allowed)


def _messages(query: Message, zone: Zone) -> Iterator[Message]:
    empty = replace(query.reply(), aa=True)
    for batch in _batches(_records(zone)):
        yield replace(empty, answers=tuple(batch))


def _records(zone: Zone) -> Iterator[Record]:
    for rrset in zone.rrsets():
        yield from rrset.records()
    yield from zone.soa.records()


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        octets = _RECORD_OCTETS + len(record.name.to_wire()) + len(record.rdata.to_wire())
        if batch and size + octets > BATCH_OCTETS:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += octets
    yield batch
