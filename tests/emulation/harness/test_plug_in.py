"""A name system in a topology that is about something else."""

from __future__ import annotations

import pytest

from lab7.topologies.dns_hierarchy import plug_in
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import WebTopo


@pytest.mark.lab7(topology=WebTopo, dns="yes", capture=False)
def test_another_topology_gets_its_names_from_servers_plugged_in(testbed: Testbed) -> None:
    client = testbed.host("client")
    assert "www.example.com" not in client.run(["cat", "/etc/hosts"]).stdout.decode()
    assert client.run(["getent", "hosts", "www.example.com"]).stdout.split() == [b"10.7.1.1", b"www.example.com"]
    assert b"travelled over an emulated network" in client.run(["curl", "-s", "http://www.example.com/"]).stdout


def test_names_of_two_domains_are_refused() -> None:
    with pytest.raises(ValueError, match="not all in one second-level domain"):
        plug_in(WebTopo(), "s1", "s2", "10.7", {"www.example.com": "10.7.1.1", "www.example.org": "10.7.1.2"})
