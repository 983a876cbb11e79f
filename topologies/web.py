"""Topology for the web: clients on a campus, an optional caching proxy, an access link, origin servers.

    client  ─┐                                    ┌─ origin
    10.7.0.1 ├─ s1 ══════ access link ══════ s2 ──┤  10.7.1.1  www.example.com
    (proxy) ─┘ campus    bw, delay          isp   └─ (origin2 ...)
    10.7.0.100                                       10.7.1.2  www2.example.com
    cache.example.com

In parentheses: only with the parameters `cache` and `origins`. All hosts are in 10.7.0.0/16. Only the access link has a
rate. Links on the campus and beyond the access link are unshaped, unless `campus_delay` and `internet` give them a
delay. RTT between client and origin: twice the sum of the three delays. The cache is a forward proxy (cache=forward;
port 3128) or a reverse proxy (cache=reverse; port 80). With dns=yes there are name servers as well (see dns_hierarchy),
the recursive resolver on the campus.

    sudo mn --custom topologies/web.py --topo web --switch lxbr
"""

import shlex
from importlib import resources
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.topologies.dns_hierarchy import plug_in

# The package resource API locates the pages, because `mn --custom` does not define __file__.
PAGES = Path(str(resources.files("lab7.topologies"))) / "www"
PROXY_ADDRESS = "10.7.0.100"
PROXY_NAME = "cache.example.com"
# Maximum number of clients: the next one would have the proxy's address.
MOST_CLIENTS = 99
# Value of the parameter `cache` -> command-line flags of the proxy.
CACHES = {
    "forward": "--port 3128",
    "reverse": "--port 80 --origin http://www.example.com:80",
}


class WebTopo(Topo):  # type: ignore[misc]
    """Mininet topology of clients, an access link, origins and an optional cache; build() documents the parameters."""

    def build(
        self,
        clients: int = 1,
        bw: float = 10,
        delay: str = "10ms",
        root: str = str(PAGES),
        dns: str = "no",
        cache: str = "none",
        cache_flags: str = "",
        origins: int = 1,
        origin_flags: str = "--push",
        internet: str = "0ms",
        campus_delay: str = "0ms",
        trace: str = "",
        **link: Any,
    ) -> None:
        """Add the hosts, switches and links. Raises ValueError for a parameter out of range.

        clients        number of clients, up to 99
        bw, delay      rate (Mbit/s) and one-way delay of the access link
        root           document root of every origin
        dns            names are resolved by DNS (yes) or by every host's /etc/hosts (no)
        cache          none, forward or reverse
        cache_flags    further options of the proxy
        origins        number of origin servers
        origin_flags   further options of each origin server
        internet       one-way delay between the access link and the origins
        campus_delay   one-way delay of each client's link
        trace          file with delivery opportunities of the access link (mahimahi's format), in place of bw
        link           further TCLink parameters of the access link
        """
        if cache != "none" and cache not in CACHES:
            raise ValueError(f"cache={cache}: must be none, {' or '.join(CACHES)}")
        if not 1 <= int(clients) <= MOST_CLIENTS:
            raise ValueError(f"clients={clients}: must be 1 to {MOST_CLIENTS}")
        campus, isp = self.addSwitch("s1"), self.addSwitch("s2")
        rate = {"trace": trace} if trace else {"bw": bw}
        self.addLink(campus, isp, delay=delay, **rate, **link)
        names = {origin_name(number): f"10.7.1.{number}" for number in range(1, int(origins) + 1)}
        inside = {} if cache == "none" else {PROXY_NAME: PROXY_ADDRESS}
        self.host_names = dns != "yes"
        local = [] if self.host_names else [plug_in(self, isp, campus, "10.7", names | inside)]
        for number in range(1, int(clients) + 1):
            name = "client" if number == 1 else f"client{number}"
            self.addLink(self.addHost(name, ip=f"10.7.0.{number}/16", resolver=local), campus, **delayed(campus_delay))
        for name, address in inside.items():
            serves = f"lab7.services.http.proxy --listen 0.0.0.0 {CACHES[cache]} {cache_flags}".strip()
            proxy = self.addHost("proxy", ip=f"{address}/16", names=[name], resolver=local, serves=serves)
            self.addLink(proxy, campus)
        serves = (
            f"lab7.services.http.origin --root {shlex.quote(root)} --listen 0.0.0.0 --port 80 {origin_flags}".strip()
        )
        for number, name in enumerate(names, 1):
            host = "origin" if number == 1 else f"origin{number}"
            origin = self.addHost(host, ip=f"10.7.1.{number}/16", names=[name], serves=serves)
            self.addLink(origin, isp, **delayed(internet))


def delayed(delay: str) -> dict[str, str]:
    """Return the addLink parameters for a one-way delay such as 20ms; none for 0ms, which needs no traffic shaping."""
    return {} if delay == "0ms" else {"delay": delay}


def origin_name(number: int) -> str:
    """Return the domain name of an origin server; origins are numbered from 1."""
    return "www.example.com" if number == 1 else f"www{number}.example.com"


TRY = ("client curl http://www.example.com/", "client ping -c 3 origin")
topos = {"web": WebTopo}
