"""DNS servers to add to any topology: for the root, a top-level and a second-level domain, and a recursive resolver.

    local = plug_in(self, "isp", "s1", "10.7", {"www.example.com": "10.7.1.1"})     # in build() of a topology
    self.addHost("client", ip="10.7.0.1/16", resolver=local)

plug_in() links the authoritative servers to the switch isp and the resolver to the switch s1, and returns the
resolver's address. "10.7" is the prefix of their addresses, 10.7.53.1 to 10.7.53.4; the dictionary maps the domain
names to be served to IP addresses. Set the topology's `host_names` to False, so that names are resolved by these
servers only, not by /etc/hosts. To study the DNS itself, use the topology `dns`.
"""

from collections.abc import Mapping

from mininet.topo import Topo

from lab7.topologies.dns_zones import NamePlan, Zone

ROOT = "a.root-servers.net."


def plug_in(topo: Topo, internet: str, campus: str, prefix: str, names: Mapping[str, str]) -> str:
    """Add name servers to a topology, and return the address of the recursive resolver among them.

    `names` maps domain names, all in one second-level domain (www.example.com), to addresses. The authoritative servers
    are put on the switch `internet`, the recursive resolver on the switch `campus`. Raises ValueError for names in
    several second-level domains.
    """
    domain, parent = _domain(names)
    servers = {
        "ns-root": (f"{prefix}.53.1", ROOT, "."),
        "ns-tld": (f"{prefix}.53.2", f"ns.{parent}", parent),
        "ns-own": (f"{prefix}.53.3", f"ns.{domain}", domain),
    }
    addresses = {f"{name.rstrip('.')}.": [address] for name, address in names.items()}
    addresses |= {name: [address] for address, name, _ in servers.values()}
    plan = NamePlan("hierarchy", addresses, [Zone(origin, (name,)) for _, name, origin in servers.values()])
    for host, (address, _, origin) in servers.items():
        serves = f"lab7.services.dns.authoritative --zone own.zone --listen {address} --port 53"
        topo.addHost(host, ip=f"{address}/16", files={"own.zone": plan.master_file(origin)}, serves=serves)
        topo.addLink(host, internet)
    local = f"{prefix}.53.4"
    serves = f"lab7.services.dns.resolver --root {ROOT}={servers['ns-root'][0]} --listen 0.0.0.0 --port 53"
    topo.addLink(topo.addHost("ns-local", ip=f"{local}/16", serves=serves), campus)
    return local


def _domain(names: Mapping[str, str]) -> tuple[str, str]:
    """Return (second-level domain, top-level domain) that all names share. Raises ValueError if they share none."""
    domains = {".".join(name.rstrip(".").split(".")[-2:]) + "." for name in names}
    if len(domains) != 1:
        raise ValueError(f"the names {', '.join(names)} are not all in one second-level domain")
    domain = domains.pop()
    return domain, domain.partition(".")[2]
