"""Wires that share processes: as many as processors carry all links; a link that is deleted takes no other with it."""

from __future__ import annotations

import os

from mininet.topo import Topo

from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.processes import descendants

HOSTS = 5


class StarTopo(Topo):  # type: ignore[misc]
    """Hosts at one switch, each by a link with a delay."""

    def build(self) -> None:
        """Create the hosts and links."""
        self.addSwitch("s1")
        for number in range(1, HOSTS + 1):
            self.addLink(self.addHost(f"h{number}"), "s1", delay="1ms")


def test_links_share_processes_and_end_one_by_one() -> None:
    with Testbed(StarTopo(), links="wire") as bed:
        carriers = [process for process in descendants(os.getpid()) if process.lives and process.name == "carrier"]
        assert len(carriers) == min(HOSTS, os.cpu_count() or 1)

        def reaches(target: int) -> bool:
            words = ["ping", "-c", "1", "-W", "5", f"10.0.0.{target}"]
            return bed.host("h1").run(words).returncode == 0

        assert all(reaches(number) for number in range(2, HOSTS + 1))
        bed.net.delLink(bed.host("h2").defaultIntf().link)
        assert all(reaches(number) for number in range(3, HOSTS + 1))
        assert bed.host("h2").run(["ip", "link", "show", "h2-eth0"]).returncode != 0
        assert all(carrier.lives for carrier in carriers)
