"""Loops between switches are detected and named; a tree of switches has none."""

from __future__ import annotations

import pytest
from mininet.topo import LinearTopo, SingleSwitchTopo, Topo
from mininet.topolib import TorusTopo, TreeTopo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.loops import find_loop


def switches(*links: str) -> Topo:
    """Return a topology of switches, one letter each, from pairs of letters."""
    topo = Topo()
    for name in sorted(set("".join(links))):
        topo.addSwitch(name)
    for ends in links:
        topo.addLink(*ends)
    return topo


@pytest.mark.parametrize(
    ("links", "loop"),
    [
        (("ab", "bc", "ca"), "abca"),
        (("ab", "cb", "ac"), "abca"),
        (("ca", "bc", "ab"), "abca"),
        (("ab", "ab"), "aba"),
        (("aa",), "aa"),
        (("ab", "bc", "cd", "de", "ec"), "cdec"),
        (("ad", "dc", "cb", "ba"), "abcda"),
        (("ab", "cd", "de", "ce"), "cdec"),
    ],
)
def test_a_loop_is_named_from_its_first_switch(links: tuple[str, ...], loop: str) -> None:
    assert find_loop(switches(*links)) == list(loop)


@pytest.mark.parametrize(
    "topo",
    [
        Topo(),
        switches("ab", "bc", "bd"),
        switches("ab", "cd"),
        SingleSwitchTopo(3),
        LinearTopo(k=3, n=2),
        TreeTopo(depth=3, fanout=2),
    ],
)
def test_a_tree_has_none(topo: Topo) -> None:
    assert find_loop(topo) == []


def test_a_host_at_two_switches_closes_none() -> None:
    topo = switches("ab")
    host = topo.addHost("h")
    topo.addLink(host, "a")
    topo.addLink(host, "b")
    topo.addLink(topo.addHost("i"), host)
    topo.addLink("i", host)
    assert find_loop(topo) == []


def test_a_loop_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        TopologyError, match=r"^the switches s1x1-s1x2-s1x3-s1x1 form a loop, .*: leave out one of these links, or run "
    ):
        topology_checks.check(TorusTopo(3, 3))


@pytest.mark.parametrize(
    ("with_stp", "loop"), [("", "abca"), ("a", ""), ("c", ""), ("abc", ""), ("d", "abca"), ("e", "abca")]
)
def test_a_switch_with_a_spanning_tree_breaks_the_loops_that_it_is_in(with_stp: str, loop: str) -> None:
    topo = switches("ab", "bc", "ca", "cd", "de")
    for name in with_stp:
        topo.nodeInfo(name)["stp"] = True
    assert find_loop(topo) == list(loop)
    assert find_loop(topo, spanning_tree=False) == list("abca")
