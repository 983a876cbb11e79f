"""All arrivals of a span: each request beside Lindley's recursion, and the mean beside the formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from lab7.experiments.cache.access_link import CASES, EXPERIMENT, OBJECT_BITS, SLOW
from lab7.experiments.cache.claims.access_link import Setting
from lab7.experiments.cache.claims.access_link_span import SpanFigures, decide_waits_over_span, span_figures
from lab7.experiments.harness.clock import VARIABLE, Clock
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.theory.queueing import Queue, WaitInterval, poisson_s, waits_s
from lab7.experiments.http.wire.bulk import BulkExchange, Traffic, crossings
from lab7.topologies.emulation.errors import EmulationError
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, START_NS, Tcp, Wire, request, response

BODY = b"x" * 9_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"
# One response a second: utilisation 0.8 with 10,000 octets on a link of 100 kbit/s.
RATE_BPS, WIRE_BYTES, RTT_S, SPAN_S = 1e5, 10_000, 2.0, 600.0
SERVICE_S = WIRE_BYTES * 8 / RATE_BPS
REQUEST_BYTES, ACKNOWLEDGEMENT_BYTES = 59, 66
REQUEST_S, ACKNOWLEDGEMENT_S = (59 + 66) * 8 / RATE_BPS, 66 * 8 / RATE_BPS
SETTING = Setting(1.0, RATE_BPS, RTT_S, 0.0)
ARRIVALS_S = poisson_s(1.0, SPAN_S, Random(2))
INTERVAL = WaitInterval.of(Queue(1.0, SERVICE_S), SPAN_S, 1)
OBJECTS = {b"/0": (BODY,)}


def _traffic(acknowledged: int = 0) -> Traffic:
    """What a client sees of an ideal link; the first requests are acknowledged by a frame of their own."""
    own_s = [ACKNOWLEDGEMENT_S if number < acknowledged else 0.0 for number in range(len(ARRIVALS_S))]
    waits = waits_s(ARRIVALS_S, [SERVICE_S + each_s for each_s in own_s])
    found = []
    for number, (at_s, wait_s, each_s) in enumerate(zip(ARRIVALS_S, waits, own_s, strict=True)):
        asked_ns = START_NS + round(at_s * 1e9)
        last_ns = asked_ns + round((RTT_S + REQUEST_S + wait_s + each_s + SERVICE_S) * 1e9)
        one = BulkExchange((b"", number), (b"", 80), b"/0", asked_ns, number + 1, first_ns=last_ns - 1, last_ns=last_ns)
        one.end, one.pieces, one.status = len(HEAD + BODY), [HEAD, BODY], b"200"
        one.wire_bytes, one.request_bytes = WIRE_BYTES, REQUEST_BYTES
        one.acknowledgement_bytes = round(each_s * RATE_BPS / 8)
        found.append(one)
    return Traffic(found)


def _figures(traffic: Traffic) -> SpanFigures:
    return span_figures(SETTING, SPAN_S, traffic, START_NS, ARRIVALS_S, OBJECTS)


def test_an_ideal_link_is_the_theory() -> None:
    one = _figures(_traffic())
    assert (one.problem, one.wrong) == (None, None)
    assert one.worst < 1e-6
    assert one.mean.total_s == pytest.approx(sum(one.mean.terms.values()))
    assert one.mean.terms["internet"] == pytest.approx(RTT_S)
    assert one.mean.terms["request"] == pytest.approx(REQUEST_S)
    said(
        decide_waits_over_span("slow link", one, INTERVAL, 0.003), "shown", "utilisation 0.78", "mean of M/D/1, 1.600 s"
    )


def test_acknowledgements_of_their_own_are_part_of_the_service() -> None:
    one = _figures(_traffic(acknowledged=100))
    assert one.worst < 1e-6
    assert one.mean.terms["acknowledgements"] == pytest.approx(ACKNOWLEDGEMENT_S * 100 / len(ARRIVALS_S))
    assert one.mean.terms["residual"] == pytest.approx(0.0, abs=1e-9)
    # Without them the same packets are off: those behind wait longer, too.
    ignored = _traffic(acknowledged=100)
    for each in ignored.crossings:
        each.acknowledgement_bytes = 0
    said(decide_waits_over_span("slow link", _figures(ignored), INTERVAL, 0.003), "failed", "0.3% are allowed")


def test_one_request_that_is_late_fails() -> None:
    traffic = _traffic()
    one = traffic.crossings[100]
    one.last_ns += (one.last_ns - one.asked_ns) // 200
    said(
        decide_waits_over_span("slow link", _figures(traffic), INTERVAL, 0.003),
        "failed",
        "the time of each request differs by at most 0.50% from Lindley's recursion (0.3% are allowed)",
    )


def test_another_link_than_the_asked_one_fails() -> None:
    traffic = _traffic()
    for one in traffic.crossings:
        one.wire_bytes = round(0.8 * WIRE_BYTES)
    said(decide_waits_over_span("slow link", _figures(traffic), INTERVAL, 0.003), "failed")


def test_what_was_sent_again_late_or_not_at_all_is_no_evidence() -> None:
    repeated = _traffic()
    repeated.repeated = 1
    said(
        decide_waits_over_span("slow link", _figures(repeated), INTERVAL, 0.003),
        "undecided",
        "1 segments were retransmitted",
    )
    lost = Traffic(_traffic().crossings[:-1])
    said(
        decide_waits_over_span("slow link", _figures(lost), INTERVAL, 0.003),
        "undecided",
        f"only {len(ARRIVALS_S) - 1} of {len(ARRIVALS_S)} requests were sent",
    )
    late = _traffic()
    late.crossings[5].asked_ns += 20_000_000
    said(
        decide_waits_over_span("slow link", _figures(late), INTERVAL, 0.003),
        "undecided",
        "a request was sent 0.020 s late",
    )


def test_other_octets_fail() -> None:
    traffic = _traffic()
    traffic.crossings[3].pieces = [HEAD, BODY[1:] + b"y"]
    said(decide_waits_over_span("slow link", _figures(traffic), INTERVAL, 0.003), "failed", "slow link: ")


def test_arrivals_too_unusual_for_the_formula_are_no_evidence() -> None:
    narrow = replace(INTERVAL, low=-0.01, high=0.01)
    said(
        decide_waits_over_span("slow link", _figures(_traffic()), narrow, 0.003),
        "undecided",
        "This sample of arrivals is too unusual: use another seed or a longer span",
    )


def test_an_acknowledgement_before_the_response_is_seen(tmp_path: Path) -> None:
    wire = Wire()
    tcp = Tcp(wire).open(1)
    for at_once in (True, False):
        tcp.client("PA", request("/0", "1.1"))
        wire.after(5)
        if at_once:
            tcp.server("A")
        tcp.server("PA", response(BODY[:100], "1.1"))
        tcp.client("A")
        # The server's, but behind the response.
        tcp.server("A")
        wire.after(5)
    first, second = crossings(wire.capture(tmp_path).at(INTERFACE), 80).crossings
    # The shortest Ethernet frame, without its check sequence.
    assert first.acknowledgement_bytes == 60
    assert second.acknowledgement_bytes == 0


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({}, "cases=slow"),
        ({"cases": "cache"}, "without a cache"),
        ({"cases": "slow", "link": "1"}, "utilisation 1.50"),
        ({"cases": "slow", "rate": "0.1"}, "at least 100 arrivals"),
    ],
)
def test_a_span_that_says_nothing_of_a_mean_wait_is_refused(given: dict[str, str], part: str, tmp_path: Path) -> None:
    parameters = EXPERIMENT.read_parameters({"span": "20", **given})
    run = Run(parameters, 1, 1, "netem", True, tmp_path, lambda _what, _share: None)
    with pytest.raises(EmulationError, match=part):
        EXPERIMENT.run(run)


def test_the_long_run_in_virtual_time_is_an_hour_near_saturation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Clock("virtual").to_text())
    asked = EXPERIMENT.read_parameters({}, full=True)
    queue = Queue(asked["rate"] * asked["scale"], OBJECT_BITS / (asked["link"] * asked["scale"] * 1e6))
    assert (asked["span"], [CASES[word] for word in asked["cases"]]) == (3600, [SLOW])
    assert queue.utilisation == pytest.approx(0.9, abs=0.01)
    # Near saturation waits are distributed exponentially (Kingman 1962): e^-10 of them exceed ten times their mean.
    assert asked["rto_min"] > 10 * queue.service_s / (2 * (1 - queue.utilisation))
    monkeypatch.delenv(VARIABLE)
    assert EXPERIMENT.read_parameters({}, full=True)["span"] == 0
