"""A network whose hosts have both families and find each other by ARP and neighbour discovery."""

from __future__ import annotations

from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import PairTopo

CLIENT6, SERVER6 = "2001:db8:a09::1", "2001:db8:a09::2"


class LearningTopo(PairTopo):
    """PairTopo with its hosts' families and tables as attributes of the class."""

    arp = "dynamic"
    ipv6 = True


def output(bed: Testbed, host: str, *words: str) -> str:
    done = bed.host(host).run(words)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return str(done.stdout.decode())
