"""Zone signing: DNSKEY, CDS and CDNSKEY at the apex, NSEC or NSEC3 records, and a signature for each RRset.

    sign_zone(zone, keys, SigningPolicy(inception, expiration))   ->   the signed Zone

RFC 4035 section 2 (which RRsets are signed: neither delegations nor glue), RFC 5155 section 7.1 (NSEC3), RFC 6840
section 5.11 (each algorithm of the DNSKEY RRset signs the zone), RFC 7344 section 4.1 (CDS and CDNSKEY are signed by
the key-signing key), RFC 9077 (TTL of NSEC records), RFC 9276 section 3.1 (NSEC3 without salt and without iterations).
Signing the same zone with the same keys and times gives the same octets (ECDSA: if the library is deterministic).
Left out: key rollovers, for which a zone is signed several times with different keys, and the increment of the serial.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import SOA
from lab7.services.dns.codec.rdata_security import DS, NSEC, NSEC3, NSEC3PARAM
from lab7.services.dns.security.keys import SigningKey, ds_of
from lab7.services.dns.security.nsec3 import OPT_OUT, SHA1, hash_label, nsec3_hash
from lab7.services.dns.security.signature import sign_rrset
from lab7.services.dns.zones.zone import Node, Zone
from lab7.services.errors import ServiceError

# Default validity of signatures in seconds: 14 days, as in Knot DNS; dnssec-signzone's default is 30 days.
VALIDITY_S = 14 * 86_400
# Seconds from inception to signing, for validators with a late clock; dnssec-signzone and Knot DNS subtract time, too.
BACKDATED_S = 3600

_GENERATED = frozenset({RRType.RRSIG, RRType.NSEC, RRType.NSEC3, RRType.NSEC3PARAM, RRType.CDS, RRType.CDNSKEY})
_APEX_KEYS = (RRType.DNSKEY, RRType.CDS, RRType.CDNSKEY)

Key = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Nsec3Policy:
    """Parameters of NSEC3 for signing; with `opt_out`, unsigned delegations get no record (RFC 5155 section 6)."""

    salt: bytes = b""
    iterations: int = 0
    opt_out: bool = False


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """Parameters of signing: inception and expiration in seconds since 1970; NSEC, or NSEC3 with its parameters."""

    inception: int
    expiration: int
    nsec3: Nsec3Policy | None = None

    @classmethod
    def at(cls, now: float, nsec3: Nsec3Policy | None = None, validity_s: int = VALIDITY_S) -> "SigningPolicy":
        """Return the policy with inception and expiration for signatures made at the time `now`.

        `now` is rounded down to the hour, so that several servers make equal signatures.
        """
        hour = int(now) // 3600 * 3600
        return cls(hour - BACKDATED_S, hour + validity_s, nsec3)


def sign_zone(
    zone: Zone,
    keys: Sequence[SigningKey],
    policy: SigningPolicy,
    delegations: Mapping[Name, Sequence[DS]] | None = None,
) -> Zone:
    """Return a zone signed with `keys`; `delegations` has the DS records to add at zone cuts.

    Raises ServiceError without a usable key.
    """
    own = [key for key in keys if key.zone == zone.origin]
    if not own:
        raise ServiceError(f"no key of the zone {zone.origin}")
    nodes = {
        key: {rtype: rrset for rtype, rrset in node.items() if rtype not in _GENERATED}
        for key, node in zone.nodes.items()
    }
    _add_keys(zone, nodes, own)
    for cut, records in (delegations or {}).items():
        node = nodes.get(cut.folded, {})
        if RRType.NS in node and cut != zone.origin and records:
            node[RRType.DS] = RRset(cut, RRType.DS, zone.rclass, node[RRType.NS].ttl, tuple(records))
    authoritative = dict(_authoritative(zone.origin, nodes))
    if policy.nsec3 is None:
        _add_nsec(zone, nodes, authoritative)
    else:
        hashed = _nsec3_nodes(zone, nodes, authoritative, policy.nsec3)
        nodes |= hashed
        authoritative |= {key: list(node.values()) for key, node in hashed.items()}
    signer = _Signer(zone.origin, own, policy)
    signatures = {key: signer.signatures(rrsets) for key, rrsets in authoritative.items() if rrsets}
    return Zone(zone.origin, nodes, signatures)


def delegation_records(keys: Iterable[SigningKey]) -> dict[Name, list[DS]]:
    """Return the DS records of the key-signing keys among `keys`, keyed by zone."""
    records: dict[Name, list[DS]] = {}
    for key in keys:
        if key.is_key_signing:
            records.setdefault(key.zone, []).append(ds_of(key.zone, key.dnskey))
    return records


def _add_keys(zone: Zone, nodes: dict[Key, Node], keys: Sequence[SigningKey]) -> None:
    """Add the DNSKEY records, and CDS and CDNSKEY records of the key-signing keys (RFC 7344 section 3)."""
    apex = nodes[zone.origin.folded]
    present = apex[RRType.DNSKEY].rdatas if RRType.DNSKEY in apex else ()
    entry_points = [key for key in keys if key.is_key_signing]
    added: dict[int, tuple[Rdata, ...]] = {
        RRType.DNSKEY: tuple(dict.fromkeys([*present, *(key.dnskey for key in keys)])),
        RRType.CDS: tuple(ds_of(zone.origin, key.dnskey) for key in entry_points),
        RRType.CDNSKEY: tuple(key.dnskey for key in entry_points),
    }
    for rtype, rdatas in added.items():
        if rdatas:
            apex[rtype] = RRset(zone.origin, rtype, zone.rclass, zone.soa.ttl, rdatas)


def _authoritative(origin: Name, nodes: Mapping[Key, Node]) -> Iterator[tuple[Key, list[RRset]]]:
    """Yield (name, RRsets to sign) for each name in the zone's NSEC or NSEC3 chain (RFC 4035 section 2.2).

    Names below a zone cut or a DNAME are left out, since they are not in the zone. At a zone cut, only DS is signed.
    Empty non-terminals have no RRsets.
    """
    for key, node in nodes.items():
        if _is_occluded(key, origin, nodes):
            continue
        if RRType.NS in node and key != origin.folded:
            yield key, [rrset for rtype, rrset in node.items() if rtype == RRType.DS]
        else:
            yield key, list(node.values())


def _is_occluded(key: Key, origin: Name, nodes: Mapping[Key, Node]) -> bool:
    for begin in range(1, len(key) - len(origin.folded) + 1):
        node = nodes.get(key[begin:], {})
        if RRType.DNAME in node or (RRType.NS in node and key[begin:] != origin.folded):
            return True
    return False


def _types(node: Node, is_cut: bool) -> set[int]:
    """Return the RR types that the type bitmap of a name's NSEC or NSEC3 record lists (RFC 4035 section 2.3)."""
    return {rtype for rtype in node if not is_cut or rtype in (RRType.NS, RRType.DS)}


def _negative_ttl(zone: Zone) -> int:
    """Return the TTL of NSEC and NSEC3 records (RFC 9077 section 3)."""
    rdata = zone.soa.rdatas[0]
    return min(zone.soa.ttl, rdata.minimum) if isinstance(rdata, SOA) else zone.soa.ttl


def _owner(key: Key, node: Node, origin: Name) -> Name:
    """Return the name of a node of the zone, spelled (upper or lower case) as in its records."""
    return origin if key == origin.folded else next((rrset.name for rrset in node.values()), Name(key))


def _add_nsec(zone: Zone, nodes: dict[Key, Node], authoritative: dict[Key, list[RRset]]) -> None:
    """Add the NSEC records of all names that have records (RFC 4034 section 4)."""
    keys = sorted((key for key in authoritative if nodes[key]), key=lambda labels: labels[::-1])
    ttl = _negative_ttl(zone)
    for key, following in zip(keys, [*keys[1:], keys[0]], strict=True):
        node = nodes[key]
        is_cut = RRType.NS in node and key != zone.origin.folded
        types = tuple(sorted({*_types(node, is_cut), RRType.RRSIG, RRType.NSEC}))
        rdata = NSEC(_owner(following, nodes[following], zone.origin), types)
        record = RRset(_owner(key, node, zone.origin), RRType.NSEC, zone.rclass, ttl, (rdata,))
        node[RRType.NSEC] = record
        authoritative[key].append(record)


def _nsec3_nodes(
    zone: Zone, nodes: dict[Key, Node], authoritative: dict[Key, list[RRset]], policy: Nsec3Policy
) -> dict[Key, Node]:
    """Add NSEC3PARAM at the apex, and return the NSEC3 records as nodes keyed by owner (RFC 5155 section 7.1)."""
    parameters = NSEC3PARAM(SHA1, 0, policy.iterations, policy.salt)
    # NSEC3PARAM has TTL 0, as in BIND, because no resolver needs the record (RFC 5155 section 7.1).
    record = RRset(zone.origin, RRType.NSEC3PARAM, zone.rclass, 0, (parameters,))
    apex = zone.origin.folded
    nodes[apex][RRType.NSEC3PARAM] = record
    authoritative[apex].append(record)
    names = authoritative.keys() if not policy.opt_out else _without_opt_out(zone.origin, nodes, authoritative)
    hashes: dict[bytes, Key] = {}
    for key in names:
        octets = nsec3_hash(Name(key), policy.salt, policy.iterations)
        if octets in hashes:
            raise ServiceError(f"{Name(key)} and {Name(hashes[octets])} have the same hash: use another salt")
        hashes[octets] = key
    ordered, ttl = sorted(hashes), _negative_ttl(zone)
    made: dict[Key, Node] = {}
    for octets, following in zip(ordered, [*ordered[1:], ordered[0]], strict=True):
        key = hashes[octets]
        node = nodes[key]
        types = _types(node, RRType.NS in node and key != apex)
        if authoritative[key]:
            types.add(RRType.RRSIG)
        flags = OPT_OUT if policy.opt_out else 0
        rdata = NSEC3(SHA1, flags, policy.iterations, policy.salt, following, tuple(sorted(types)))
        owner = zone.origin.child(hash_label(octets))
        made[owner.folded] = {RRType.NSEC3: RRset(owner, RRType.NSEC3, zone.rclass, ttl, (rdata,))}
    return made


def _without_opt_out(origin: Name, nodes: Mapping[Key, Node], authoritative: Mapping[Key, list[RRset]]) -> set[Key]:
    """Return the names that have NSEC3 records in a zone with opt-out, a subset of all names.

    Two kinds of names have none: unsigned delegations, and empty non-terminals with only unsigned delegations below.
    """
    kept: set[Key] = {origin.folded}
    for key, rrsets in authoritative.items():
        above = key
        while rrsets and len(above) > len(origin.folded):
            kept.add(above)
            above = above[1:]
    return {key for key in kept if key in nodes}


class _Signer:
    """Signer of a zone's RRsets: the keys for the DNSKEY RRset and for others, and the validity of signatures."""

    def __init__(self, origin: Name, keys: Sequence[SigningKey], policy: SigningPolicy) -> None:
        self._policy = policy
        self._origin = origin
        self._for_keys: list[SigningKey] = []
        self._for_data: list[SigningKey] = []
        for algorithm in dict.fromkeys(key.dnskey.algorithm for key in keys):
            of_algorithm = [key for key in keys if key.dnskey.algorithm == algorithm]
            entry_points = [key for key in of_algorithm if key.is_key_signing]
            others = [key for key in of_algorithm if not key.is_key_signing]
            # A single key signs both the DNSKEY RRset and all other RRsets.
            self._for_keys += entry_points or others
            self._for_data += others or entry_points

    def signatures(self, rrsets: Iterable[RRset]) -> Node:
        """Return the RRSIG records of a name's RRsets, keyed by the type covered."""
        return {rrset.rtype: self._signature(rrset) for rrset in rrsets}

    def _signature(self, rrset: RRset) -> RRset:
        is_key = rrset.rtype in _APEX_KEYS and rrset.name == self._origin
        rdatas = [
            sign_rrset(rrset, key, self._policy.inception, self._policy.expiration)
            for key in (self._for_keys if is_key else self._for_data)
        ]
        return RRset(rrset.name, RRType.RRSIG, rrset.rclass, rrset.ttl, tuple(rdatas))
