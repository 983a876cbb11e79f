"""Two homes with the same private addresses, each behind a router with NAT, and a web server between them.

    ann  192.168.1.2 ─┐                                                          ┌─ carl  192.168.1.2
    bert 192.168.1.3 ─┴ s1 ─ .1 home1 203.0.113.10 ─┐      ┌─ 203.0.113.20 home2 .1 ─ s2 ┴─ dora  192.168.1.3
                                                    └─ s0 ─┘
                                                        └─ server 203.0.113.1  www.example.com

203.0.113.0/24 is kept for documentation (RFC 5737). NAT is by nft(8) (package nftables); RFC 3022 calls it NAPT.
"""

from typing import Any

from mininet.topo import Topo

SERVER = "203.0.113.1"
HOMES = {"home1": ("203.0.113.10", ("ann", "bert")), "home2": ("203.0.113.20", ("carl", "dora"))}
ROUTER = "192.168.1.1"
SERVES = "lab7.services.http.origin --root . --listen 0.0.0.0 --port 80"


def masquerade(interface: str) -> str:
    """The command that has a router put its own address into what leaves by an interface."""
    rules = f"type nat hook postrouting priority 100; oifname {interface} masquerade;"
    return f"nft 'table ip nat {{ chain leaving {{ {rules} }}; }}'"


class NatTopo(Topo):  # type: ignore[misc]
    """Two homes and a server. See build for the parameters."""

    def build(self, delay: str = "5ms", **link: Any) -> None:
        """delay: of each home's line, one way; link: further parameters of these lines, as TCLink's."""
        internet = self.addSwitch("s0")
        page = {"index.html": "Hello from the other side of NAT.\n"}
        self.addLink(
            self.addHost("server", ip=f"{SERVER}/24", names=["www.example.com"], files=page, serves=SERVES), internet
        )
        for number, (home, (outside, members)) in enumerate(HOMES.items(), start=1):
            lan = self.addSwitch(f"s{number}")
            self.addHost(home, ip=f"{ROUTER}/24", forwards=True, setup=masquerade(f"{home}-eth1"))
            self.addLink(home, lan)
            self.addLink(home, internet, params1={"ip": f"{outside}/24"}, delay=delay, **link)
            for place, member in enumerate(members, start=2):
                self.addHost(member, ip=f"192.168.1.{place}/24", defaultRoute=f"via {ROUTER}")
                self.addLink(member, lan)


TRY = ("ann curl -s http://www.example.com/", "home1 tcpdump -n -i home1-eth1 port 80", "home1 nft list ruleset")
topos = {"nat": NatTopo}
