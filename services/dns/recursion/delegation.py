"""A delegation: a zone, the hosts that serve it, and the addresses of them that came with it.

    example.com.  NS  ns.example.com., ns.provider.net.     glue: ns.example.com. -> 192.0.2.53

RFC 1034 section 4.2.1: NS records and glue at the parent's side of a zone cut. Glue is kept inside the delegation it
came with, so it can lead to this zone's servers and nowhere else, and never becomes an answer (RFC 2181 section 5.4.1).
Left out: IPv6 between servers; the lab's network has IPv4, so AAAA glue is not looked at.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from math import inf
from pathlib import Path

from services.dns.codec.codes import RRClass, RRType
from services.dns.codec.errors import MasterFileError, TextError
from services.dns.codec.master_file import read_master_file
from services.dns.codec.name import ROOT, Name
from services.dns.codec.rdata import NS, A
from services.dns.codec.records import RRset, rrsets_of
from services.errors import ServiceError

# NS records of one delegation that are used. The root has 13, and no registry takes more than that; what is more than
# this is somebody who multiplies a resolver's work (CVE-2020-12662, "NXNSAttack").
HOSTS_MAX = 16
# Addresses of one host that are used: the NXNS bound holds for addresses too.
ADDRESSES_MAX = 8


class Service(Enum):
    """What the servers of a delegation are asked for (RFC 1034 section 4.3.1)."""

    ITERATIVE = "their own data, or a referral"
    RECURSIVE = "the answer, which they may get from others; a referral is followed where they do not"
    FORWARDER = "the answer, and nobody else is asked"


@dataclass(frozen=True, slots=True)
class Delegation:
    """Whom to ask about names at and below `zone`; `glue` maps hosts to the IPv4 addresses that came along.

    `until` is the time up to which it holds: never later than that of the delegation whose servers gave it.
    """

    zone: Name
    hosts: tuple[Name, ...]
    glue: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)
    ttl: int = 0
    service: Service = Service.ITERATIVE
    until: float = inf

    def ns_rrset(self, ttl: int) -> RRset:
        """Return the delegation as the records that say it."""
        return RRset(self.zone, RRType.NS, RRClass.IN, ttl, tuple(NS(host) for host in self.hosts))


def delegation_from(ns: RRset, additional: Iterable[RRset], bailiwick: Name) -> Delegation:
    """Make a delegation of an NS set and those additional sets that are its glue.

    RFC 2181 section 5.4.1: glue is for this zone only. It counts where the name lies in the `bailiwick` of the server
    that gave it, which is the parent zone; its TTL does not outlive the NS set's, as the delegation is one piece.
    """
    hosts = tuple(rdata.target for rdata in ns.rdatas if isinstance(rdata, NS))[:HOSTS_MAX]
    wanted, glue, ttl = set(hosts), dict[Name, tuple[str, ...]](), ns.ttl
    for rrset in additional:
        if rrset.rtype != RRType.A or rrset.name not in wanted or not rrset.name.is_below(bailiwick):
            continue
        glue[rrset.name] = addresses_of(rrset)
        ttl = min(ttl, rrset.ttl)
    return Delegation(ns.name, hosts, glue, ttl)


def addresses_of(rrset: RRset) -> tuple[str, ...]:
    """Return the addresses of an A set as text."""
    return tuple(str(rdata.address) for rdata in rrset.rdatas if isinstance(rdata, A))[:ADDRESSES_MAX]


def root_delegation(hosts: Mapping[Name, tuple[str, ...]], service: Service = Service.ITERATIVE) -> Delegation:
    """Return what is known without asking: the servers of the root, or those that take every question."""
    return Delegation(ROOT, tuple(hosts), dict(hosts), service=service)


# Where resolution begins: the servers of the root, from the command line or from a hints file.
#
# --root a.root-servers.test=127.0.1.1        as often as there are servers
# --root-hints named.root                     NS records of the root and A records of their hosts
#
# RFC 8109 section 2 (hints are a beginning, and nothing else is believed of them), RFC 1034 section 5.3.3 (SBELT).


def named_roots(arguments: Iterable[str]) -> Delegation:
    """Return the root's servers as NAME=ADDRESS arguments name them; raises ServiceError."""
    hosts: dict[Name, tuple[str, ...]] = {}
    for argument in arguments:
        text, _, address = argument.rpartition("=")
        try:
            name = Name.from_text(text)
            hosts[name] = (*hosts.get(name, ()), str(ip_address(address)))
        except (TextError, ValueError) as error:
            raise ServiceError(f"--root {argument}: a root server is NAME=ADDRESS") from error
    return root_delegation(hosts)


def roots_from_file(path: Path) -> Delegation:
    """Return the root's servers as a hints file names them; raises ServiceError."""
    try:
        sets = rrsets_of(entry.record for entry in read_master_file(path, ROOT))
    except MasterFileError as error:
        raise ServiceError(str(error)) from error
    servers = next((one for one in sets if one.rtype == RRType.NS and one.name == ROOT), None)
    delegation = None if servers is None else delegation_from(servers, sets, ROOT)
    if delegation is None or not delegation.glue:
        raise ServiceError(f"{path} names no root server with an address")
    return delegation
