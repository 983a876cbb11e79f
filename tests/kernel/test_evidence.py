"""The evidence of every experiment cites frames that exist in the capture that it names, and that fit the evidence."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab7.experiments.harness.capture.pcapng import read_packets
from lab7.experiments.harness.judge.frames import FIN, SYN, Frame, read_capture
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import Result

pytestmark = pytest.mark.slow
# RCODE of a DNS response, in the low half of the fourth octet of its header (RFC 1035 section 4.1.1).
RCODE_AT, RCODE, SERVFAIL = 3, 0x0F, 2


def test_every_cited_frame_is_in_the_capture_that_the_verdict_names(runs: list[Path]) -> None:
    wrong, cited = [], 0
    for run in runs:
        result = Result.load(run)
        names = {name for claim in result.claims for name in claim.captures}
        counts = {name: len(read_packets(run / name)[0]) for name in names}
        for claim in result.claims:
            cited += len(claim.frames)
            numbers = {number for some in claim.captures.values() for number in some}
            beyond = [(name, one) for name, some in claim.captures.items() for one in some if one > counts[name]]
            if numbers != set(claim.frames) or beyond or min(numbers, default=1) < 1:
                wrong.append((run.parent.name, claim.id, claim.frames, claim.captures))
    assert cited
    assert wrong == []


def test_every_capture_of_several_is_cited_by_its_own_name(runs: list[Path]) -> None:
    """An experiment whose claims are about different networks cites more than the capture that the result names."""
    several = {run.parent.name: Result.load(run) for run in runs if len(list(run.glob("*.pcapng"))) > 1}
    names = {name: {one for claim in result.claims for one in claim.captures} for name, result in several.items()}
    parted = {"http-keep-alive", "dns-security", "dns-caching", "dns-resolution", "mail-outage"}
    for experiment in names.keys() & parted:
        assert len(names[experiment]) > 1, experiment


def result_of(runs: list[Path], experiment: str) -> tuple[Path, dict[str, Verdict]]:
    run = next((one for one in runs if one.parent.name == experiment), None)
    if run is None:
        pytest.skip(f"no run of {experiment} in these results")
    return run, {claim.id: claim for claim in Result.load(run).claims}


def frames_of(run: Path, claim: Verdict, fits: Callable[[Frame], bool]) -> dict[str, list[bool]]:
    """Return capture -> for each cited frame in it, whether the frame fits."""
    return {
        name: [fits(read_capture(run / name).frames[number - 1]) for number in numbers]
        for name, numbers in claim.captures.items()
    }


def test_the_frames_of_kept_and_closed_connections_are_requests_syns_and_fins(runs: list[Path]) -> None:
    run, claims = result_of(runs, "http-keep-alive")

    def opens_or_asks(frame: Frame) -> bool:
        return frame.tcp is not None and (bool(frame.tcp.flags & SYN) or frame.tcp.payload.startswith(b"GET "))

    def opens_or_closes(frame: Frame) -> bool:
        return frame.tcp is not None and bool(frame.tcp.flags & (SYN | FIN))

    kept = frames_of(run, claims["K1"], opens_or_asks)
    closed = frames_of(run, claims["K2"], opens_or_closes)
    assert kept.keys() == {"capture-kept.pcapng"}
    assert closed.keys() == {"capture-closed.pcapng"}
    assert all(all(fit) for fit in (*kept.values(), *closed.values()))


def test_the_frames_of_a_forged_address_have_it_or_are_its_refusal(runs: list[Path]) -> None:
    run, claims = result_of(runs, "dns-security")
    claim = claims["V2"]
    forged = re.search(r"forged address ([\d.]+)", claim.evidence)
    assert forged is not None
    address = IPv4Address(forged[1]).packed

    def is_forged(frame: Frame) -> bool:
        return frame.udp is not None and address in frame.udp.payload

    def is_refused(frame: Frame) -> bool:
        return frame.udp is not None and frame.udp.payload[RCODE_AT] & RCODE == SERVFAIL

    assert frames_of(run, claim, is_forged) == {
        "capture-forged.pcapng": [True, False],
        "capture-forged-believed.pcapng": [True],
    }
    assert frames_of(run, claim, is_refused)["capture-forged.pcapng"] == [False, True]
