"""NAT of Mininet: a host that forwards, and translates the addresses of one subnet to its own (RFC 3022), by iptables.

    hosts 10.0.0.0/8 -- s1 -- nat0 -- networks on nat0's other interfaces

The rules are those of mininet.nodelib.NAT, each inserted once. As in Mininet, net.addNAT() puts the host into the
switches' network namespace. Without a sandbox (separate Linux namespaces for the whole network), that is the machine's
namespace. In a sandbox, this namespace has the interfaces of the topology only, so that packets to other destinations
are answered by an ICMP error. Left out: the change of /etc/network/interfaces, a file of the machine.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from lab7.topologies.emulation.errors import EmulationError, MachineError
from lab7.topologies.emulation.node import Host

FORWARDING = "/proc/sys/net/ipv4/ip_forward"
# Exit status of env(1) and nsenter(1) for a program that does not exist.
NOT_FOUND = 127


class NAT(Host):
    """A host that translates source addresses of `subnet`, behind its interface `localIntf`, to its own address.

    flush: delete all rules of iptables first, and drop all forwarded packets that no rule of this host accepts.
    """

    def __init__(
        self,
        name: str,
        subnet: str = "10.0/8",
        localIntf: Any = None,  # noqa: N803
        flush: bool = False,
        **params: Any,
    ) -> None:
        super().__init__(name, **params)
        self.subnet, self.localIntf, self.flush = subnet, localIntf, flush
        self.forwardState = self._read_forwarding()
        self._inserted: list[tuple[str, list[str]]] = []

    def config(self, **params: Any) -> dict[str, Any]:  # type: ignore[override]
        """Configure the interfaces, and insert the iptables rules. Raises MachineError if iptables is not installed.

        Raises EmulationError if a rule is refused.
        """
        result = super().config(**params)
        if not self.intfs:
            return result
        self.localIntf = self.localIntf or self.defaultIntf()
        for words in self._flushing() if self.flush and not self._inserted else ():
            self._iptables(*words)
        for table, position, rule in self._rules():
            if (table, rule) not in self._inserted:
                self._iptables("-t", table, position, *rule)
                self._inserted.append((table, rule))
        self._set_forwarding("1")
        return result

    def terminate(self) -> None:
        """Delete the iptables rules, restore forwarding, and stop the host."""
        # If the host has a network namespace of its own, the rules vanish with the namespace.
        if not self._terminated and not self.inNamespace:
            for table, (chain, *rule) in self._inserted:
                self.run(["iptables", "-w", "-t", table, "-D", chain, *rule])
            self._set_forwarding(self.forwardState)
        super().terminate()

    def _rules(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield each iptables rule of this NAT as (table, -I or -A, words of the rule).

        -I inserts the rule as the first of its chain, -A appends it.
        """
        inside, subnet = str(self.localIntf), str(self.subnet)
        yield "filter", "-I", ["FORWARD", "-i", inside, "-d", subnet, "-j", "DROP"]
        yield "filter", "-A", ["FORWARD", "-i", inside, "-s", subnet, "-j", "ACCEPT"]
        yield "filter", "-A", ["FORWARD", "-o", inside, "-d", subnet, "-j", "ACCEPT"]
        yield "nat", "-A", ["POSTROUTING", "-s", subnet, "!", "-d", subnet, "-j", "MASQUERADE"]

    @staticmethod
    def _flushing() -> Iterator[Sequence[str]]:
        yield ["-F"]
        yield ["-t", "nat", "-F"]
        yield from (["-P", chain, policy] for chain, policy in (("INPUT", "ACCEPT"), ("OUTPUT", "ACCEPT")))
        yield ["-P", "FORWARD", "DROP"]

    def _iptables(self, *words: str) -> None:
        done = self.run(["iptables", "-w", *words])
        if done.returncode == NOT_FOUND:
            raise MachineError(
                f"the host {self.name} is a NAT, which needs iptables: run `lab7 doctor --fix`, or "
                "`sudo apt-get install iptables`"
            )
        if done.returncode != 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise EmulationError(
                f"the host {self.name} is a NAT, and `iptables {' '.join(words)}` failed: "
                f"{lines[0] if lines else f'exit code {done.returncode}'} (the kernel of virtual time has no NAT)"
            )

    def _read_forwarding(self) -> str:
        return self.run(["cat", FORWARDING]).stdout.decode().strip()

    def _set_forwarding(self, value: str) -> None:
        self.run(["sh", "-c", f"echo {value} > {FORWARDING}"])
