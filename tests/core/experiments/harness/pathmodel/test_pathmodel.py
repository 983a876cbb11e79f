"""The path model equals the closed form without window and acknowledgements, and counts their time with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mininet.topo import Topo

from lab7.experiments.harness.pathmodel.dialogue import IDEAL, Hop, Path, Turn, omitted_terms, session_s
from lab7.experiments.harness.pathmodel.events import Clock, Condition
from lab7.experiments.harness.pathmodel.links import Link, Route
from lab7.experiments.harness.pathmodel.network import Network
from lab7.experiments.harness.pathmodel.tcp import Connection, Options
from lab7.experiments.harness.theory.tcp import SEGMENT_OVERHEAD_BYTES, slow_start_stall_s
from lab7.experiments.http.theory import http_page_load

NS = 1e-9
REQUEST = 120
ACCESS = Path((Hop(10e6, 0.05),))
EMPTY_FRAME_S = SEGMENT_OVERHEAD_BYTES * 8 / 10e6


def page(sizes: list[int]) -> list[Turn]:
    return [turn for size in sizes for turn in (Turn.of_client(REQUEST), Turn.of_server(size))]


@given(st.lists(st.integers(1, 14_000), min_size=1, max_size=5), st.sampled_from([0.02, 0.1, 0.3]))
def test_the_ideal_dialogue_is_the_closed_form(sizes: list[int], rtt_s: float) -> None:
    path = Path((Hop(10e6, rtt_s / 2),))
    closed = http_page_load("1.1-persistent", rtt_s, sizes, 10e6, request_size_bytes=REQUEST)
    # Each frame's time is in whole ns.
    assert session_s(path, page(sizes), IDEAL) == pytest.approx(closed.total_s, abs=200 * NS)


@pytest.mark.parametrize(("size", "stalls"), [(20_000, 1), (100_000, 2)])
def test_the_window_is_what_slow_start_leaves_idle(size: int, stalls: int) -> None:
    found = omitted_terms(ACCESS, page([size]))
    # Each stall ends with an acknowledgement, which the link has to send.
    closed = slow_start_stall_s(size, 0.1, 10e6) + stalls * EMPTY_FRAME_S
    assert found["window"] == pytest.approx(closed, abs=200 * NS)


def test_the_first_request_waits_behind_the_handshakes_acknowledgement_and_its_response_behind_its_own() -> None:
    assert omitted_terms(ACCESS, page([1000]))["acknowledgements"] == pytest.approx(2 * EMPTY_FRAME_S, abs=2 * NS)


def test_a_link_without_a_rate_gives_acknowledgements_no_time() -> None:
    assert omitted_terms(Path((Hop(None, 0.05),)), page([4000, 4000])) == {"window": 0.0, "acknowledgements": 0.0}


def test_a_second_hop_stores_each_frame_before_it_forwards_it() -> None:
    one, two = (
        session_s(Path(hops), page([1000]), IDEAL) for hops in ((Hop(10e6, 0.05),), (Hop(10e6, 0.05), Hop(10e6)))
    )
    frames = (74 + 74 + 2 * SEGMENT_OVERHEAD_BYTES + REQUEST + 1000) * 8 / 10e6
    assert two - one == pytest.approx(frames, abs=10 * NS)


def test_a_link_sends_one_frame_after_the_other() -> None:
    link = Link(8e6, 0.001)
    assert [link.arrival_ns(0, 1000), link.arrival_ns(0, 500), link.arrival_ns(5_000_000, 1)] == [
        2_000_000,
        2_500_000,
        6_001_000,
    ]


def segments_acknowledged(turns: list[Turn]) -> list[int]:
    """Return the octets that each empty segment of the client acknowledged, as its server received them."""
    clock = Clock()
    there, back = Route(clock, [Link(None, 0.05)]), Route(clock, [Link(None, 0.05)])
    connection, seen = Connection(clock, there, back), []
    take = connection.server.arrive

    def arrive(size: int, acknowledged: int, fin: bool = False) -> None:
        if not size:
            seen.append(acknowledged)
        take(size, acknowledged, fin)

    connection.server.arrive = arrive  # type: ignore[method-assign]

    def converse() -> Iterator[Condition]:
        yield connection.connect()
        asked = served = 0
        for turn in turns:
            end, other = connection.client, connection.server
            if not turn.by_client:
                end, other = other, end
                yield connection.server.established
            end.write(*turn.writes_bytes)
            if turn.by_client:
                asked += sum(turn.writes_bytes)
            else:
                served += sum(turn.writes_bytes)
            yield other.received(asked if turn.by_client else served)

    clock.start(converse())  # type: ignore[arg-type]
    clock.run()
    return seen


def test_at_first_each_segment_is_acknowledged_then_every_second_one() -> None:
    # Quickack mode ends when the client replies soon after it received: its second request.
    assert segments_acknowledged(page([3 * 1448])) == [1448, 2896, 4344]
    assert segments_acknowledged(page([1448, 4 * 1448]))[1:] == [3 * 1448, 5 * 1448]


def test_what_nothing_follows_is_acknowledged_when_the_timer_expires() -> None:
    assert segments_acknowledged(page([1448, 1448, 1448]))[-1] == 3 * 1448


def test_the_window_grows_only_where_it_limits_the_sender() -> None:
    # Ten exchanges of one segment leave it at ten segments; ten segments at once let it grow to twenty.
    small, large = page([1448] * 10), page([14_480])
    long = page([20 * 1448])
    path = Path((Hop(None, 0.05),))
    stalled = session_s(path, small + long) - session_s(path, small + long, Options(window=False))
    free = session_s(path, large + long) - session_s(path, large + long, Options(window=False))
    assert stalled == pytest.approx(0.1, abs=NS)
    assert free == pytest.approx(0.0, abs=NS)


def test_a_missed_delayed_acknowledgement_ends_interactive_mode() -> None:
    # As long as the client replies soon, its acknowledgements wait for its replies.
    assert last_acknowledged_after_ms(think_ms=0) == pytest.approx(140)
    # A reply that takes longer than the timer has the next segment acknowledged at once again.
    assert last_acknowledged_after_ms(think_ms=100) == pytest.approx(100)


def last_acknowledged_after_ms(think_ms: int) -> float:
    """Return the delay of the acknowledgement of the server's third and last message, over 50 ms each way.

    The client waits for `think_ms` before the request for that message, and is silent afterwards.
    """
    clock = Clock()
    there, back = Route(clock, [Link(None, 0.05)]), Route(clock, [Link(None, 0.05)])
    connection, times_ns = Connection(clock, there, back), []
    take = connection.server.arrive

    def arrive(size: int, acknowledged: int, fin: bool = False) -> None:
        times_ns.extend([clock.now_ns] if acknowledged == 90 else [])
        take(size, acknowledged, fin)

    connection.server.arrive = arrive  # type: ignore[method-assign]

    def converse() -> Iterator[Condition]:
        yield connection.connect()
        for number in (1, 2, 3):
            if number == 3:
                yield clock.after(think_ms * 1_000_000)
            connection.client.write(10)
            yield connection.server.received(10 * number)
            times_ns.append(clock.now_ns)
            connection.server.write(30)
            yield connection.client.received(30 * number)

    clock.start(converse())  # type: ignore[arg-type]
    clock.run()
    return (times_ns[-1] - times_ns[-2]) / 1e6


def test_a_window_that_is_used_at_all_is_not_let_go_of() -> None:
    # A page grows the window to twenty segments; a second of short responses behind it; twenty segments again. RFC 2861
    # lets go of a window that has been idle, and each acknowledgement ends an idle time.
    short = [turn for _ in range(25) for turn in (Turn.of_client(100), Turn.of_server(4 * 1448))]
    page = [Turn.of_client(100), Turn.of_server(20 * 1448)]
    unlimited = Path((Hop(None, 0.02),))
    once, twice = (omitted_terms(unlimited, turns)["window"] for turns in (page, [*page, *short, *page]))
    assert once == pytest.approx(0.04)
    assert twice == pytest.approx(0.04)


def test_links_without_rates_have_their_delays_alone() -> None:
    topo = Topo()
    topo.addLink(topo.addHost("a", ip="10.0.0.1/8"), topo.addHost("b", ip="10.0.0.2/8"), bw=8, delay="1ms")
    arrived: list[int] = []

    def send(rates: bool) -> None:
        clock = Clock()
        Network(topo, clock, rates).route("a", "b").send(1000, lambda: arrived.append(clock.now_ns))
        clock.run()

    send(rates=True)
    send(rates=False)
    assert arrived == [2_000_000, 1_000_000]
