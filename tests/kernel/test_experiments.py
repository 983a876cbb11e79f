"""Experiments over links by the kernel: what their packets show, and the same times as over wires."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.kernel.jobs import BW_MBIT
from tests.kernel.kernel import Lane
from tests.kernel.measure import LATE_S, TERM_TOLERANCE, TermPair, near, pairs, undisturbed_terms

# Decided by packets alone; those about time are compared with theory here, with this kernel's tolerance.
BY_PACKETS = {"http-versions": {"H1", "H2", "H3", "H4", "H5", "H10", "H12"}, "dns-resolution": {"D7", "D10"}}
BY_TIME = {"http-versions": {"H6", "H8", "H14"}, "dns-resolution": {"D8", "D9"}}
# A formula knows nothing of what programs and system calls take, which is long here for a server on the way of a name;
# but nothing is faster than the links of the topology.
THEORY_TOLERANCE, PROGRAMS_S = 0.15, 0.15
# Of a path as the certificate has it, in ms and in Mbit/s: medians on a busy machine. What links do is another test.
FLOORS = {"RTT": 30.0, "rate": 0.15 * BW_MBIT}
JOB = {"http-versions": "http-netem", "dns-resolution": "dns-netem"}
EXPERIMENTS = sorted(JOB)


# Terms of the formula; others are what disturbed a sample in real time.
FORMULA = {"tcp_handshake", "request", "transmission"}


def result(lane: Lane, job: str) -> dict[str, Any]:
    done = lane.job(job)
    # 1: a claim was not shown, which may be one about time.
    assert done.code in (0, 1), done.stderr
    found: dict[str, Any] = done.json()["results"][0]
    return found


def timings(lane: Lane, job: str, experiment: str) -> Path:
    assert lane.job(job).code in (0, 1)
    links = job.partition("-")[2]
    return next(lane.job(job).findings.glob(f"{links}/{experiment}/*/timings.csv"))


def terms(lane: Lane) -> list[TermPair]:
    """The terms of the same experiment over both back ends."""
    netem, wire = (undisturbed_terms(timings(lane, job, "http-versions")) for job in ("http-netem", "http-wire"))
    assert list(netem) == list(wire)
    return [pair for name in netem for pair in pairs(name, netem[name], wire[name])]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_what_packets_decide_is_shown(lane: Lane, experiment: str) -> None:
    claims = {claim["id"]: claim for claim in result(lane, JOB[experiment])["claims"]}
    assert set(claims) == BY_PACKETS[experiment] | BY_TIME[experiment]
    not_shown = {name: claim["evidence"] for name, claim in claims.items() if claim["verdict"] != "shown"}
    # Of those about time the packets are in order all the same.
    assert [
        name for name, evidence in not_shown.items() if name in BY_PACKETS[experiment] or "But measured" not in evidence
    ] == []


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_times_are_near_the_formula_term_by_term(lane: Lane, experiment: str) -> None:
    measured = undisturbed_terms(timings(lane, JOB[experiment], experiment))
    theory = {one["name"]: one["theory_terms"] for one in result(lane, JOB[experiment])["comparisons"]}
    assert measured.keys() == theory.keys()
    # What the formula leaves out (window, acknowledgements, framing) is part of the measured terms of the formula.
    figures = [
        (name, term, measured[name][term], asked)
        for name in theory
        for term, asked in theory[name].items()
        if term in measured[name]
    ]
    fast = [one for one in figures if one[2] < (1 - THEORY_TOLERANCE) * one[3]]
    slow = [one for one in figures if one[2] > (1 + THEORY_TOLERANCE) * one[3] + PROGRAMS_S]
    assert (fast, slow) == ([], [])


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_path_was_as_asked_and_no_packet_was_missed(lane: Lane, experiment: str) -> None:
    checks = result(lane, JOB[experiment])["fidelity"]["checks"]
    paths = [check for check in checks if check["name"].startswith(("RTT", "rate"))]
    captures = [check for check in checks if check["name"].startswith("capture")]
    assert paths
    assert captures
    assert [check for check in captures if check["verdict"] != "valid"] == []
    figures = [(check["name"], *(float(check[key].split()[0]) for key in ("measured", "asked"))) for check in paths]
    assert [one for one in figures if not near(one[1], one[2], floor=FLOORS[one[0].split()[0]])] == []


def test_the_two_back_ends_agree_term_by_term(lane: Lane, capsys: pytest.CaptureFixture[str]) -> None:
    compared = terms(lane)
    with capsys.disabled():
        print(f"\n{'http-versions, ms':<32} {'netem':>9} {'wire':>9}", *compared, sep="\n")
    of_formula = [pair for pair in compared if pair.term in FORMULA]
    assert {pair.term for pair in of_formula} == FORMULA
    assert [str(pair) for pair in of_formula if not pair.agree] == []


def test_back_ends_that_differ_are_found_out(lane: Lane) -> None:
    long = [pair for pair in terms(lane) if pair.wire_s > LATE_S / TERM_TOLERANCE]
    assert long
    for factor in (0.94, 1.06):
        assert not [pair for pair in long if TermPair(pair.name, pair.term, factor * pair.wire_s, pair.wire_s).agree]
