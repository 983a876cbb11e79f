"""Networks of a run, combined into one description."""

from __future__ import annotations

import pytest

from lab7.experiments.harness.results import network_record
from lab7.experiments.harness.results.network import Direction, LinkDescription, NetworkDescription
from lab7.experiments.harness.results.network_record import Networks

PLAIN, SLOW, FAST = Direction(), Direction(1e6), Direction(5e6)


def link(first: str, second: str, shape: Direction = PLAIN) -> LinkDescription:
    return LinkDescription(first, second, f"{first}-eth0", f"{second}-eth0", shape, shape)


def test_the_links_and_switches_of_later_networks_are_part_of_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    first = NetworkDescription({"client": ("10.0.0.1",)}, ("s1",), (link("client", "s1"), link("s1", "s2", SLOW)))
    second = NetworkDescription(
        {"client": ("10.0.0.1",), "proxy": ("10.0.0.2",)},
        ("s1", "s2"),
        (link("client", "s1"), link("proxy", "s1"), link("s2", "s1", FAST)),
    )
    described = iter((first, second))
    monkeypatch.setattr(network_record, "describe", lambda _: next(described))
    networks = Networks()
    for _ in range(2):
        networks.add(None)  # type: ignore[arg-type]
    found = networks.description
    assert found is not None
    assert list(found.hosts) == ["client", "proxy"]
    assert found.switches == ("s1", "s2")
    # One link between two nodes, with the shape of the first network.
    assert [(one.first, one.second, one.there) for one in found.links] == [
        ("client", "s1", PLAIN),
        ("s1", "s2", SLOW),
        ("proxy", "s1", PLAIN),
    ]
