"""Names that the resolver answers itself: localhost, invalid and onion (RFC 6761 sections 6.3 and 6.4, RFC 7686).

    localhost. A                   ->  127.0.0.1
    x.localhost. AAAA              ->  ::1
    localhost. MX                  ->  NODATA, with an SOA as in Unbound
    1.0.0.127.in-addr.arpa. PTR    ->  localhost.
    x.invalid. A, x.onion. A       ->  NXDOMAIN

Upstream queries for these names would burden the root servers without use, queries for onion names would disclose the
hidden services that a user visits, and a server could answer with an address that is not this host's. The reverse
mapping of loopback addresses is answered as well (RFC 6303 sections 4.2 and 4.3). Left out: the other zones of RFC 6303
and names of RFC 6761, such as 10.in-addr.arpa and test, because experiments have such zones.
"""

from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, PTR, SOA, A
from lab7.services.dns.recursion.cache import NEGATIVE_TTL_MAX_S, LookupResult

_LOCALHOST = Name.from_text("localhost.")
_ADDRESSES: dict[int, Rdata] = {
    RRType.A: A(IPv4Address("127.0.0.1")),
    RRType.AAAA: AAAA(IPv6Address("::1")),
}
# Names that have records; all names below localhost have the same.
_RECORDS: dict[Name, dict[int, Rdata]] = {
    _LOCALHOST: _ADDRESSES,
    **{
        Name.from_text(address.reverse_pointer + "."): {RRType.PTR: PTR(_LOCALHOST)}
        for address in (IPv4Address("127.0.0.1"), IPv6Address("::1"))
    },
}
# Names below which no other name exists.
_EMPTY = (Name.from_text("invalid."), Name.from_text("onion."))
_TTL_S = NEGATIVE_TTL_MAX_S


def local_answer(name: Name, rtype: int) -> LookupResult | None:
    """Return the answer for a name that the resolver answers itself; None for any other name."""
    for zone in _EMPTY:
        if name.is_below(zone):
            return LookupResult(Rcode.NXDOMAIN, soa=_soa(zone))
    records = _ADDRESSES if name.is_below(_LOCALHOST) else _RECORDS.get(name)
    if records is None:
        return None
    rtypes = tuple(records) if rtype == RRType.ANY else (rtype,)
    answers = tuple([RRset(name, one, RRClass.IN, _TTL_S, (records[one],)) for one in rtypes if one in records])
    return LookupResult(
        Rcode.NOERROR, answers, soa=None if answers else _soa(_LOCALHOST if records is _ADDRESSES else name)
    )


def _soa(zone: Name) -> RRset:
    rdata = SOA(_LOCALHOST, Name.from_text("nobody.invalid."), 1, 3600, 1200, 604_800, _TTL_S)
    return RRset(zone, RRType.SOA, RRClass.IN, _TTL_S, (rdata,))
