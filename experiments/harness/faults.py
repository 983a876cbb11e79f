"""Faults of a run: misconceptions that lab7's services show on purpose, by `lab7 run --fault HOST=NAME`.

    faults = parse_faults(["local=ttl-ignored"])        # {"local": ("ttl-ignored",)}
    add_faults(topo, faults)                            # the services of these hosts are started with --fault

A run with faults is marked in result.json (`faults`) and in its report. docs/faults.md lists the faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mininet.topo import Topo

from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.services.dns.faults import AUTHORITATIVE_FAULTS, RESOLVER_FAULTS
from lab7.services.ftp.faults import SERVER_FAULTS as FTP_FAULTS
from lab7.services.http.faults import PROXY_FAULTS
from lab7.services.http.faults import SERVER_FAULTS as HTTP_FAULTS
from lab7.services.mail.faults import IMAP_FAULTS, MTA_FAULTS, POP3_FAULTS
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.process.interpreter import full_name
from lab7.topologies.emulation.topology_checks import commands

# Module of a service -> its faults: name -> description.
FAULTS: Mapping[str, Mapping[str, str]] = {
    "lab7.services.dns.authoritative": AUTHORITATIVE_FAULTS,
    "lab7.services.dns.resolver": RESOLVER_FAULTS,
    "lab7.services.http.origin": HTTP_FAULTS,
    "lab7.services.http.proxy": {**HTTP_FAULTS, **PROXY_FAULTS},
    "lab7.services.ftp.server": FTP_FAULTS,
    "lab7.services.mail.mta": MTA_FAULTS,
    "lab7.services.mail.pop3": POP3_FAULTS,
    "lab7.services.mail.imap": IMAP_FAULTS,
}
Faults = Mapping[str, tuple[str, ...]]


class FaultError(ValueError):
    """Invalid --fault option; the message lists the valid names."""


def parse_faults(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Parse HOST=NAME texts; return host -> names of faults. Raises FaultError."""
    found: dict[str, tuple[str, ...]] = {}
    known = list(dict.fromkeys(name for faults in FAULTS.values() for name in faults))
    for text in texts:
        host, equals, name = text.partition("=")
        if not equals or not host or name not in known:
            raise FaultError(
                f"--fault {text!r}{did_you_mean(name, known)}: give HOST=NAME; the names are {', '.join(known)}"
            )
        found[host] = tuple(dict.fromkeys((*found.get(host, ()), name)))
    return found


def add_faults(topo: Topo, faults: Faults, replaced: Iterable[str] = ()) -> None:
    """Add the option --fault to the command lines of these hosts' services.

    `replaced`: hosts that run another program. Raises TopologyError for a host without a service that has the fault.
    """
    for host, names in faults.items():
        serves = topo.nodeInfo(host).get("serves") if host in topo.hosts() else []
        # Change the list in place, since a function that starts the service may refer to the list.
        lines = serves if isinstance(serves, list) else commands(serves)
        for name in names:
            lines[:] = [_with(full_name(line), name) for line in lines]
            if host in replaced or not any(line.endswith(f" --fault {name}") for line in lines):
                raise TopologyError(f"no service of {host} has the fault {name}: {_hosts(topo, name, replaced)}")
        topo.nodeInfo(host)["serves"] = lines


def _with(line: str, name: str) -> str:
    return f"{line} --fault {name}" if name in FAULTS.get(line.split()[0], {}) else line


def _hosts(topo: Topo, name: str, replaced: Iterable[str]) -> str:
    """Return the sentence that names the hosts whose services have a fault."""
    able = [
        host
        for host in topo.hosts()
        if host not in replaced
        and any(name in FAULTS.get(line.split()[0], {}) for line in commands(topo.nodeInfo(host).get("serves")))
    ]
    return f"the hosts that have it are {', '.join(able)}" if able else "no host of this network has it"
