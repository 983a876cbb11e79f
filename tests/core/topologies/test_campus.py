"""The campus has as many hosts as are asked for, a cache in each department, and a start with a progress bar."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.experiments.harness.cli.start_progress import progress_of
from lab7.topologies.campus import FIXED, CampusTopo, cache_address
from lab7.topologies.emulation import topology_checks


@pytest.mark.parametrize(("hosts", "departments"), [(11, 1), (40, 4), (200, 4), (1000, 10)])
def test_it_has_so_many_hosts_with_addresses_of_their_own(hosts: int, departments: int) -> None:
    topo = CampusTopo(hosts=hosts, departments=departments)
    assert len(topo.hosts()) == hosts
    addresses = topology_checks.host_addresses(topo)
    assert len(set(addresses.values())) == hosts
    topology_checks.check(topo)


def test_users_are_spread_over_the_departments_with_a_cache_each() -> None:
    topo = CampusTopo(hosts=42, departments=4)
    behind: Counter[str] = Counter()
    for first, second in topo.links():
        for host, switch in ((first, second), (second, first)):
            if host.startswith("u"):
                behind[switch] += 1
    assert sorted(behind.items()) == [("s11", 8), ("s12", 7), ("s13", 7), ("s14", 7)]
    assert sum(behind.values()) == 42 - FIXED - 4
    for number in range(1, 5):
        proxy = topo.nodeInfo(f"cache{number}")
        assert proxy["ip"] == f"{cache_address(number)}/16"
        assert topo.linkInfo(f"s{10 + number}", f"cache{number}") is not None


def test_caches_and_mail_are_in_the_zone_of_the_campus() -> None:
    zone = CampusTopo().nodeInfo("ns-campus")["files"]["own.zone"]
    lines = [line.split() for line in zone.splitlines()]
    assert any(words[0].startswith("cache3") and words[-1] == "10.9.3.250" for words in lines if words)
    assert any(words[-3:] == ["MX", "10", "mail.campus.edu."] for words in lines)


def test_each_user_has_a_mailbox_and_may_be_a_server() -> None:
    topo = CampusTopo(hosts=21, departments=2, serving="yes")
    assert topo.nodeInfo("mail")["files"]["accounts"].count(":campus\n") == 21 - FIXED - 2
    assert topo.nodeInfo("u2-1")["serves"].startswith("lab7.services.http.origin ")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hosts": 10}, "hosts=10: must be 17 to 973 with departments=4"),
        ({"hosts": 974}, "hosts=974: must be 17 to 973 with departments=4"),
        ({"departments": 0}, "departments=0: must be 1 to 100"),
        ({"serving": "maybe"}, "serving='maybe': must be yes or no"),
    ],
)
def test_a_parameter_out_of_range_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CampusTopo(**parameters)


def test_the_bar_counts_hosts_and_then_services() -> None:
    topo = CampusTopo(hosts=20, departments=1)
    bed: Any = SimpleNamespace(topo=topo, net=None)
    assert progress_of(bed) == ("0 of 20 hosts", 0.0)
    hosts = [SimpleNamespace(services=[]) for _ in range(20)]
    bed.net = SimpleNamespace(hosts=hosts[:10])
    assert progress_of(bed) == ("10 of 20 hosts", 0.25)
    bed.net.hosts = hosts
    for host in hosts[:5]:
        host.services.append("a service")
    # Name servers, resolver, origin, www, mail and the cache serve.
    assert progress_of(bed) == (f"services of 5 of {FIXED + 1} hosts", 0.75)
