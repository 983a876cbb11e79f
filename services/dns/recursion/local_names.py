"""Names that the resolver answers itself: localhost and the names below it (RFC 6761 section 6.3).

    localhost. A         ->  127.0.0.1
    x.localhost. AAAA    ->  ::1
    localhost. MX        ->  NODATA, with an SOA as in Unbound

Queries for them would be useless traffic to the root servers, and other servers could answer with other addresses. Left
out: the reverse names of loopback addresses (RFC 6303), and the other names of RFC 6761.
"""

from ipaddress import IPv4Address, IPv6Address

from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, SOA, A
from lab7.services.dns.recursion.cache import NEGATIVE_TTL_MAX_S, LookupResult

_LOCALHOST = Name.from_text("localhost.")
_ADDRESSES: dict[int, Rdata] = {
    RRType.A: A(IPv4Address("127.0.0.1")),
    RRType.AAAA: AAAA(IPv6Address("::1")),
}
_TTL_S = NEGATIVE_TTL_MAX_S
_SOA = RRset(
    _LOCALHOST,
    RRType.SOA,
    RRClass.IN,
    _TTL_S,
    (SOA(_LOCALHOST, Name.from_text("nobody.invalid."), 1, 3600, 1200, 604_800, _TTL_S),),
)


def local_answer(name: Name, rtype: int) -> LookupResult | None:
    """Return the answer for localhost or a name below it; None for any other name."""
    if not name.is_below(_LOCALHOST):
        return None
    rtypes = tuple(_ADDRESSES) if rtype == RRType.ANY else (rtype,)
    answers = tuple([RRset(name, one, RRClass.IN, _TTL_S, (_ADDRESSES[one],)) for one in rtypes if one in _ADDRESSES])
    return LookupResult(Rcode.NOERROR, answers, soa=None if answers else _SOA)
