"""A server with both families: the page-load client takes IPv6, or IPv4 where IPv6 is silent; the judge reads both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.experiments.harness.capture.capture import Capture
from lab7.experiments.harness.judge.frames import Connection, connections, read_capture
from lab7.experiments.http.wire.page_load import page_load
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.addressing.support import CLIENT6, SERVER6, LearningTopo, output
from tests.emulation.support import CLIENT, SERVER, both_ends

URL = "http://www.example.com/"
ORIGIN = "lab7.services.http.origin --root . --listen 0.0.0.0 --port 80"
PAGE = b"<!doctype html><title>Both</title>"


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed(LearningTopo(serves=ORIGIN, delay="2ms"), links="wire", arp="static") as running:
        (running.host("server").workdir / "index.html").write_bytes(PAGE)
        yield running


def loaded(bed: Testbed, path: Path) -> str:
    """Load the page, captured at both ends; return the address that it came from."""
    with Capture(path, both_ends(bed)):
        report = json.loads(output(bed, "client", *module_command("lab7.services.http.client", "--json", URL)))
    assert [one["size_bytes"] for one in report["objects"]] == [len(PAGE)]
    return str(report["connections"][0]["address"])


def opened(path: Path) -> list[Connection]:
    return connections(read_capture(path).at("client"))


def test_ipv6_comes_first(bed: Testbed, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcapng"
    assert loaded(bed, path) == SERVER6
    (connection,) = opened(path)
    assert (connection.client.address, connection.server.address) == (CLIENT6, SERVER6)
    assert connection.whole
    (conversation,) = page_load(read_capture(path), "client").conversations
    (exchange,) = conversation.exchanges
    assert exchange.response is not None
    assert exchange.response.body == PAGE


def test_a_silent_ipv6_is_overtaken_by_ipv4(bed: Testbed, tmp_path: Path) -> None:
    output(bed, "server", "ip", "address", "del", f"{SERVER6}/64", "dev", "server-eth0")
    path = tmp_path / "capture.pcapng"
    assert loaded(bed, path) == SERVER
    first, second = opened(path)
    assert (first.client.address, first.established) == (CLIENT6, False)
    assert (second.client.address, second.established) == (CLIENT, True)
    # RFC 8305 section 5: the second attempt does not wait for the first to fail, nor does it start at once.
    assert second.syn.time_ns - first.syn.time_ns >= 250e6


def test_services_listen_on_both_families(bed: Testbed) -> None:
    listening = output(bed, "server", "ss", "-Htln")
    assert "0.0.0.0:80 " in listening
    assert "[::]:80 " in listening
