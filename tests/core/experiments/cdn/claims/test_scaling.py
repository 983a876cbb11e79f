"""C1, C5 and C6 over the number of clients, and the closed form they are held against."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.cache.wire.link_use import LinkUse
from lab7.experiments.cdn.claims import savings
from lab7.experiments.cdn.claims.scaling import (
    Point,
    decide_link_use_under_load,
    decide_origin_saturation,
    decide_response_time_under_load,
    responses,
)
from lab7.experiments.cdn.theory import by_name, interactive, offered_load, utilisation, wait_s
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.theory.tcp import transmission_time_s
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.bulk import Traffic, crossings
from lab7.experiments.http.wire.page_load import page_load
from tests.core.experiments.dns.dns_wire import Net, a
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, MS, START_NS, Tcp, Wire, request, response

RATE_BPS = 1e6
OBJECTS = {b"/0": (b"x" * 900,), b"/1": (b"x" * 900,)}


def test_below_the_knee_nobody_waits_and_beyond_it_each_adds_its_service() -> None:
    rtt_s, service_s, think_s = 0.1, 0.02, 0.08
    for clients in (1, 5, 10, 20, 40):
        rtts = [rtt_s] * clients
        assert interactive(rtts, service_s, think_s).total_s == pytest.approx(max(0.12, clients * service_s - think_s))
        assert utilisation(rtts, service_s, think_s) == pytest.approx(min(1, clients * service_s / 0.2))


def test_clients_of_different_distance_wait_in_one_queue() -> None:
    rtts = [0.03, 0.1, 0.07] * 10
    wait = wait_s(rtts, 0.02, 0.1)
    assert wait > 0
    assert offered_load(rtts, 0.02, 0.1, wait) == pytest.approx(1)
    theory = interactive(rtts, 0.02, 0.1)
    assert sum(theory.terms.values()) == pytest.approx(theory.total_s)
    # Little's law: the clients are either thinking or waiting for a response.
    assert 30 / (theory.total_s + 0.1) == pytest.approx(1 / 0.02)


def point(clients: int, response_s: float, used: float, **changes: object) -> Point:
    made = Point(clients, 100, response_s, {}, used, LinkUse(1000, 10, 0), response_s, used, clients / 8, (clients,))
    return replace(made, **changes)  # type: ignore[arg-type]


ALONE = [point(1, 0.05, 0.125), point(4, 0.07, 0.5), point(16, 0.25, 1.0)]
THROUGH = [replace(one, response_s=0.001, link=LinkUse(10, 1, 0)) for one in ALONE]


def test_c1_needs_both_sides_of_the_knee_and_theory() -> None:
    verdict = said(
        decide_origin_saturation(ALONE), "shown", "16 clients: link utilisation 100% (theory 100%)", "2.0 times as fast"
    )
    assert verdict.frames == (1, 4, 16)
    said(decide_origin_saturation(ALONE[:2]), "undecided", "knee")
    said(decide_origin_saturation([replace(one, needs=one.needs * 10) for one in ALONE]), "undecided", "knee")
    said(
        decide_origin_saturation([*ALONE[:1], replace(ALONE[1], response_s=0.1), ALONE[2]]),
        "failed",
        "not as theory says for [4]",
    )
    said(decide_origin_saturation([*ALONE[:2], replace(ALONE[2], utilisation=0.7)]), "failed", "[16]")
    late = replace(ALONE[1], response_s=0.0704)
    said(decide_origin_saturation([ALONE[0], late, ALONE[2]]), "shown")
    said(
        decide_origin_saturation([ALONE[0], replace(late, tolerance=0.003), ALONE[2]]),
        "failed",
        "not as theory says for [4]",
    )
    said(
        decide_origin_saturation([*ALONE[:2], replace(ALONE[2], problem="there is a hole")]),
        "undecided",
        "16 clients: there is a hole",
    )
    said(decide_origin_saturation([]), "undecided")


def test_other_octets_fail_every_claim() -> None:
    odd = [*THROUGH[:2], replace(THROUGH[2], wrong="Of /picture.png the client got other octets.")]
    said(decide_origin_saturation(odd), "failed", "16 clients: Of /picture.png")
    said(decide_response_time_under_load(ALONE, odd), "failed", "other octets")
    said(decide_link_use_under_load(ALONE, odd), "failed", "other octets")


def test_c5_and_c6_compare_the_same_numbers_of_clients() -> None:
    said(
        decide_response_time_under_load(ALONE, THROUGH),
        "shown",
        "16 clients: 250.0 ms from the origin, 1.0 ms from replicas",
    )
    said(decide_response_time_under_load(ALONE, [*THROUGH[:2], replace(THROUGH[2], response_s=0.25)]), "failed")
    said(
        decide_response_time_under_load(ALONE, THROUGH[:2]),
        "undecided",
        "The two sweeps have different numbers of clients",
    )
    said(decide_link_use_under_load(ALONE, THROUGH), "shown", "10 octets for each of 100 responses without")
    said(decide_link_use_under_load(ALONE, [*THROUGH[:2], replace(THROUGH[2], link=LinkUse(1000, 10, 0))]), "failed")
    said(
        decide_link_use_under_load(ALONE, [*THROUGH[:2], replace(THROUGH[2], link=LinkUse(10, 1, 4))]),
        "undecided",
        "dropped 4",
    )


def traffic(folder: Path, waits_ms: list[float], start_ms: float = 0.0) -> Traffic:
    tcp = Tcp(Wire(now_ms=start_ms)).open(1)
    for number, wait_ms in enumerate(waits_ms):
        tcp.client("PA", request(f"/{number}", "1.1"))
        tcp.wire.after(wait_ms)
        tcp.server("PA", response(b"x" * 900, "1.1"))
        tcp.client("A")
        tcp.wire.after(10)
    return crossings(tcp.wire.capture(folder).at(INTERFACE), 80, keep_content=True)


def test_terms_of_what_crossed_the_link_sum_to_the_mean(tmp_path: Path) -> None:
    users, origin = traffic(tmp_path, [60, 80]), traffic(tmp_path, [2, 2])
    for there, here in zip(origin.crossings, users.crossings, strict=True):
        there.asked_ns, there.first_ns = here.asked_ns + 20 * MS, here.asked_ns + 22 * MS
    found = responses([users], origin, (START_NS, START_NS + 1000 * MS), RATE_BPS, OBJECTS)
    assert (found.problem, found.wrong) == (None, None)
    assert (found.count, found.response_s) == pytest.approx((2, 0.07))
    assert sum(found.terms.values()) == pytest.approx(0.07)
    service_s = origin.crossings[0].wire_bytes * 8 / RATE_BPS
    # What a request's frame takes on the link is on its way, and no response waits for it.
    request_s = transmission_time_s(len(request("/0", "1.1")), RATE_BPS)
    assert found.terms["request"] == pytest.approx(request_s)
    assert found.terms["internet"] == pytest.approx(0.04 - 2 * request_s)
    assert found.terms["queueing"] == pytest.approx((0.038 + 0.058) / 2 - 0.02 + request_s - service_s)
    assert found.terms["residual"] == pytest.approx(0.002)
    assert found.request_bytes == len(request("/0", "1.1"))
    assert found.response_bytes == len(response(b"x" * 900, "1.1"))
    users.crossings[1].status = b"503"
    assert "The request for /1 in frame 7 gets 503" in str(
        responses([users], origin, (START_NS, START_NS + 1000 * MS), RATE_BPS, OBJECTS).wrong
    )
    assert responses([], origin, (START_NS, START_NS + 1), RATE_BPS, OBJECTS).problem is not None


def test_c5_of_visits_by_region() -> None:
    without, through = {"eu": [0.2, 0.2], "ap": [0.5, 0.5]}, {"eu": [0.25, 0.05], "ap": [0.6, 0.1]}
    said(savings.decide_visit_time(without, through, []), "shown", "eu 200.0 ms without and 150.0 ms", "25% less")
    said(
        savings.decide_visit_time(without, {**through, "ap": [0.6, 0.5]}, []),
        "failed",
        "The CDN does not shorten the visits of ap",
    )
    said(
        savings.decide_visit_time(without, through, ["eu CDN, first"]), "undecided", "eu CDN, first differ from theory"
    )
    said(
        savings.decide_visit_time(without, {"eu": [0.1]}, []), "undecided", "The visits with and without the CDN differ"
    )
    said(savings.decide_visit_time({}, {}, []), "undecided")


def test_c6_of_visits() -> None:
    much, little = LinkUse(1000, 9, 0), LinkUse(400, 5, 0)
    said(savings.decide_link_relief(much, little, 3), "shown", "1000 octets in 9 frames", "60% less", "3 responses")
    said(savings.decide_link_relief(much, much, 3), "failed", "The traffic did not decrease")
    said(savings.decide_link_relief(much, little, 0), "undecided", "No response came from a replica's copy")
    said(savings.decide_link_relief(much, replace(little, dropped=2), 3), "undecided", "dropped 2")
    said(savings.decide_link_relief(LinkUse(0, 0, 0), LinkUse(0, 0, 0), 3), "undecided")


def test_a_visit_by_name_begins_with_its_lookup(tmp_path: Path) -> None:
    net = Net()
    net.ask("client", "local", "www.example.com", answer=[a("www.example.com", "10.0.2.1")], rtt_ms=30, ra=1)
    tcp = Tcp(Wire(now_ms=32)).open(40)
    tcp.client("PA", request("/"))
    tcp.wire.after(41)
    tcp.server("PA", response()).close()
    load, span = page_load(tcp.wire.capture(tmp_path), INTERFACE), (START_NS, START_NS + 1000 * MS)
    found = savings.decompose_by_name(load, net.at("client"), None, span)
    parts = {name: round(value * 1e3, 3) for name, value in found.terms.items() if value}
    assert parts == {"dns": 30.0, "tcp_handshake": 40.0, "request": 41.0, "residual": 2.0}
    assert found.total_s == pytest.approx(sum(found.terms.values()))
    known = savings.decompose_by_name(load, DnsTraffic(), None, span)
    assert (known.terms["dns"], known.total_s) == pytest.approx((0.0, 0.081))
    theory = by_name(http_page_load("1.1-persistent", 0.04, [5]), 0.03, "2 RTT")
    assert (theory.total_s, theory.terms["dns"]) == pytest.approx((0.11, 0.03))
    assert theory.formula == "DNS + 2 RTT"
