"""Topology of a campus of any size: departments with a caching proxy each, a resolver, a mail server, an access link.

    u1-1 10.9.1.1, u1-2 10.9.1.2 ... cache1 10.9.1.250  ── s11 ──┐                    ┌─ ns-root    10.9.250.1
    u2-1 10.9.2.1 ...                cache2 10.9.2.250  ── s12 ──┤                    ├─ ns-com     10.9.250.2
    ...                                                          ├─ s1 ══ bw, ══ s0 ──┼─ ns-edu     10.9.250.3
    dns       10.9.200.53  the campus's resolver  ───────────────┤  campus  15 ms     ├─ ns-example 10.9.250.4
    ns-campus 10.9.200.54  ns.campus.edu          ───────────────┤                    └─ origin     10.9.250.80
    mail      10.9.200.25  mail.campus.edu        ───────────────┤             10 ms     www.example.com
    www       10.9.200.80  www.campus.edu         ───────────────┘

All hosts are in 10.9.0.0/16; names are resolved by DNS only, not by /etc/hosts. `bw` is a parameter, the rate of the
access link. Only the access link and the origin's link have a rate or delay: links without traffic shaping are created
faster, which matters on a large campus. Each user has a mailbox: u1-2@campus.edu for u1-2. The cache of a department is
a forward proxy on port 3128, such as cache1.campus.edu.

    lab7 up campus --set hosts=200
"""

import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from mininet.topo import Topo

from lab7.topologies.dns_zones import NamePlan, Record, Zone
from lab7.topologies.mail import mail_server

# The package resource API locates the pages, because `mn --custom` does not define __file__.
PAGES = Path(str(resources.files("lab7.topologies"))) / "www"
PREFIX = "10.9"
ACCESS_LEG, ORIGIN_LEG = "15ms", "10ms"
# Name servers: host -> (address, domain name, zone).
SERVERS: Mapping[str, tuple[str, str, str]] = {
    "ns-root": (f"{PREFIX}.250.1", "a.root-servers.net.", "."),
    "ns-com": (f"{PREFIX}.250.2", "ns.com.", "com."),
    "ns-edu": (f"{PREFIX}.250.3", "ns.edu.", "edu."),
    "ns-example": (f"{PREFIX}.250.4", "ns.example.com.", "example.com."),
    "ns-campus": (f"{PREFIX}.200.54", "ns.campus.edu.", "campus.edu."),
}
LOCAL = f"{PREFIX}.200.53"
ORIGIN_NAME, SITE_NAME, MAIL_NAME = "www.example.com.", "www.campus.edu.", "mail.campus.edu."
ADDRESSES: Mapping[str, str] = {
    ORIGIN_NAME: f"{PREFIX}.250.80",
    SITE_NAME: f"{PREFIX}.200.80",
    MAIL_NAME: f"{PREFIX}.200.25",
}
# Number of hosts in addition to users and caches: the name servers and the resolver, the origin, www and mail.
FIXED = len(SERVERS) + 1 + len(ADDRESSES)
CACHE_HOST, CACHE_PORT = 250, 3128
MOST_DEPARTMENTS, MOST_USERS = 100, 240
PASSWORD = "campus"


class CampusTopo(Topo):  # type: ignore[misc]
    """Mininet topology of a campus with departments; build() documents the parameters."""

    # Hosts resolve names by the name servers, not by /etc/hosts.
    host_names = False

    def build(
        self,
        hosts: int = 40,
        departments: int = 4,
        bw: float = 100,
        delay: str = ACCESS_LEG,
        root: str = str(PAGES),
        serving: str = "no",
    ) -> None:
        """Add the hosts, switches and links. Raises ValueError for a parameter out of range.

        hosts         total number of hosts; those that are neither servers nor caches are the users' hosts,
                      spread evenly over the departments
        departments   number of departments
        bw, delay     rate (Mbit/s) and one-way delay of the access link
        root          document root of origin and www
        serving       each user's host also runs a web server (yes or no)
        """
        count = int(departments)
        users = int(hosts) - FIXED - count
        if not 1 <= count <= MOST_DEPARTMENTS:
            raise ValueError(f"departments={departments}: must be 1 to {MOST_DEPARTMENTS}")
        if not count <= users <= count * MOST_USERS:
            least, most = FIXED + 2 * count, FIXED + count * (MOST_USERS + 1)
            raise ValueError(f"hosts={hosts}: must be {least} to {most} with departments={departments}")
        if serving not in ("yes", "no"):
            raise ValueError(f"serving={serving!r}: must be yes or no")
        self.members = {
            number: [f"u{number}-{place}" for place in range(1, users // count + (number <= users % count) + 1)]
            for number in range(1, count + 1)
        }
        page = f"lab7.services.http.origin --root {shlex.quote(root)} --listen 0.0.0.0 --port 80"
        internet, campus = self.addSwitch("s0"), self.addSwitch("s1")
        self.addLink(campus, internet, bw=float(bw), delay=delay)
        self._name_servers(internet, campus)
        self.addLink(self._server("origin", ORIGIN_NAME, serves=page), internet, delay=ORIGIN_LEG)
        self.addLink(self._server("www", SITE_NAME, serves=page), campus)
        accounts = "".join(f"{user}:{PASSWORD}\n" for some in self.members.values() for user in some)
        server = mail_server("campus.edu", MAIL_NAME.rstrip("."), accounts)
        self.addLink(self.addHost("mail", ip=f"{ADDRESSES[MAIL_NAME]}/16", resolver=LOCAL, **server), campus)
        for number, some in self.members.items():
            self._department(campus, number, some, page if serving == "yes" else "")

    def _server(self, host: str, name: str, serves: str) -> str:
        address = f"{ADDRESSES[name]}/16"
        return str(self.addHost(host, ip=address, names=[name.rstrip(".")], resolver=LOCAL, serves=serves))

    def _name_servers(self, internet: str, campus: str) -> None:
        """Add the authoritative name servers, and the recursive resolver of the campus."""
        plan = self._names()
        for host, (address, name, origin) in SERVERS.items():
            node = self.addHost(
                host,
                ip=f"{address}/16",
                names=[name.rstrip(".")],
                files={"own.zone": plan.master_file(origin)},
                serves=f"lab7.services.dns.authoritative --zone own.zone --listen {address} --port 53",
            )
            self.addLink(node, campus if host == "ns-campus" else internet)
        address, name, _ = SERVERS["ns-root"]
        serves = f"lab7.services.dns.resolver --root {name}={address} --listen 0.0.0.0 --port 53"
        self.addLink(self.addHost("dns", ip=f"{LOCAL}/16", serves=serves), campus)

    def _names(self) -> NamePlan:
        addresses = {name: [address] for address, name, _ in SERVERS.values()}
        addresses |= {name: [address] for name, address in ADDRESSES.items()}
        addresses |= {f"{cache_name(number)}.": [cache_address(number)] for number in self.members}
        mail = (Record("campus.edu.", "MX", f"10 {MAIL_NAME}"),)
        zones = [Zone(origin, (name,), mail if origin == "campus.edu." else ()) for _, name, origin in SERVERS.values()]
        return NamePlan("campus", addresses, zones)

    def _department(self, campus: str, number: int, users: list[str], serves: str) -> None:
        switch = self.addSwitch(f"s{10 + number}")
        self.addLink(switch, campus)
        proxy = f"lab7.services.http.proxy --name cache{number} --listen 0.0.0.0 --port {CACHE_PORT}"
        address, names = f"{cache_address(number)}/16", [cache_name(number)]
        self.addLink(self.addHost(f"cache{number}", ip=address, names=names, resolver=LOCAL, serves=proxy), switch)
        for place, user in enumerate(users, 1):
            address = f"{PREFIX}.{number}.{place}/16"
            self.addLink(self.addHost(user, ip=address, resolver=LOCAL, serves=serves), switch)


def cache_name(department: int) -> str:
    """Return the domain name of a department's caching proxy."""
    return f"cache{department}.campus.edu"


def cache_address(department: int) -> str:
    """Return the IPv4 address of a department's caching proxy."""
    return f"{PREFIX}.{department}.{CACHE_HOST}"


TRY = (
    "u1-1 dig www.example.com",
    f"u1-1 curl -si -x http://cache1.campus.edu:{CACHE_PORT} http://www.example.com/",
    "u2-1 curl http://www.campus.edu/",
    f"u1-1 curl -sS smtp://u1-1:{PASSWORD}@mail.campus.edu:587 --mail-from u1-1@campus.edu --mail-rcpt u2-1@campus.edu "
    f"-T {PAGES / 'index.html'}",
    f"u2-1 curl -sS imap://u2-1:{PASSWORD}@mail.campus.edu/ -X 'STATUS INBOX (MESSAGES)'",
)
topos = {"campus": CampusTopo}
