"""Commands of Mininet's command line that start programs in hosts: they end, or one sentence says why they cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab7.topologies.emulation import tools
from tests.emulation.support import lab7, lab7_with_programs, one_sentence

ODD = """
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

class Silent(LinuxBridge):
    def dpctl(self, *args):
        raise OSError("the switch does not answer")

class Odd(Topo):
    def build(self):
        switch = self.addSwitch("s1", cls=Silent)
        self.addLink(self.addHost("h1", ip="192.168.1.1/24"), switch, bw=10)
        self.addLink(self.addHost("h2", ip="192.168.1.2/24"), switch)
        self.addLink(self.addHost("h3", ip="192.168.2.3/24"), switch)
        self.addHost("h4")

topos = {"odd": Odd}
"""


def shell(folder: Path, *lines: str, **changes: str) -> str:
    """Return what the command line of the topology ODD prints for these lines."""
    (folder / "odd.py").write_text(ODD)
    typed = "".join(f"{line}\n" for line in (*lines, "h1 echo still here", "exit"))
    done = lab7("shell", "odd.py", cwd=folder, stdin=typed, changes={"HOME": str(folder), **changes})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    printed = done.stderr.replace("\r", "")
    assert printed.rstrip().endswith("still here")
    return printed


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iperf") is None, reason="needs iperf")
def test_iperf_ends_and_prints_two_rates(tmp_path: Path) -> None:
    printed = shell(tmp_path, "iperf h1 h2", "px net.iperf((h1, h2), l4Type='UDP', udpBw='1M', seconds=1)")
    tcp, udp = (line for line in printed.splitlines() if line.startswith("*** Results: "))
    assert tcp.count("bits/sec") == 2
    assert udp.startswith("*** Results: ['1M', ")
    assert udp.count("bits/sec") == 2


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iperf") is None, reason="needs iperf")
def test_iperf_without_a_path_says_so(tmp_path: Path) -> None:
    printed = shell(tmp_path, "iperf h1 h3", "iperf h1 h4", "iperf h1 s1", "iperfudp 1M h1 h9")
    for sentence in (
        "iperf between h1 and h3 failed: tcp connect failed: Network is unreachable",
        "iperf needs an IPv4 address of h4",
        "iperf measures between two hosts: write `iperf HOST HOST`",
        "node 'h9' not in network",
    ):
        assert f"{sentence}\n" in printed


def test_without_iperf_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    programs = {*tools.NEEDED, "sh", "bash", "grep", "which", "env"}
    done = lab7_with_programs("shell", "odd.py", cwd=tmp_path, programs=programs, stdin="iperf h1 h2\nexit\n")
    assert done.returncode == 0
    assert "the program iperf is missing: run `lab7 doctor --fix`, or `sudo apt-get install iperf`\n" in done.stderr


def test_open_vswitch_runs_or_one_sentence_says_what_is_missing(tmp_path: Path) -> None:
    done = lab7("exec", "--switch", "ovs", "web", "client", "--", "ping", "-c", "1", "origin", cwd=tmp_path)
    if done.returncode == 0:
        assert " 0% packet loss" in done.stdout
    else:
        assert done.returncode == 3
        assert "Open vSwitch" in one_sentence(done)


def test_pingallfull_has_a_line_a_pair(tmp_path: Path) -> None:
    printed = shell(tmp_path, "pingallfull")
    assert " h1->h2: 1/1, rtt min/avg/max/mdev " in printed
    assert " h1->h3: 1/0, rtt min/avg/max/mdev 0.000/0.000/0.000/0.000 ms\n" in printed


def test_terminals_say_what_they_lack(tmp_path: Path) -> None:
    printed = shell(tmp_path, "xterm h1", "gterm h1", "x h1 xclock", "x h9 xclock", "xterm h9", DISPLAY="")
    for command in ("xterm", "gterm", "x"):
        assert f"{command}: no display for windows (DISPLAY is not set): use `HOST COMMAND`" in printed
    assert printed.count("node 'h9' not in network") == 1
    printed = shell(tmp_path, "xterm h1", DISPLAY="localhost:10.0")
    assert "xterm: the display localhost:10.0 uses TCP, which the sandbox does not have: start lab7 with" in printed


def test_a_command_that_fails_does_not_end_the_network(tmp_path: Path) -> None:
    assert "`dpctl show` failed: OSError: the switch does not answer" in shell(tmp_path, "dpctl show")
