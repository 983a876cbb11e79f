"""Fault injection: deliberate protocol errors of lab7's services, enabled by `lab7 run --fault HOST=NAME`.

    faults = parse_faults(["local=ttl-ignored"])        # {"local": ("ttl-ignored",)}
    add_faults(topo, faults)                            # the services of these hosts are started with --fault

Each fault is a common misconception about a protocol, such as a cache that ignores TTLs. A run with faults is marked in
result.json (`faults`) and in its report. docs/faults.md lists the faults.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from functools import cache

from mininet.topo import Topo

from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.process.interpreter import full_name
from lab7.topologies.emulation.topology_checks import commands

# Service -> module with its faults, and the names of the tables there. The modules import their services, which takes
# as long as all else that a command imports, so that they are imported only if a fault is requested.
_TABLES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "lab7.services.dns.authoritative": ("lab7.services.dns.faults", ("AUTHORITATIVE_FAULTS",)),
    "lab7.services.dns.resolver": ("lab7.services.dns.faults", ("RESOLVER_FAULTS",)),
    "lab7.services.http.origin": ("lab7.services.http.faults", ("SERVER_FAULTS",)),
    "lab7.services.http.proxy": ("lab7.services.http.faults", ("SERVER_FAULTS", "PROXY_FAULTS")),
    "lab7.services.ftp.server": ("lab7.services.ftp.faults", ("SERVER_FAULTS",)),
    "lab7.services.mail.mta": ("lab7.services.mail.faults", ("MTA_FAULTS",)),
    "lab7.services.mail.pop3": ("lab7.services.mail.faults", ("POP3_FAULTS",)),
    "lab7.services.mail.imap": ("lab7.services.mail.faults", ("IMAP_FAULTS",)),
}
Faults = Mapping[str, tuple[str, ...]]


class FaultError(ValueError):
    """Invalid --fault option; the message lists the valid names."""


@cache
def known_faults() -> Mapping[str, Mapping[str, str]]:
    """Return service module -> {fault name: description of the error} for all services."""
    return {
        service: {
            name: text for table in tables for name, text in getattr(importlib.import_module(module), table).items()
        }
        for service, (module, tables) in _TABLES.items()
    }


def parse_faults(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Parse HOST=NAME texts; return host -> names of faults. Raises FaultError."""
    found: dict[str, tuple[str, ...]] = {}
    known = list(dict.fromkeys(name for faults in known_faults().values() for name in faults))
    for text in texts:
        host, equals, name = text.partition("=")
        if not equals or not host or name not in known:
            raise FaultError(
                f"--fault {text!r}{did_you_mean(name, known)}: give HOST=NAME; the names are {', '.join(known)}"
            )
        found[host] = tuple(dict.fromkeys((*found.get(host, ()), name)))
    return found


def add_faults(topo: Topo, faults: Faults, replaced: Iterable[str] = ()) -> None:
    """Add the option --fault to the command lines of the services on these hosts.

    `replaced`: hosts with another program in place of lab7's service. Raises TopologyError for a host none of whose
    services has the fault.
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
    return f"{line} --fault {name}" if name in known_faults().get(line.split()[0], {}) else line


def _hosts(topo: Topo, name: str, replaced: Iterable[str]) -> str:
    """Return a clause for an error message: the hosts whose services have the fault `name`."""
    able = [
        host
        for host in topo.hosts()
        if host not in replaced
        and any(name in known_faults().get(line.split()[0], {}) for line in commands(topo.nodeInfo(host).get("serves")))
    ]
    return f"the hosts that have it are {', '.join(able)}" if able else "no host of this network has it"
