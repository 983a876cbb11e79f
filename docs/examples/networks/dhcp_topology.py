"""A host without an address, and a DHCP server (dnsmasq) that has some to give.

    server 192.168.1.1 ─┬─ s1 ─┬─ client   no address yet
                        │      └─ printer  192.168.1.2

DHCP is RFC 2131. The programs are of the packages dnsmasq-base and udhcpc.
"""

from mininet.topo import Topo

DHCP = (
    "dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=server-eth0 --bind-interfaces "
    "--dhcp-range=192.168.1.100,192.168.1.150,255.255.255.0 --dhcp-leasefile=leases --pid-file= --user=root"
)


class DhcpTopo(Topo):  # type: ignore[misc]
    """A client, a DHCP server and a printer at one switch."""

    def build(self, delay: str = "2ms") -> None:
        """delay: of the client's link, one way."""
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("server", ip="192.168.1.1/24", serves=DHCP), switch)
        self.addLink(self.addHost("client", ip=None), switch, delay=delay)
        self.addLink(self.addHost("printer", ip="192.168.1.2/24"), switch)


TRY = ("client udhcpc -i client-eth0 -n -q -f", "client ip -4 address", "client ping -c 1 printer")
topos = {"dhcp": DhcpTopo}
