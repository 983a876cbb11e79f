"""Crossings read from headers alone, and what the claims W1, W2 and W8 make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.cache.claims.access_link import (
    CaseFigures,
    Setting,
    case_figures,
    decide_link_use_under_load,
    decide_queueing_theory,
    decide_response_time_under_load,
)
from lab7.experiments.http.wire.bulk import BulkExchange, Traffic, crossings
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, MS, START_NS, Tcp, Wire, request, response

RATE_BPS = 1e6
BODY = b"x" * 1000
OBJECTS = {b"/0": (BODY,), b"/1": (BODY,)}


def _exchange(tcp: Tcp, target: str, wait_ms: float) -> None:
    tcp.client("PA", request(target, "1.1"))
    tcp.wire.after(wait_ms)
    whole = response(BODY, "1.1")
    tcp.server("A", whole[:600])
    tcp.wire.after(1)
    tcp.server("PA", whole[600:])
    tcp.client("A")
    tcp.wire.after(10)


def _traffic(folder: Path, waits_ms: list[float], start_ms: float = 0.0, repeat: bool = False) -> Traffic:
    wire = Wire(now_ms=start_ms)
    tcp = Tcp(wire).open(1)
    for number, wait_ms in enumerate(waits_ms):
        _exchange(tcp, f"/{number}", wait_ms)
    if repeat:
        wire.packets.append((wire.packets[-1][0] + MS, wire.packets[-2][1]))
    return crossings(wire.capture(folder).at(INTERFACE), 80, keep_content=True)


def test_each_request_has_its_response_with_times_and_octets(tmp_path: Path) -> None:
    traffic = _traffic(tmp_path, [40, 20])
    assert [one.target for one in traffic.crossings] == [b"/0", b"/1"]
    assert [one.status for one in traffic.crossings] == [b"200", b"200"]
    assert [(one.last_ns - one.asked_ns) / MS for one in traffic.crossings] == [41, 21]
    # Two frames: Ethernet, IPv4 and TCP headers without options, 54 octets each.
    assert traffic.crossings[0].wire_bytes == len(response(BODY, "1.1")) + 2 * 54
    assert traffic.repeated == 0


def test_a_segment_that_comes_twice_is_counted_and_moves_nothing(tmp_path: Path) -> None:
    once, twice = _traffic(tmp_path, [40]), _traffic(tmp_path, [40], repeat=True)
    assert twice.repeated == 1
    assert twice.crossings[0].last_ns == once.crossings[0].last_ns


def test_terms_sum_to_the_mean_delay(tmp_path: Path) -> None:
    # At the origin a response leaves 2 ms after its request came; 20 and 30 ms later it is at the client.
    origin, client = _traffic(tmp_path, [2, 2], 50), _traffic(tmp_path, [102, 122])
    for there, here in zip(origin.crossings, client.crossings, strict=True):
        there.asked_ns, there.first_ns = here.asked_ns + 50 * MS, here.asked_ns + 52 * MS
    setting = Setting(10, RATE_BPS, 0.1, 0.0)
    figures = case_figures(setting, client, client, origin, START_NS, OBJECTS)
    assert (figures.problem, figures.wrong) == (None, None)
    assert figures.delay_s == pytest.approx(0.113)
    assert sum(figures.terms().values()) == pytest.approx(figures.delay_s)
    # The second waited 20 ms longer than the first.
    assert figures.terms()["queueing"] == pytest.approx(0.010)
    assert figures.terms()["residual"] == pytest.approx(0.002)


def test_a_request_for_what_is_on_its_way_is_collapsed(tmp_path: Path) -> None:
    # The cache asks for /0 at 0 ms and has it at 41 ms; the second client asked for it at 11 ms.
    near, client = _traffic(tmp_path, [40]), _traffic(tmp_path, [60])
    first = client.crossings[0]
    second = replace(first, asked_ns=first.asked_ns + 11 * MS, last_ns=first.asked_ns + 41 * MS)
    later = replace(first, asked_ns=first.asked_ns + 50 * MS, last_ns=first.asked_ns + 51 * MS)
    own = replace(first, asked_ns=near.crossings[0].asked_ns - 1)
    client = Traffic([own, second, later])
    figures = case_figures(Setting(10, RATE_BPS, 0.1, 0.4), client, near, near, START_NS, OBJECTS)
    assert figures.terms()["collapsed"] == pytest.approx(0.030 / 3)
    assert figures.forwarded == (True, False, False)
    request_s = (len(request("/0", "1.1")) + 66) * 8 / RATE_BPS
    assert figures.terms()["request"] == pytest.approx(request_s / 3)
    assert sum(figures.terms().values()) == pytest.approx(figures.delay_s)


def test_what_has_no_response_is_no_evidence(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).open(1).client("PA", request("/", "1.1"))
    traffic = crossings(wire.capture(tmp_path).at(INTERFACE), 80, keep_content=True)
    figures = case_figures(Setting(10, RATE_BPS, 0.1, 0.0), traffic, traffic, traffic, START_NS, OBJECTS)
    assert figures.problem == "1 of 1 requests have no response"
    said(decide_response_time_under_load(figures, figures), "undecided", "no response")
    said(decide_queueing_theory({"slow": figures}), "undecided", "slow")


def test_other_octets_and_errors_fail_every_claim(tmp_path: Path) -> None:
    traffic = _traffic(tmp_path, [40, 20])
    for objects, part in (
        (
            {b"/0": (BODY,)},
            "the response to the request in frame 8 has 1000 octets (SHA-256 44f83544) that are no version",
        ),
        ({b"/0": (BODY,), b"/1": (BODY[1:],)}, "that are no version of the origin"),
    ):
        figures = case_figures(Setting(10, RATE_BPS, 0.1, 0.0), traffic, traffic, traffic, START_NS, objects)
        said(decide_response_time_under_load(figures, figures), "failed", part)
        said(decide_link_use_under_load(figures, figures), "failed", part)
        said(decide_queueing_theory({"slow": figures}), "failed", "slow: ", part)
    traffic.crossings[0].status = b"404"
    figures = case_figures(Setting(10, RATE_BPS, 0.1, 0.0), traffic, traffic, traffic, START_NS, OBJECTS)
    said(decide_link_use_under_load(figures, figures), "failed", "The request for /0 in frame 4 gets 404")


@pytest.mark.parametrize(
    ("octets", "content"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", b"abc"),
        (b"HTTP/1.1 200 OK\r\n\r\nabc", b"abc"),
    ],
)
def test_the_content_of_a_crossing_is_what_its_head_frames(octets: bytes, content: bytes) -> None:
    crossing = BulkExchange((b"", 1), (b"", 80), b"/", 0, 1, end=len(octets), start=0, pieces=[octets[:9], octets[9:]])
    assert crossing.content == content
    # A segment that was not seen, and a head that does not fit what follows.
    assert replace(crossing, end=len(octets) + 1).content is None
    if b"Content-Length" in octets:
        more = octets.replace(b"abc", b"abcd")
        assert replace(crossing, end=len(more), pieces=[more]).content != content


def _figures(delay_ms: float, crossed: int, hit_rate: float, load: float = 0.9) -> CaseFigures:
    """A case of 1000 requests in 10 s whose link takes 9 ms for each that crosses it."""
    return CaseFigures(
        setting=Setting(100, RATE_BPS, 0.1, hit_rate),
        requests=1000,
        crossed=crossed,
        delay_s=delay_ms / 1e3,
        queueing_s=0.0,
        transmission_s=0.0,
        propagation_s=0.0,
        response_wire_bytes=1125,
        link_bytes=crossed * 1125,
        length_s=10.0 * 0.9 / load,
        frames=(1,),
    )


# M/D/1: 100 + 40.5 + 9 ms without, and of 0.6: 100 + 5.28 + 9 ms.
WITHOUT, CACHED = _figures(149.5, 1000, 0.0), _figures(68.6, 600, 0.4)


def test_the_sum_holds() -> None:
    said(decide_response_time_under_load(WITHOUT, CACHED), "shown", "149.5 ms without", "68.6 ms with")
    said(decide_link_use_under_load(WITHOUT, CACHED), "shown", "60.0%")
    said(decide_queueing_theory({"slow": WITHOUT, "cache": CACHED}), "shown", "utilisation 0.900", "hit rate 0.400")


def test_what_the_formula_leaves_out_counts_and_its_tolerance_decides() -> None:
    late = replace(WITHOUT, delay_s=0.1505)
    said(decide_response_time_under_load(late, CACHED), "shown")
    exact = replace(late, tolerance=0.003)
    said(decide_response_time_under_load(exact, CACHED), "failed")
    said(
        decide_response_time_under_load(replace(exact, omitted={"arrivals": 0.001}), CACHED),
        "shown",
        "(theory: 150.5 and",
    )
    said(decide_queueing_theory({"slow": replace(exact, omitted={"arrivals": 0.001})}), "shown")


def test_what_is_off_by_more_than_a_tenth_fails() -> None:
    said(decide_response_time_under_load(WITHOUT, replace(CACHED, delay_s=0.080)), "failed")
    said(decide_response_time_under_load(replace(WITHOUT, delay_s=0.060), CACHED), "failed")
    said(decide_link_use_under_load(WITHOUT, replace(CACHED, link_bytes=WITHOUT.link_bytes)), "failed")
    said(decide_queueing_theory({"slow": _figures(149.5, 1000, 0.0, load=0.7)}), "failed", "utilisation 0.700")
    said(decide_queueing_theory({"slow": replace(WITHOUT, delay_s=0.2)}), "failed")
