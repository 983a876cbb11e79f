"""Replay of captures in the path model: its terms beyond a closed form, and the waste that it must not explain away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.harness.pathmodel.replay import Sample, omitted_terms, terms_of
from lab7.experiments.harness.results.result import Comparison
from lab7.experiments.http.lab import AT_CLIENT, left_out, request_size, response_sizes, timing, turns_framing_s
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.topologies.web import WebTopo
from tests.core.experiments.harness.wire import request, response

MS, RATE_BPS, RTT_MS = 1_000_000, 10e6, 100
ONE_WAY_MS = RTT_MS / 2
NAMES = {"client": "10.7.0.1", "client2": "10.7.0.2", "origin": "10.7.1.1"}
HEADERS = [("Timestamp", (1, 1)), ("NOP", None), ("NOP", None)]


@dataclass
class Path:
    """Frames of a connection at both of its ends, ONE_WAY_MS apart; each call is a frame at the current time."""

    client: str = "client"
    port: int = 40000
    now_ms: float = 0.0
    frames: list[tuple[float, str, bytes]] = field(default_factory=list)
    said: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    def send(self, by_client: bool, flags: str, payload: bytes = b"") -> Path:
        """Append a frame that leaves now."""
        ends = [(self.client, self.port), ("origin", 80)]
        (source, sport), (target, dport) = ends if by_client else ends[::-1]
        tcp = TCP(sport=sport, dport=dport, flags=flags, options=HEADERS)
        tcp.seq, tcp.ack = self.said[by_client], self.said[not by_client]
        data = bytes(Ether() / IP(src=NAMES[source], dst=NAMES[target]) / tcp / payload)
        self.frames += [(self.now_ms, source, data), (self.now_ms + ONE_WAY_MS, target, data)]
        self.said[by_client] += len(payload) + ("S" in flags)
        return self

    def pass_on(self, milliseconds: float = ONE_WAY_MS) -> Path:
        """Advance the time."""
        self.now_ms += milliseconds
        return self

    def open(self) -> Path:
        """Append the handshake."""
        self.send(True, "S").pass_on().send(False, "SA").pass_on()
        return self.send(True, "A")


def captured(*paths: Path) -> CaptureFile:
    every = sorted(frame for path in paths for frame in path.frames)
    frames = tuple(
        Frame(number, f"{host}:{host}-eth0", round(at_ms * MS), data, len(data))
        for number, (at_ms, host, data) in enumerate(every, start=1)
    )
    return CaptureFile(frames, {f"{host}:{host}-eth0": InterfaceCounts(1, 0) for host in NAMES})


REQUEST, RESPONSE = request("/", "1.1"), response(b"x" * 900, "1.1")


def good(path: Path) -> None:
    """Server that answers when it has the request."""
    path.send(True, "PA", REQUEST).pass_on().send(False, "PA", RESPONSE)


def waits(path: Path) -> None:
    """Server that answers a round trip late."""
    path.send(True, "PA", REQUEST).pass_on().pass_on(RTT_MS).send(False, "PA", RESPONSE)


def corks(path: Path) -> None:
    """Server that answers by two segments, the first after a millisecond, and holds the second back for 200 ms."""
    path.send(True, "PA", REQUEST).pass_on().pass_on(1).send(False, "PA", RESPONSE[:100])
    path.pass_on(200).send(False, "FPA", RESPONSE[100:])


def waits_for_an_acknowledgement(path: Path) -> None:
    """Server with Nagle's algorithm: content is sent when the head is acknowledged (RFC 9293 section 3.7.4)."""
    path.send(True, "PA", REQUEST).pass_on().send(False, "PA", RESPONSE[:60]).pass_on()
    path.send(True, "A").pass_on().send(False, "PA", RESPONSE[60:])


def wants_to_be_asked_twice(path: Path) -> None:
    """Server that needs a second request before it answers: a round trip for each."""
    path.send(True, "PA", REQUEST[:30]).pass_on().send(False, "PA", b"HTTP/1.1 100 Continue\r\n\r\n").pass_on()
    path.send(True, "PA", REQUEST[30:]).pass_on().send(False, "PA", RESPONSE)


def compared(serve: Callable[[Path], None], *waiting: str) -> Comparison:
    path = Path().open()
    serve(path)
    capture = captured(path)
    load = page_load(capture, AT_CLIENT)
    theory = http_page_load(
        "1.1-persistent",
        RTT_MS / 1e3,
        response_sizes(load),
        RATE_BPS,
        request_size_bytes=request_size(load),
    )
    terms = left_out(capture, WebTopo(bw=10, delay="50ms"), {"page": [load]}, RATE_BPS, waiting=waiting)["page"]
    assert set(terms) == {"window", "acknowledgements", "framing", "server_waits"}
    return Comparison.of("page", [timing(load)], theory.plus(terms), 0.01)


def test_a_server_that_answers_at_once_is_as_theory_says() -> None:
    # The frames above take no time on the link, which is 1.2 ms of 200.
    assert compared(good).ratio == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("serve", [waits, waits_for_an_acknowledgement, wants_to_be_asked_twice])
def test_no_term_explains_a_round_trip_that_a_server_wastes(serve: Callable[[Path], None]) -> None:
    found = compared(serve)
    assert not found.within
    assert found.ratio == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize(("serve", "waits_ms"), [(good, 0), (waits, RTT_MS), (corks, 201)])
def test_what_a_real_server_waits_for_has_a_term(serve: Callable[[Path], None], waits_ms: float) -> None:
    found = compared(serve, "origin")
    assert found.ratio == pytest.approx(1, abs=0.01)
    # The frames above take no time on the link, and those of the model do.
    assert found.theory_terms.get("server_waits", 0.0) == pytest.approx(waits_ms / 1e3, abs=3e-4)


def visit(client: str, begin_ms: float) -> Path:
    path = Path(client, now_ms=begin_ms).open()
    good(path)
    return path


def test_visits_of_two_clients_are_replayed_at_their_own_times() -> None:
    one, other = visit("client", 0), visit("client2", 1000)
    capture, topo = captured(one, other), WebTopo(clients=2, bw=10, delay="50ms")
    samples = [
        Sample(f"{path.client}:{path.client}-eth0", round(begin_ms * MS), round((path.now_ms + ONE_WAY_MS) * MS))
        for path, begin_ms in ((one, 0), (other, 1000))
    ]
    first, second = omitted_terms(capture, topo, samples)
    assert second == first
    assert first.acknowledgements_s > 0


@pytest.mark.parametrize("reset", [False, True])
def test_the_end_of_an_earlier_connection_triggers_no_request(reset: bool) -> None:
    # The client closes some time later and opens the next connection; the last frames of the earlier one arrive between
    # the handshake and the request. The model closes at once, so that they arrive before the handshake there.
    earlier = visit("client", 0).pass_on(ONE_WAY_MS)
    opened_ms = earlier.now_ms + 5
    earlier.pass_on(4).send(True, "FA").pass_on(ONE_WAY_MS + 1.5)
    if reset:
        earlier.send(False, "PA", b"farewell")
    earlier.send(False, "FA").pass_on()
    if reset:
        earlier.send(True, "R")
    later = Path("client", 40001, opened_ms).send(True, "S").pass_on().send(False, "SA").pass_on().send(True, "A")
    later.pass_on(1).send(True, "PA", REQUEST).pass_on().send(False, "PA", RESPONSE)
    topo, last_ns = WebTopo(bw=10, delay="50ms"), round((later.now_ms + ONE_WAY_MS) * MS)
    (found,) = omitted_terms(captured(earlier, later), topo, [Sample(AT_CLIENT, round(opened_ms * MS), last_ns)])
    alone = visit("client", 0)
    sample = Sample(AT_CLIENT, 0, round((alone.now_ms + ONE_WAY_MS) * MS))
    (expected,) = omitted_terms(captured(alone), topo, [sample])
    assert found.ideal_s == pytest.approx(expected.ideal_s, abs=2e-4)
    assert found.window_s == 0


def test_what_was_captured_elsewhere_or_later_plays_no_part() -> None:
    path = visit("client", 0)
    capture, topo = captured(path), WebTopo(clients=2, bw=10, delay="50ms")
    samples = {"visit": [Sample(AT_CLIENT, 0, round((path.now_ms + ONE_WAY_MS) * MS))]}
    alone = terms_of(capture, topo, samples)
    last = capture.frames[-1]
    link = tuple(Frame(1000 + one.number, "access link:s1", one.time_ns, one.data, 1) for one in capture.frames)
    # The same segment again: a retransmission, of which the model has none.
    again = Frame(2000, last.interface, last.time_ns + 1, last.data, last.wire_length)
    counts = {**capture.counts, "access link:s1": InterfaceCounts(1, 0)}
    assert terms_of(CaptureFile((*capture.frames, *link, again), counts), topo, samples) == alone
    early = [Sample(AT_CLIENT, 0, again.time_ns)]
    assert terms_of(CaptureFile((*capture.frames, again), capture.counts), topo, {"visit": early}) == {"visit": {}}
    assert terms_of(capture, topo, {"none": []}) == {"none": {}}


def probed(both_arrive: bool) -> dict[str, dict[str, float]]:
    """Return the terms of a visit whose response is retransmitted 45 ms later, as a tail loss probe."""
    path = visit("client", 0)
    path.pass_on(45)
    path.said[False] -= len(RESPONSE)
    path.send(False, "PA", RESPONSE)
    if not both_arrive:
        # Of the first one only what left the origin was seen.
        first = next(each for each in path.frames if each[1] == "client" and RESPONSE in each[2])
        path.frames.remove(first)
    path.pass_on().send(True, "A").pass_on(10).send(True, "PA", REQUEST).pass_on().send(False, "PA", RESPONSE)
    sample = Sample(AT_CLIENT, 0, round((path.now_ms + ONE_WAY_MS) * MS))
    return terms_of(captured(path), WebTopo(clients=2, bw=10, delay="50ms"), {"visit": [sample]})


def test_a_retransmission_of_what_had_arrived_is_no_loss() -> None:
    assert probed(both_arrive=True)["visit"]["acknowledgements"] > 0


def test_a_retransmission_of_what_was_lost_is_a_loss() -> None:
    assert probed(both_arrive=False) == {"visit": {}}


def load_of(path: Path) -> PageLoad:
    return page_load(captured(path), AT_CLIENT)


def test_framing_is_what_requests_and_segments_take_more_or_less_than_counted() -> None:
    short, long = request("/", "1.1"), request("/longer", "1.1")
    path = Path().open()
    for asked in (short, long):
        path.send(True, "PA", asked).pass_on().send(False, "A", RESPONSE[:60]).send(
            False, "PA", RESPONSE[60:]
        ).pass_on()
    saved, split = len(long) - len(short), 2 * 66
    assert turns_framing_s(load_of(path).exchanges, RATE_BPS) == pytest.approx((split - saved) * 8 / RATE_BPS)
    assert turns_framing_s([], RATE_BPS) == 0


def test_a_server_that_is_not_captured_leaves_nothing_to_say() -> None:
    path = visit("client", 0)
    whole = captured(path)
    frames = tuple(one for one in whole.frames if one.interface == AT_CLIENT)
    alone = CaptureFile(frames, {AT_CLIENT: whole.counts[AT_CLIENT]})
    samples = {"visit": [Sample(AT_CLIENT, 0, frames[-1].time_ns)]}
    assert terms_of(alone, WebTopo(bw=10, delay="50ms"), samples) == {"visit": {}}
