"""Three networks, two routers, static routes.

a 10.1.0.10 ── 10.1.0.1 r1 10.12.0.1 ─── 10.12.0.2 r2 10.2.0.1 ── b 10.2.0.10
                        └─ 10.3.0.1 ── c 10.3.0.10
"""

from mininet.topo import Topo


class RoutersTopo(Topo):  # type: ignore[misc]
    """Hosts a, b and c, each in a network of its own."""

    def build(self, delay: str = "5ms") -> None:
        """delay: between the two routers, one way."""
        self.addHost("r1", ip="10.1.0.1/24", forwards=True, routes=["10.2.0.0/16 via 10.12.0.2"])
        self.addHost("r2", ip="10.2.0.1/24", forwards=True, defaultRoute="via 10.12.0.1")
        self.addHost("a", ip="10.1.0.10/24", defaultRoute="via 10.1.0.1")
        self.addHost("b", ip="10.2.0.10/24", defaultRoute="via 10.2.0.1")
        self.addHost("c", ip="10.3.0.10/24", defaultRoute="via 10.3.0.1")
        self.addLink("a", "r1")
        self.addLink("b", "r2")
        self.addLink("r1", "r2", params1={"ip": "10.12.0.1/30"}, params2={"ip": "10.12.0.2/30"}, delay=delay)
        self.addLink("r1", "c", params1={"ip": "10.3.0.1/24"})


TRY = ("a ping -c 1 b", "r1 ip route", "a ip route get 10.2.0.10")
topos = {"routers": RoutersTopo}
