"""Where resolution begins: the servers of the root, from the command line or from a hints file.

--root a.root-servers.test=127.0.1.1        as often as there are servers
--root-hints named.root                     NS records of the root and A records of their hosts

RFC 8109 section 2 (hints are a beginning, and nothing else is believed of them), RFC 1034 section 5.3.3 (SBELT).
"""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from services.dns.codes import RRType
from services.dns.delegation import Delegation, delegation_from, root_delegation
from services.dns.errors import MasterFileError, TextError
from services.dns.master_file import read_master_file
from services.dns.name import ROOT, Name
from services.dns.records import rrsets_of
from services.errors import ServiceError


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
