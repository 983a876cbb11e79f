"""Recursive servers in one chain: local server, root, TLD, authoritative server and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.dns.internet import Internet, internet, resolver
from tests.loopback.dns.test_resolver_clients import dig


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Internet]:
    with internet(tmp_path_factory.mktemp("recursive"), recursive=(1, 2)) as servers:
        yield servers


def events(log: Path, kind: str) -> list[dict[str, object]]:
    return [event for line in log.read_text().splitlines() if (event := json.loads(line))["event"] == kind]


def asked_by(net: Internet, number: int) -> set[str]:
    """Return the last octets of the addresses of a server's clients."""
    peers = [str(event["peer"]).rpartition(":")[0] for event in events(net.folder / f"log{number}", "query")]
    return {peer.rpartition(".")[2] for peer in peers}


def test_each_server_asks_the_next(net: Internet) -> None:
    flags = ("--forward", f"{net.net}.1", "--upstream-port", str(net.port), "--outgoing", f"{net.net}.9")
    with resolver(net.folder, *flags, "--no-cache") as local:
        answer = dig(local.port, "alias.example.com")
        assert "192.0.2.1" in answer
        assert "status: NXDOMAIN" in dig(local.port, "nope.example.com")
        assert local.upstream() == ["1", "1"]
        assert all(event["rd"] for event in local.events("upstream"))
        # The alias leads out of com, so the local server queries the root again.
        assert "192.0.2.60" in dig(local.port, "+short", "away.example.com")
    assert asked_by(net, 1) == {"9"}
    assert asked_by(net, 2) == {"1"}
    assert asked_by(net, 3) | asked_by(net, 4) == {"2"}


def test_without_rd_it_refers_as_any_server_of_the_zone(net: Internet) -> None:
    with resolver(net.folder, *net.flags) as local:
        assert "192.0.2.1" in dig(local.port, "+short", "www.example.com")
        assert [event["rd"] for event in local.events("upstream")] == [False] * 3
        assert local.upstream()[:2] == ["1", "2"]
