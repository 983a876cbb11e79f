"""Traffic of paths from a capture: throughput, packets in queues, and losses, at known times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.report.page import render_report
from lab7.experiments.harness.results.network import Direction, LinkDescription, NetworkDescription
from lab7.experiments.harness.results.result import Files, Result
from lab7.experiments.network.picture import describe_topology, render_topology
from lab7.experiments.network.run_network import run_network
from lab7.experiments.network.traffic import path_between, traffic_of
from tests.core.experiments.harness.samples import sample_result
from tests.core.experiments.harness.wire import CLIENT, SERVER
from tests.core.experiments.ladder.wire import CLIENT_AT, DELAY_MS, Path2, datagram


def network(delay_s: float = DELAY_MS / 1e3, loss: float = 0.0) -> NetworkDescription:
    shaped, plain = Direction(1e6, delay_s, loss, 100), Direction()
    return NetworkDescription(
        {"client": (CLIENT,), "server": (SERVER, "2001:db8::2"), "idle": ("192.0.2.9",)},
        ("s1",),
        (
            LinkDescription("client", "s1", "client-eth0", "s1-eth1", shaped, replace(shaped, rate_bps=2e6)),
            LinkDescription("server", "s1", "server-eth0", "s1-eth2", plain, plain),
            LinkDescription("s1", "idle", "s1-eth3", "idle-eth0", plain, plain),
        ),
    )


def test_a_path_is_the_links_between_two_hosts_in_its_direction() -> None:
    there, back = path_between(network(), "client", "server"), path_between(network(), "server", "client")
    assert there is not None
    assert back is not None
    assert [one.rate_bps for one in there] == [1e6, None]
    assert [one.rate_bps for one in back] == [None, 2e6]
    assert path_between(network(), "client", "nowhere") is None


def test_a_queue_has_the_packets_between_departure_and_arrival_less_the_delay(tmp_path: Path) -> None:
    path = Path2()
    # Three packets leave within 2 ms and arrive DELAY_MS later each; on a path of a delay 3 ms shorter they queue.
    for text in (b"one", b"two", b"three"):
        path.add(datagram(text))
        path.after(1)
    path.after(500).add(datagram(b"four"))
    captured = path.capture(tmp_path)
    (queued,) = traffic_of(captured, network((DELAY_MS - 3) / 1e3))
    (empty,) = traffic_of(captured, network())
    assert queued.queue_packets is not None
    assert max(queued.queue_packets) == 3
    assert queued.queue_packets[100] == 0
    assert max(queued.queue_packets[200:]) == 1
    assert queued.rate_bps == 1e6
    assert empty.queue_packets is not None
    assert max(empty.queue_packets) <= 1


def test_throughput_counts_the_octets_that_arrive(tmp_path: Path) -> None:
    path = Path2()
    for _ in range(5):
        path.add(datagram(b"x" * 400))
        path.after(100)
    captured = path.capture(tmp_path)
    (found,) = traffic_of(captured, network())
    total = sum(frame.wire_length for frame in captured.at(CLIENT_AT))
    width_s = found.start_s[1]
    assert found.octets == total
    assert sum(found.throughput_bps) * width_s / 8 == pytest.approx(total)
    assert found.name == "client to server"


def test_a_lost_packet_is_counted_at_its_departure_and_in_no_queue(tmp_path: Path) -> None:
    path = Path2()
    path.add(datagram(b"one"))
    path.lose = True
    path.after(50).add(datagram(b"two"))
    path.after(50).add(datagram(b"three"))
    (found,) = traffic_of(path.capture(tmp_path), network())
    assert list(found.lost_s) == pytest.approx([0.05])


def test_the_picture_has_every_node_with_its_addresses_and_every_shape() -> None:
    svg = render_topology(network(), [CLIENT_AT])
    texts = [one.text or "" for one in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert {"client", "server", "idle", CLIENT, f"{SERVER}, 2001:db8::2"} <= set(texts)
    assert f"{DELAY_MS:g} ms, 1 Mbit/s / {DELAY_MS:g} ms, 2 Mbit/s" in texts
    sentences = list(describe_topology(network(loss=0.02), [CLIENT_AT]))
    assert f"Host client: {CLIENT}; captured at {CLIENT_AT}" in sentences
    assert f"{DELAY_MS:g} ms, 1 Mbit/s, loss 2 % (to s1)" in sentences[3]


def _result(tmp_path: Path, described: NetworkDescription | None) -> Result:
    path = Path2()
    for _ in range(20):
        path.add(datagram(b"x" * 400))
        path.after(20)
    path.write(tmp_path / "capture.pcapng")
    files = Files("capture.pcapng", "timings.csv", "report.html")
    return replace(sample_result(claims=(Verdict("H1", "shown", "Shown.", ()),), files=files), network=described)


def test_a_report_has_the_topology_the_plots_and_the_paths(tmp_path: Path) -> None:
    result = _result(tmp_path, network())
    page = render_report(result, {}, network=run_network(tmp_path, result))
    for text in ('<svg class="topology"', "Links and queues over time", "client to server", "Longest queue"):
        assert text in page


def test_a_result_without_a_network_has_no_such_part(tmp_path: Path) -> None:
    assert run_network(tmp_path, _result(tmp_path, None)) is None


def test_names_of_a_topology_are_escaped() -> None:
    hostile = NetworkDescription({"<b>": ("192.0.2.1",)}, ("s&1",), ())
    svg = render_topology(hostile, [])
    assert "<b>" not in svg
    ElementTree.fromstring(svg)


def test_a_network_survives_the_file(tmp_path: Path) -> None:
    result = _result(tmp_path, network())
    result.save(tmp_path)
    assert Result.load(tmp_path).network == network()
    assert Result.load(tmp_path).host_names["2001:db8::2"] == "server"
