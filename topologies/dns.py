"""Topology of the DNS: a root, top-level domains, authoritative servers, a campus with a recursive resolver.

    root     10.53.0.1  a.root-servers.net      ── 30 ms ──┐
    com      10.53.1.1  ns.com                  ── 45 ms ──┤
    org      10.53.1.2  ns.org                  ── 50 ms ──┤                ┌───────── local    10.53.9.53
    uk       10.53.1.3  ns.uk                   ── 55 ms ──┤                ├─ 10 ms ─ client   10.53.9.1
    arpa     10.53.1.4  ns.arpa                 ── 35 ms ──┼── s1 ══════ s2 ┴─ 10 ms ─ client2  10.53.9.2 ...
    example  10.53.2.1  ns.example.com          ── 25 ms ──┤   Internet   campus
    provider 10.53.3.1  ns.provider.org         ── 60 ms ──┤
    web1..3  10.53.4.1  server1.example.com ... ── 25 ms ──┘

All hosts are in 10.53.0.0/16; one-way delays are multiplied by `scale`, and are different for each name server, so that
timings show which server was queried. example.com is served by a name server of its own organisation, shop.org and
bookshop.uk by a third-party DNS provider. The zones are generated from this address plan (see dns_zones).

Parameter `mode`: `iterative` (the local server queries root, top-level domain and authoritative server in turn) or
`recursive` (each server queries the next on behalf of the one before; RFC 1034 section 4.3.1).

Parameter `dnssec`: the name servers sign all zones except bookshop.uk (RFC 4035), and the local server validates with
the root's key as trust anchor. Parameter `forged`: an attacker's server serves example.com, with a forged address of
server1.example.com, signed with the attacker's keys.

Parameter `ipv6`: every host has an IPv6 address in 2001:db8:a35::/48 in addition to its IPv4 address, and the zones
have AAAA records and PTR records below ip6.arpa.

Parameters `servers` and `zones`: other addresses for the name servers, and further zones that they serve.

    sudo mn --custom topologies/dns.py --topo dns --switch lxbr
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

from mininet.topo import Topo

from lab7.topologies.dns_zones import NamePlan, Record, Zone
from lab7.topologies.emulation.addressing.ipv6 import derived, without_length

LEGS_MS = {"root": 30, "com": 45, "org": 50, "uk": 55, "arpa": 35, "example": 25, "provider": 60, "web": 25}
CLIENT_LEG_MS = 10
# Name servers of the topology: host -> (address, domain name).
SERVERS = {
    "root": ("10.53.0.1", "a.root-servers.net."),
    "com": ("10.53.1.1", "ns.com."),
    "org": ("10.53.1.2", "ns.org."),
    "uk": ("10.53.1.3", "ns.uk."),
    "arpa": ("10.53.1.4", "ns.arpa."),
    "example": ("10.53.2.1", "ns.example.com."),
    "provider": ("10.53.3.1", "ns.provider.org."),
}
# Zones by name server: host -> origins of the zones for which the server is authoritative.
SERVED = {
    "root": (".",),
    "com": ("com.",),
    "org": ("org.",),
    "uk": ("uk.",),
    "arpa": ("arpa.", "in-addr.arpa."),
    "example": ("example.com.", "53.10.in-addr.arpa."),
    "provider": ("provider.org.", "shop.org.", "bookshop.uk."),
}
# Zone that the parameter `ipv6` adds: the reverse mapping of 2001:db8:a35::/48.
REVERSE_IPV6 = "5.3.a.0.8.b.d.0.1.0.0.2.ip6.arpa."
SERVED_IPV6 = {"arpa": ("ip6.arpa.",), "example": (REVERSE_IPV6,)}
WEB = {"web1": "10.53.4.1", "web2": "10.53.4.2", "web3": "10.53.4.3"}
LOCAL = "10.53.9.53"
NETWORK, CAMPUS = IPv4Network("10.53.0.0/16"), IPv4Network("10.53.9.0/24")
# Secret from which the keys of all zones are derived; ROOT_ANCHOR is the DS record of the root's key.
SEED, FORGED_SEED = "lab7", "forged"
ROOT_ANCHOR = ". IN DS 23377 15 2 3A8678F85003F16867B8FF804D5EC22695F25E5AE7628680D9C84C0B9BC92337"
# The zone that is not signed.
INSECURE = "bookshop.uk."
# Genuine address of server1.example.com, and the forged address that the attacker's name server returns.
GENUINE, FORGED = WEB["web1"], WEB["web3"]
POOL = "pool.example.com."
BIG = "big.example.com."


# Successive addresses of the domain name whose address changes (see changing_name).
VERSIONS = ("10.53.4.1", "10.53.4.2", "10.53.4.3")


def changing_name(ttl: int) -> str:
    """Return the domain name in example.com with TTL `ttl` whose address changes during a run."""
    return f"ttl{ttl}.example.com."


def _ipv6(address: str) -> str:
    """Return the IPv6 address that is derived from the IPv4 address of a host of this topology."""
    return without_length(derived(f"{address}/16"))


def parse_records(lines: str) -> list[Record]:
    """Parse lines `owner TTL type value` with absolute owner names into records. Raises ValueError for other lines."""
    records = []
    for line in lines.splitlines():
        if line.strip():
            words = line.split(maxsplit=3)
            if len(words) != 4 or not words[0].endswith(".") or not words[1].isdigit():
                raise ValueError(f"records: {line.strip()!r} must be `name. TTL type value`")
            owner, ttl, kind, value = words
            records.append(Record(owner, kind, value, int(ttl)))
    return records


def parse_servers(words: str) -> dict[str, tuple[str, str]]:
    """Return the name servers in SERVERS, with addresses changed to those in words `host=address`.

    Raises ValueError for other words, and for an address outside of the network, in the campus, or of another host.
    """
    servers = dict(SERVERS)
    for word in words.split():
        host, _, address = word.partition("=")
        try:
            plain = IPv4Address(address)
        except AddressValueError:
            plain = None
        if host not in servers or plain is None or plain not in NETWORK or plain in CAMPUS:
            raise ValueError(
                f"servers: {word!r} must be a name server and an address of 10.53.0.0/16, as com=10.53.1.7"
            )
        servers[host] = (address, servers[host][1])
    used = [*(address for address, _ in servers.values()), *WEB.values()]
    if len(set(used)) < len(used):
        raise ValueError(f"servers: {words!r} gives two hosts the same address")
    return servers


def parse_zones(lines: str, servers: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Parse lines `origin. host name.` into a dictionary: origin -> (host, domain name of the name server).

    Raises ValueError for other lines.
    """
    zones = {}
    known = {origin for origins in SERVED.values() for origin in origins}
    for line in lines.splitlines():
        if line.strip():
            words = line.split()
            if len(words) != 3 or words[1] not in servers or not all(one.endswith(".") for one in words[::2]):
                raise ValueError(f"zones: {line.strip()!r} must be `origin. host name.`, with a name server as host")
            if words[0] in known:
                raise ValueError(f"zones: {words[0]} is a zone already")
            zones[words[0]] = (words[1], words[2])
    return zones


def make_names(
    ttl: int = 3600,
    changing: Sequence[int] = (),
    version: int = 0,
    *,
    with_ipv6: bool = False,
    further: Sequence[Record] = (),
    servers: Mapping[str, tuple[str, str]] = SERVERS,
    own_zones: Mapping[str, tuple[str, str]] = {},
) -> NamePlan:
    """Return the zones of the topology dns as a NamePlan, from which their master files are generated.

    ttl         TTL of the records of example.com in seconds
    changing    TTLs, for each of which there is a name whose address changes (see changing_name)
    version     number of changes of these addresses so far, which also sets the serial number of example.com
    with_ipv6   add AAAA records and their reverse mapping
    further     additional records, each for the zone of its owner name
    servers     host -> (address, domain name) of the name servers
    own_zones   further zones: origin -> (host that serves it, domain name of this name server)
    """
    addresses = {name: [address] for address, name in servers.values()}
    web = {f"server{number}.example.com.": [address] for number, address in enumerate(WEB.values(), start=1)}
    canonical = {addresses_of_name[0]: name for name, addresses_of_name in (addresses | web).items()}
    addresses |= {name: [servers[host][0]] for host, name in own_zones.values()}
    pool = {POOL: list(WEB.values())}
    shops = {
        "www.shop.org.": [WEB["web2"]],
        "www.bookshop.uk.": [WEB["web3"]],
    }
    own = (
        Record("www.example.com.", "CNAME", "server1.example.com."),
        Record("example.com.", "MX", "10 server2.example.com."),
        Record("example.com.", "MX", "20 server3.example.com."),
        Record("example.com.", "TXT", '"an organisation with a name server of its own"'),
        # An RRset larger than a UDP response, which is truncated, so that clients retry over TCP.
        Record(BIG, "TXT", " ".join(f'"{number:02d} {"x" * 150}"' for number in range(12))),
        *(
            Record(changing_name(changing_ttl), "A", VERSIONS[version % len(VERSIONS)], changing_ttl)
            for changing_ttl in changing
        ),
    )
    zones = [
        Zone(".", (SERVERS["root"][1],)),
        Zone("com.", (SERVERS["com"][1],)),
        Zone("org.", (SERVERS["org"][1],)),
        Zone("uk.", (SERVERS["uk"][1],)),
        Zone("arpa.", (SERVERS["arpa"][1],)),
        Zone("in-addr.arpa.", (SERVERS["arpa"][1],)),
        Zone("example.com.", (SERVERS["example"][1],), own, ttl, serial=version + 1),
        Zone("53.10.in-addr.arpa.", (SERVERS["example"][1],)),
        Zone("provider.org.", (SERVERS["provider"][1],)),
        Zone("shop.org.", (SERVERS["provider"][1],)),
        Zone("bookshop.uk.", (SERVERS["provider"][1],)),
        *(Zone(origin, (name,)) for origin, (_, name) in own_zones.items()),
    ]
    names = addresses | web | pool | shops
    if with_ipv6:
        names = {name: [*found, *map(_ipv6, found)] for name, found in names.items()}
        canonical |= {_ipv6(address): name for address, name in canonical.items()}
        zones += [Zone("ip6.arpa.", (SERVERS["arpa"][1],)), Zone(REVERSE_IPV6, (SERVERS["example"][1],))]
    plan = NamePlan("dns", names, zones, canonical)
    if not further:
        return plan
    added: dict[str, list[Record]] = {}
    for record in further:
        # The root zone is an ancestor of each name.
        zone = plan.zone_of(record.owner)
        assert zone is not None
        added.setdefault(zone.origin, []).append(record)
    return NamePlan(
        "dns", names, [replace(one, records=(*one.records, *added.get(one.origin, ()))) for one in zones], canonical
    )


def zone_file(origin: str) -> str:
    """Return the file name of a zone: `com.zone`, `root.zone`."""
    return ("root" if origin == "." else origin.rstrip(".")) + ".zone"


class DnsTopo(Topo):  # type: ignore[misc]
    """Mininet topology of the DNS hierarchy with a campus and its resolver; build() documents the parameters."""

    # Hosts resolve names by the name servers, not by /etc/hosts.
    host_names = False

    def build(
        self,
        clients: int = 2,
        scale: float = 1.0,
        mode: str = "iterative",
        ttl: int = 3600,
        cache: str = "yes",
        changing: str = "",
        ipv6: str = "no",
        dnssec: str = "no",
        validate: str = "yes",
        forged: str = "no",
        records: str = "",
        servers: str = "",
        zones: str = "",
        **link: Any,
    ) -> None:
        """Add the name servers, web servers, campus hosts and links.

            clients    number of clients
            scale      factor of all delays
            mode       iterative or recursive
            ttl        TTL of the records of example.com in seconds
            cache      the local server caches (yes or no)
            changing   TTLs of the names whose address changes, separated by commas
            ipv6       add IPv6 addresses, AAAA records and their reverse mapping (yes or no)
            link       further TCLink parameters of the servers' links
            dnssec     zones are signed (yes or no)
            validate   the local server validates signed zones (yes or no)
            forged     an attacker serves example.com (yes or no)
            records    additional records for the zones of their names, one line `name. TTL type value` per record
            servers    addresses of name servers in place of those above, words such as `com=10.53.1.7`
            zones      further zones, one line `origin. host name.` per zone: its name server's host and domain name

        Raises ValueError for an unknown mode, an invalid record, address or zone, and for recursive mode with dnssec.
        """
        if mode not in ("iterative", "recursive"):
            raise ValueError(f"mode={mode!r}: must be iterative or recursive")
        if mode == "recursive" and dnssec == "yes":
            raise ValueError("dnssec=yes: needs mode=iterative, as recursive servers pass no signatures on")
        self.dnssec, self.forged = dnssec == "yes", forged == "yes"
        self.ipv6 = ipv6 == "yes"
        self.servers = parse_servers(servers)
        self.own_zones = parse_zones(zones, self.servers)
        names = make_names(
            int(ttl),
            [int(word) for word in changing.split(",") if word],
            with_ipv6=self.ipv6,
            further=parse_records(records),
            servers=self.servers,
            own_zones=self.own_zones,
        )
        internet, campus = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(internet, campus)
        for host in [*self._name_servers(names, mode), *self._web_servers()]:
            leg = "web" if host in WEB else host
            self.addLink(host, internet, delay=f"{LEGS_MS[leg] * float(scale):g}ms", **link)
        self.addLink(self._local_server(mode, cache, self.dnssec and validate == "yes"), campus)
        for number in range(1, int(clients) + 1):
            host = "client" if number == 1 else f"client{number}"
            self.addHost(host, ip=f"10.53.9.{number}/16", resolver=LOCAL)
            self.addLink(host, campus, delay=f"{CLIENT_LEG_MS * float(scale):g}ms")

    def _name_servers(self, names: NamePlan, mode: str) -> list[str]:
        for host, (address, name) in self.servers.items():
            own = tuple(origin for origin, (server, _) in self.own_zones.items() if server == host)
            origins = SERVED[host] + (SERVED_IPV6.get(host, ()) if self.ipv6 else ()) + own
            files = {zone_file(origin): self._master_file(names, origin) for origin in origins}
            zones = " ".join(f"--zone {file}" for file in files)
            beside = f" --listen {_ipv6(address)}" if self.ipv6 else ""
            recursive = mode == "recursive" and host in ("root", "com", "org", "uk", "arpa")
            module = "lab7.services.dns.recursive" if recursive else "lab7.services.dns.authoritative"
            self.addHost(
                host,
                ip=f"{address}/16",
                names=[name.rstrip(".")],
                files=files,
                serves=f"{module} {zones}{self._signing(host)} --listen {address}{beside} --port 53",
            )
        return list(self.servers)

    def _master_file(self, names: NamePlan, origin: str) -> str:
        text = names.master_file(origin)
        return text.replace(GENUINE, FORGED) if self.forged and origin == "example.com." else text

    def _signing(self, host: str) -> str:
        """Return the command-line options by which a name server signs its zones; empty without dnssec."""
        if not self.dnssec:
            return ""
        seed = FORGED_SEED if self.forged and host == "example" else SEED
        return f" --sign-seed {seed} --insecure {INSECURE}"

    def _web_servers(self) -> list[str]:
        for number, (host, address) in enumerate(WEB.items(), start=1):
            self.addHost(
                host,
                ip=f"{address}/16",
                names=[f"server{number}.example.com"],
                resolver=LOCAL,
                files={"index.html": f"<!doctype html><title>{host}</title><p>This is {host}.</p>\n"},
                serves="lab7.services.http.origin --root . --listen 0.0.0.0 --port 80",
            )
        return list(WEB)

    def _local_server(self, mode: str, cache: str, validates: bool) -> str:
        address, name = self.servers["root"]
        asks = f"--forward {address}" if mode == "recursive" else f"--root {name}={address}"
        caching = "" if cache == "yes" else " --no-cache"
        anchor = " --trust-anchor-file root.anchor" if validates else ""
        return str(
            self.addHost(
                "local",
                ip=f"{LOCAL}/16",
                files={"root.anchor": ROOT_ANCHOR + "\n"} if validates else {},
                serves=f"lab7.services.dns.resolver {asks}{caching}{anchor} --listen 0.0.0.0 --port 53",
            )
        )


TRY = (
    "client dig www.example.com",
    "client dig +trace www.example.com @10.53.0.1",
    "client curl http://www.example.com/",
    "client python -m lab7.services.dns.stub pool.example.com",
)
topos = {"dns": DnsTopo}
