"""Network interface of a node, which replaces Mininet's TCIntf: its addresses and link state are set in batches.

For speed, the changes of many interfaces are collected and then applied together (see plan).
"""

from functools import partial
from pathlib import Path
from typing import Any

from mininet.link import TCIntf

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.shape import Queue

# Address that stands for none.
NO_ADDRESS = "0.0.0.0"


class Interface(TCIntf):  # type: ignore[misc]
    """Network interface of a node, created in the node's namespace by its link, with the MAC address of the parameters.

    ip6: the IPv6 address with prefix length in the link's parameters, None without one.
    """

    ip6: str | None = None

    def __init__(
        self,
        name: str,
        node: Any = None,
        port: int | None = None,
        link: Any = None,
        mac: str | None = None,
        **params: Any,
    ) -> None:
        """Register the interface with its node and its link.

        The link creates the device once it has both interfaces.
        """
        self.node, self.name, self.link, self.mac = node, name, link, mac
        self.ip: str | None = None
        self.prefixLen: str | None = None
        params.pop("moveIntfFn", None)
        node.addIntf(self, port=port, moveIntfFn=_stay)
        self.params = params
        link.add_end(self)

    def config(
        self,
        mac: str | None = None,
        ip: str | None = None,
        ip6: str | None = None,
        ifconfig: str | None = None,
        up: bool = True,
        **params: Any,
    ) -> dict[str, Any]:
        """Set addresses, link state and traffic shape of the interface (overrides Intf.config of Mininet).

        As in Mininet, shaping parameters replace the whole shape; without shaping parameters the shape stays. Raises
        TopologyError and EmulationError.
        """
        if self.link is not None:
            self.link.reshape(self, params)
        plan = self.node.plan
        if not self.node.inNamespace and not getattr(self.node, "has_ipv6", False):
            plan.calls.append(partial(ipv6_off, self.name))
        changes = plan.node(self.node)
        if up:
            changes.lines.append(f"link set dev {self.name} up")
        changes.without_offload.append(self.name)
        if mac is not None and mac != self.mac:
            self.setMAC(mac)
        if ip is not None:
            self.setIP(ip)
        if ifconfig is not None:
            self.ifconfig(ifconfig)
        self.ip6 = ip6 or self.ip6
        plan.made()
        return {}

    def queue(self) -> Queue:
        """Return the transmit queue of the link for frames that this interface sends. Raises EmulationError."""
        if self.link is None:
            raise EmulationError(f"{self.name} has been deleted, and has no queue: ask an interface of the network")
        return self.link.queue(self)  # type: ignore[no-any-return]

    def setIP(self, ipstr: str, prefixLen: int | None = None) -> str:  # noqa: N802, N803
        """Set the IPv4 address: '10.0.0.1/24', or an address and a prefix length. Raises EmulationError."""
        if "/" not in str(ipstr) and prefixLen is None:
            raise EmulationError(f"the address {ipstr} of {self.name} lacks the length of its prefix: write {ipstr}/24")
        self.node.change(self.assign_address(ipstr, prefixLen))
        if self.link is not None:
            self.link.changed()
        return ""

    def setMAC(self, macstr: str) -> str:  # noqa: N802
        """Set the MAC address, even while the network runs. Raises EmulationError."""
        self.node.change([f"link set dev {self.name} address {macstr}"])
        self.mac = macstr
        if self.link is not None:
            self.link.changed()
        return ""

    def assign_address(self, ip: str, prefix_length: int | None = None) -> list[str]:
        """Store an IPv4 address and prefix length; return the lines for `ip -batch` that set them in the kernel."""
        # Only IPv4 addresses are replaced; IPv6 addresses, also the kernel's link-local one, stay.
        flush = [] if self.ip is None else [f"address flush dev {self.name} to 0.0.0.0/0"]
        self.ip, _, length = str(ip).partition("/")
        self.prefixLen = length or str(prefix_length)
        # As for ifconfig(8), this address stands for none, as of a client of DHCP.
        if self.ip == NO_ADDRESS:
            return flush
        return [*flush, f"address add {self.ip}/{self.prefixLen} brd + dev {self.name}"]

    def delete(self) -> None:
        """Remove a switch's interface; a host's interface vanishes with its peer or with the host's namespace."""
        # A switch's interface is deleted at once; the kernel would remove it only some time after the host's end.
        if not self.node.inNamespace:
            remove(self.name)
        # Another interface may have had the name, which the kernel refuses.
        self.node.nameToIntf.setdefault(self.name, self)
        self.node.delIntf(self)
        self.link = None


def _stay(*_: Any) -> None:
    """Do nothing, in place of the function by which Mininet moves a new interface to the namespace of its node.

    In lab7, the link has created the interface in that namespace.
    """


def remove(interface: str) -> None:
    """Remove an interface from the switches' namespace if it exists. Raises EmulationError."""
    place = Path("/proc/sys/net/ipv4/conf", interface)
    if place.exists():
        try:
            tools.batch("ip", [f"link delete dev {interface}"])
        except EmulationError:
            # The kernel removes an interface by itself if the process of the peer's namespace has died.
            if place.exists():
                raise


def ipv6_off(interface: str) -> None:
    """Disable IPv6 on a switch's interface, so that its multicast listener reports do not appear on the links."""
    switch = Path("/proc/sys/net/ipv6/conf", interface, "disable_ipv6")
    if switch.exists():
        switch.write_text("1")
