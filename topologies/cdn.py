"""Topology of a CDN: an origin behind a narrow link, replicas in three regions, request routing by DNS.

    eu  Europe   eu-user 10.8.1.101 ...  eu-dns 10.8.1.2  eu-edge 10.8.1.10 ── s1 ──  5 ms ──┐
    ap  Asia     ap-user 10.8.2.101 ...  ap-dns 10.8.2.2  ap-edge 10.8.2.10 ── s2 ── 40 ms ──┤
    us  America  us-user 10.8.3.101 ...  us-dns 10.8.3.2  us-edge 10.8.3.10 ── s3 ── 25 ms ──┼─ s0, the Internet
    ns-root 10.8.0.1   ns-com 10.8.0.2   ns-net 10.8.0.3   ns-example 10.8.0.4               │
    ns-cdn  10.8.0.5   ── directly at the Internet ──────────────────────────────────────────┤
    origin  10.8.9.1   origin.example.com ──── bw, 10 ms ────────────────────────────────────┘

All hosts are in 10.8.0.0/16; one-way delays are multiplied by `scale`; only the origin's link has a rate. The users of
a region, the region's local name server and its edge server (the replica of the CDN) are on the region's switch.
www.example.com is the site of a content provider: the provider's name server answers with a CNAME record to
www.example.cdn.net (parameter cdn=yes) or with the origin's address (cdn=no). The CDN's name server answers queries for
www.example.cdn.net with a replica of the client's region (request routing by DNS).

    sudo mn --custom topologies/cdn.py --topo cdn --switch lxbr
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from mininet.topo import Topo

from lab7.topologies.dns_zones import NamePlan, Record, Zone

# The package resource API locates the pages, because `mn --custom` does not define __file__.
PAGES = Path(str(resources.files("lab7.topologies"))) / "www"
PREFIX = "10.8"
# Region -> (number of the region in addresses, one-way delay of the region's link in ms).
REGIONS: Mapping[str, tuple[int, float]] = {"eu": (1, 5.0), "ap": (2, 40.0), "us": (3, 25.0)}
ORIGIN_LEG_MS = 10.0
ORIGIN = f"{PREFIX}.9.1"
NAME, ALIAS, ORIGIN_NAME = "www.example.com.", "www.example.cdn.net.", "origin.example.com."
# Name servers of the topology: host -> (address, domain name, zone).
SERVERS: Mapping[str, tuple[str, str, str]] = {
    "ns-root": (f"{PREFIX}.0.1", "a.root-servers.net.", "."),
    "ns-com": (f"{PREFIX}.0.2", "ns.com.", "com."),
    "ns-net": (f"{PREFIX}.0.3", "ns.net.", "net."),
    "ns-example": (f"{PREFIX}.0.4", "ns.example.com.", "example.com."),
    "ns-cdn": (f"{PREFIX}.0.5", "ns.cdn.net.", "cdn.net."),
}
# Host part of addresses in a region's network: the local name server, the first replica, the first client.
LOCAL, REPLICA, CLIENT = 2, 10, 101
MOST_CLIENTS, MOST_REPLICAS = 64, 8
STATUS_PATH = "/lab7-status"
ALIAS_TTL_S = 3600


@dataclass(frozen=True)
class CdnPlan:
    """Configuration of the name servers of the CDN topology.

        ttl, interval_s   TTL of the CDN's answers and period of its health checks, in seconds
        replicas          number of replicas per region
        through_cdn       the provider's name is an alias (CNAME) of the CDN's name
        servers           name servers: host -> (address, domain name, zone)

    A larger topology adds addresses (domain name -> address), records (zone -> records) and networks (client prefix
    such as `10.8.4.0/24` -> region that serves it).
    """

    ttl: int = 2
    interval_s: float = 1.0
    replicas: int = 1
    through_cdn: bool = True
    servers: Mapping[str, tuple[str, str, str]] = field(default_factory=lambda: SERVERS)
    addresses: Mapping[str, str] = field(default_factory=dict)
    records: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)
    networks: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> NamePlan:
        """Return the DNS zones for this configuration, with their records."""
        addresses = {name: [address] for address, name, _ in self.servers.values()} | {ORIGIN_NAME: [ORIGIN]}
        addresses |= {name: [address] for name, address in self.addresses.items()}
        own = Record(NAME, "CNAME", ALIAS, ALIAS_TTL_S) if self.through_cdn else Record(NAME, "A", ORIGIN)
        records = {**self.records, "example.com.": (own, *self.records.get("example.com.", ()))}
        zones = [Zone(origin, (name,), records.get(origin, ())) for _, name, origin in self.servers.values()]
        return NamePlan("cdn", addresses, zones)

    def region_map(self) -> str:
        """Return the region map of the CDN's name server, in the format of lab7.services.dns.cdn."""
        lines = [f"name {ALIAS.rstrip('.')}", f"ttl {self.ttl}", *self._regions(), "default eu"]
        return "\n".join([*lines, f"otherwise origin {ORIGIN}", ""])

    def _regions(self) -> list[str]:
        served = {name: [region_network(name)] for name in REGIONS}
        for network, name in self.networks.items():
            served[name].append(network)
        lines = [f"cover {' '.join(network for networks in served.values() for network in networks)}"]
        lines += [f"region {name} {' '.join(networks)}" for name, networks in served.items()]
        return lines + [
            f"replica {name} {replica_address(name, number)}" for name in REGIONS for number in range(self.replicas)
        ]


def region_network(region: str) -> str:
    """Return the IPv4 network of a region, such as `10.8.1.0/24`, for the region map of the CDN's name server."""
    return f"{PREFIX}.{REGIONS[region][0]}.0/24"


def replica_address(region: str, number: int = 0) -> str:
    """Return the IPv4 address of a region's replica, numbered from 0."""
    return f"{PREFIX}.{REGIONS[region][0]}.{REPLICA + number}"


def client_address(region: str, number: int = 0) -> str:
    """Return the IPv4 address of a region's client, numbered from 0."""
    return f"{PREFIX}.{REGIONS[region][0]}.{CLIENT + number}"


def local_address(region: str) -> str:
    """Return the IPv4 address of a region's local name server."""
    return f"{PREFIX}.{REGIONS[region][0]}.{LOCAL}"


def host_name(kind: str, region: str, number: int = 0) -> str:
    """Return the name of a user's host or an edge server in a region: `eu-user`; the second is `eu-user2`."""
    return f"{region}-{kind}" if number == 0 else f"{region}-{kind}{number + 1}"


def _check(clients: int, replicas: int, cdn: str, resolver: str) -> None:
    if not 0 <= clients <= MOST_CLIENTS:
        raise ValueError(f"clients={clients}: must be 0 to {MOST_CLIENTS}")
    if not 1 <= replicas <= MOST_REPLICAS:
        raise ValueError(f"replicas={replicas}: must be 1 to {MOST_REPLICAS}")
    if cdn not in ("yes", "no"):
        raise ValueError(f"cdn={cdn}: must be yes or no")
    if resolver not in ("regional", "public", "subnet"):
        raise ValueError(f"resolver={resolver}: must be regional, public or subnet")


class CdnParts(Topo):  # type: ignore[misc]
    """Base class of topologies with a CDN: methods that add the name servers, the origin and the regions."""

    # Hosts resolve names by the name servers, not by /etc/hosts.
    host_names = False

    def add_name_servers(self, internet: str, plan: CdnPlan) -> None:
        """Add the authoritative name servers in `plan`; add_region() adds the recursive resolver of each region."""
        names = plan.names()
        for host, (address, name, origin) in plan.servers.items():
            files = {"own.zone": names.master_file(origin)}
            serves = f"lab7.services.dns.authoritative --zone own.zone --listen {address} --port 53"
            if host == "ns-cdn":
                files["regions"] = plan.region_map()
                checks = f"--check-path {STATUS_PATH} --interval {plan.interval_s:g} --timeout {plan.interval_s:g}"
                serves = f"lab7.services.dns.cdn --zone own.zone --map regions {checks} --listen {address} --port 53"
            node = self.addHost(host, ip=f"{address}/16", names=[name.rstrip(".")], files=files, serves=serves)
            self.addLink(node, internet)

    def add_origin(self, internet: str, bw: float, scale: float, root: str, max_age: int) -> None:
        """Add the origin server behind a link of `bw` Mbit/s."""
        flags = f"--cache-control '*=max-age={max_age}'"
        serves = f"lab7.services.http.origin --root {shlex.quote(root)} {flags} --listen 0.0.0.0 --port 80"
        origin = self.addHost("origin", ip=f"{ORIGIN}/16", names=[ORIGIN_NAME.rstrip(".")], serves=serves)
        self.addLink(origin, internet, bw=bw, delay=f"{ORIGIN_LEG_MS * scale:g}ms", max_queue_size=10_000)

    def add_region(self, switch: str, region: str, clients: int, plan: CdnPlan, resolver: str = "regional") -> None:
        """Add the hosts of a region to its switch: its local name server, edge servers and users."""
        flags = " --client-subnet 24" if resolver == "subnet" else ""
        self.addLink(self.add_resolver(f"{region}-dns", local_address(region), flags), switch)
        asks = local_address(region if resolver == "regional" else "eu")
        for number in range(plan.replicas):
            host, address = host_name("edge", region, number), replica_address(region, number)
            flags = f"--name {host} --status {STATUS_PATH} --origin http://{ORIGIN}:80"
            serves = f"lab7.services.http.proxy {flags} --listen 0.0.0.0 --port 80"
            self.addLink(self.addHost(host, ip=f"{address}/16", serves=serves), switch)
        for number in range(clients):
            host = host_name("user", region, number)
            client = self.addHost(host, ip=f"{client_address(region, number)}/16", resolver=asks)
            self.addLink(client, switch)

    def add_resolver(self, host: str, address: str, flags: str = "") -> str:
        """Add a local name server, which is a recursive resolver with root hints; return the host's name."""
        root, name, _ = SERVERS["ns-root"]
        serves = f"lab7.services.dns.resolver --root {name}={root}{flags} --listen 0.0.0.0 --port 53"
        return str(self.addHost(host, ip=f"{address}/16", serves=serves))


class CdnTopo(CdnParts):
    """Mininet topology of a CDN: regions with replicas, an origin, name servers; build() documents the parameters."""

    def build(
        self,
        clients: int = 1,
        replicas: int = 1,
        cdn: str = "yes",
        bw: float = 5,
        ttl: int = 2,
        interval: float = 1.0,
        scale: float = 1.0,
        resolver: str = "regional",
        root: str = str(PAGES),
        max_age: int = 3600,
    ) -> None:
        """Add all hosts, switches and links of the CDN. Raises ValueError for a parameter out of range.

        clients, replicas   number per region
        cdn                 the provider's name is an alias of the CDN's name (yes or no)
        bw                  rate of the origin's link in Mbit/s
        ttl, interval       TTL of the CDN's answers and period of its health checks, in seconds
        scale               factor of all delays
        resolver            regional (one per region), public (all clients use the resolver in Europe) or subnet
                            (as public, with EDNS Client Subnet, RFC 7871)
        root                document root of the origin
        max_age             freshness lifetime (max-age) of the origin's objects in seconds
        """
        _check(int(clients), int(replicas), cdn, resolver)
        plan = CdnPlan(int(ttl), float(interval), int(replicas), cdn == "yes")
        internet = self.addSwitch("s0")
        self.add_name_servers(internet, plan)
        self.add_origin(internet, float(bw), float(scale), root, int(max_age))
        for name, (number, delay_ms) in REGIONS.items():
            switch = self.addSwitch(f"s{number}")
            self.addLink(switch, internet, delay=f"{delay_ms * float(scale):g}ms")
            self.add_region(switch, name, int(clients), plan, resolver)


TRY = (
    "ap-user dig www.example.com",
    "eu-user dig +short www.example.com",
    "us-user curl -si http://www.example.com/",
    "ap-user curl -s http://10.8.2.10/lab7-status",
)
topos = {"cdn": CdnTopo}
