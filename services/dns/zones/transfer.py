"""Outgoing zone transfer (AXFR, IXFR): all records of a zone in a series of messages over TCP, for allowed peers.

RFC 5936 sections 2.2 (the SOA is the first and the last record), 2.2.1 (rcodes) and 4.1 (TCP only). RFC 1995: an IXFR
client with the current serial number gets the SOA alone (section 2); any other client gets the whole zone, since the
server keeps no differences (section 4). If the zone does not fit into a UDP response, the response is the SOA alone;
the client then uses TCP. RFC 1982 (comparison of serial numbers). Access is controlled by address and by TSIG: a
client that signs its query with one of the server's keys may transfer all zones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Record, encode, udp_limit
from lab7.services.dns.codec.rdata import SOA
from lab7.services.dns.server.responder import Client
from lab7.services.dns.zones.zone import Zone, Zones

# Maximum uncompressed size in octets of the records in one message: compression pointers reach 16 KiB.
BATCH_OCTETS = 16_000
_RECORD_OCTETS = 10
# Size in octets of an OPT record without options (RFC 6891 section 6.1.2).
_OPT_OCTETS = 11
_TRANSFERS = (RRType.AXFR, RRType.IXFR)


class Transfers:
    """Request handler for outgoing zone transfers of `zones`.

    Transfers are allowed to clients in the `allowed` networks, and to clients that sign their query by TSIG.
    """

    def __init__(self, zones: Zones, allowed: Sequence[IPv4Network | IPv6Network]) -> None:
        self._zones = zones
        self._allowed = allowed

    def __call__(self, query: Message, client: Client) -> Iterator[Message] | None:
        """Return the messages of a zone transfer, or an error response; None for a query that is no transfer."""
        if query.questions[0].rtype not in _TRANSFERS:
            return None
        zone = self._zone(query, client)
        if isinstance(zone, Message):
            return iter((_with_opt(zone, query),))
        if query.questions[0].rtype == RRType.IXFR:
            serial = _serial(query, zone)
            if serial is None:
                return iter((_with_opt(query.reply(Rcode.FORMERR), query),))
            if _is_current(serial, zone):
                return iter((_with_opt(_soa(query, zone), query),))
        return _messages(query, zone)

    def by_datagram(self, query: Message, client: Client, udp_size_max: int) -> Message:
        """Return the response to IXFR over UDP: the zone if it fits, or else its SOA (RFC 1995 section 2)."""
        zone = self._zone(query, client)
        if isinstance(zone, Message):
            return zone
        serial = _serial(query, zone)
        if serial is None:
            return query.reply(Rcode.FORMERR)
        soa = _soa(query, zone)
        if _is_current(serial, zone):
            return soa
        limit = udp_limit(query, udp_size_max) - (0 if query.signer is None else query.signer.octets)
        records, size = list[Record](), len(encode(soa)) + _OPT_OCTETS
        for record in _records(zone):
            records.append(record)
            size += _size(record)
            if size > limit:
                return soa
        return replace(soa, answers=tuple(records))

    def _zone(self, query: Message, client: Client) -> Zone | Message:
        """Return the zone that a transfer query requests, or an error response if the transfer is not allowed."""
        signed = query.signer is not None and query.signer.key_name is not None
        if not (signed or self._allows(client.host)):
            return query.reply(Rcode.REFUSED)
        zone = self._zones.get(query.questions[0].name)
        if zone is None or zone.rclass != query.questions[0].rclass:
            # RFC 5936 section 2.2.1
            return query.reply(Rcode.NOTAUTH)
        return zone

    def _allows(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return any(address.version == network.version and address in network for network in self._allowed)


def _serial(query: Message, zone: Zone) -> int | None:
    """Return the serial number of the SOA in an IXFR query (RFC 1995 section 3); None if there is no SOA."""
    for record in query.authority:
        if record.name == zone.origin and isinstance(record.rdata, SOA):
            return record.rdata.serial
    return None


def _is_current(serial: int, zone: Zone) -> bool:
    """Tell whether a client's serial number equals the zone's or is newer (RFC 1982 section 3.2)."""
    rdata = zone.soa.rdatas[0]
    return isinstance(rdata, SOA) and (serial - rdata.serial) % 2**32 < 2**31


def _soa(query: Message, zone: Zone) -> Message:
    return replace(query.reply(), aa=True, answers=tuple(zone.soa.records()))


def _messages(query: Message, zone: Zone) -> Iterator[Message]:
    empty = replace(query.reply(), aa=True)
    first = _with_opt(empty, query)
    for number, batch in enumerate(_batches(_records(zone))):
        yield replace(empty if number else first, answers=tuple(batch))


def _with_opt(message: Message, query: Message) -> Message:
    """Return the first message of a transfer, with an OPT record if the query had one (RFC 5936 section 2.2.5)."""
    return message if query.edns is None else replace(message, edns=EDNS(do=query.edns.do))


def _records(zone: Zone) -> Iterator[Record]:
    for rrset in zone.rrsets():
        yield from rrset.records()
    yield from zone.soa.records()


def _size(record: Record) -> int:
    return _RECORD_OCTETS + len(record.name.to_wire()) + len(record.rdata.to_wire())


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        octets = _size(record)
        if batch and size + octets > BATCH_OCTETS:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += octets
    yield batch
