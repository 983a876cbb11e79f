"""The web: clients on a campus, an access link, and an origin behind the provider's network.

    client ── s1 ══════ access link ══════ s2 ── origin
    10.7.0.1   campus    bw, delay        isp    10.7.1.1  www.example.com

All hosts are in 10.7.0.0/16. Only the access link has a rate and a delay; the two local networks are as fast as the
machine. RTT between client and origin: twice the access link's delay. With dns=yes there are name servers as well (see
hierarchy), the local one on the campus.

    sudo mn --custom topologies/web.py --topo web --switch lxbr
"""

import shlex
from importlib import resources
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from topologies.hierarchy import plug_in

# Not by __file__: `mn --custom` executes this text without one.
PAGES = Path(str(resources.files("topologies"))) / "www"


class WebTopo(Topo):  # type: ignore[misc]
    """Clients, an access link and an origin. See build for the parameters."""

    def build(
        self,
        clients: int = 1,
        bw: float = 10,
        delay: str = "10ms",
        root: str = str(PAGES),
        dns: str = "no",
        **link: Any,
    ) -> None:
        """clients: how many; bw in Mbit/s and one-way delay of the access link; root: the folder that the origin
        serves; dns: whether names come from name servers (yes) or from every host's /etc/hosts (no); link: further
        TCLink parameters of the access link."""
        campus, isp = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(campus, isp, bw=bw, delay=delay, **link)
        self.host_names = dns != "yes"
        local = [] if self.host_names else [plug_in(self, isp, campus, "10.7", {"www.example.com": "10.7.1.1"})]
        for number in range(1, int(clients) + 1):
            name = "client" if number == 1 else f"client{number}"
            self.addLink(self.addHost(name, ip=f"10.7.0.{number}/16", resolver=local), campus)
        origin = self.addHost(
            "origin",
            ip="10.7.1.1/16",
            names=["www.example.com"],
            serves=f"services.http.origin --root {shlex.quote(root)} --listen 0.0.0.0 --port 80 --push",
        )
        self.addLink(origin, isp)


TRY = ("client curl http://www.example.com/", "client ping -c 3 origin")
topos = {"web": WebTopo}
