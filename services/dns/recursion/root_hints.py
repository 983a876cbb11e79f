"""Root hints: the addresses from which iteration starts (SBELT in RFC 1034 section 5.3.3).

    --root a.root-servers.test=127.0.1.1        repeatable
    --root-hints named.root                     NS records of the root, and A records of their hosts

RFC 8109 section 2: hints locate the root servers and are not cached as answers.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import MasterFileError, TextError
from lab7.services.dns.codec.master_file import read_master_file
from lab7.services.dns.codec.message import rrsets_of
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.recursion.cache import Delegation, Service
from lab7.services.dns.recursion.classification import delegation_from
from lab7.services.errors import ServiceError


def root_delegation(hosts: Mapping[Name, tuple[str, ...]], service: Service = Service.ITERATIVE) -> Delegation:
    """Return the delegation of the root zone to `hosts`: root servers, or forwarders with Service.FORWARDER."""
    return Delegation(ROOT, tuple(hosts), dict(hosts), service=service)


def named_roots(arguments: Iterable[str]) -> Delegation:
    """Return the delegation of the root zone made from arguments NAME=ADDRESS; raises ServiceError."""
    hosts: dict[Name, tuple[str, ...]] = {}
    for argument in arguments:
        text, _, address = argument.rpartition("=")
        try:
            name = Name.from_text(text)
            hosts[name] = (*hosts.get(name, ()), str(ip_address(address)))
        except (TextError, ValueError) as error:
            raise ServiceError(f"--root {argument}: expected NAME=ADDRESS") from error
    return root_delegation(hosts)


def roots_from_file(path: Path) -> Delegation:
    """Return the delegation of the root zone made from the records in a hints file; raises ServiceError."""
    try:
        rrsets = rrsets_of(entry.record for entry in read_master_file(path, ROOT))
    except MasterFileError as error:
        raise ServiceError(str(error)) from error
    ns = next((rrset for rrset in rrsets if rrset.rtype == RRType.NS and rrset.name == ROOT), None)
    delegation = None if ns is None else delegation_from(ns, rrsets, ROOT)
    if delegation is None or not delegation.glue:
        raise ServiceError(f"{path}: no root server with an address")
    return delegation
