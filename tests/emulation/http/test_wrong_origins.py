"""Origins with one deliberate fault each: the claims that the fault breaks are not shown, and all others are.

A busy machine alone can make a time too long. So a claim counts as broken where it is not shown for another reason than
its time; where a fault is one of time, the claim that it delays is named apart.

What each fault breaks, by the claims' own statements: what is no file of the origin's breaks every claim on objects (H4
as well: a memory could be behind it); an unreadable response breaks what needs a response, and leaves the grammar of
requests (H2) and HTTP/2 alone, but H12 may have no second request by 1.1 to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulation.wrong.origin import FAULTS
from tests.emulation.wrong.support import Judged, judge, program

# Large enough to tell a round trip from a busy machine's delays, small enough to be short.
RTT = "20ms"
OBJECTS_BY_1 = {"H4", "H5", "H6", "H7", "H8", "H9"}
OBJECTS = OBJECTS_BY_1 | {"H13", "H14"}
ALL = {"H1", "H2", "H3", "H10", "H12"} | OBJECTS
ONLY_LATE = "But measured"


@dataclass(frozen=True)
class Fault:
    """The strategies that are tried (all, if none is named), what the fault breaks, what else it delays, and words that
    the evidence for some claims has to have."""

    broken: set[str]
    strategies: str = "all"
    delayed: str = ""
    says: tuple[tuple[str, str], ...] = ()


STATUS = (("H5", "its status is 404, not 200"), ("H9", "/picture-1.png in frame"), ("H14", "its status is 404"))
ORIGINS: Mapping[str, Fault] = {
    "none": Fault(set()),
    "chunked": Fault(set(), "1.0-serial,1.1-persistent,1.1-pipelined"),
    "status": Fault(OBJECTS, says=STATUS),
    "content": Fault(OBJECTS, says=(("H8", "differs from octet 0 on"), ("H13", "the response for /picture-1.png"))),
    "truncated": Fault(OBJECTS, says=(("H6", "its content has 2000 octets, the file has 4000"),)),
    "extra": Fault(OBJECTS_BY_1 | {"H3", "H10", "H12"}, says=(("H3", "not a status line: 'and more"),)),
    "saturated": Fault(OBJECTS | {"H12"}, says=(("H4", "is answered differently"),)),
    "counts": Fault({"H4"}, says=(("H4", "/index.html gets different responses in frame"),)),
    "keeps-open": Fault(
        {"H5"}, "1.0-serial,1.0-parallel,1.1-persistent", says=(("H5", "The client closes the connection first"),)
    ),
    "closes": Fault({"H8", "H9"}, says=(("H8", "3 connections"), ("H9", "3 connections"))),
    "late": Fault(set(), "1.0-serial,1.1-persistent,1.1-pipelined", delayed="H9"),
    "reversed": Fault({"H9"}, says=(("H9", "the response for /picture-1.png"),)),
    "phrase": Fault(OBJECTS_BY_1 | {"H1", "H3", "H10"}, says=(("H3", "not a status line: 'HTTP/1.1 200\\r"),)),
    "lf": Fault(OBJECTS_BY_1 | {"H1", "H3", "H10", "H12"}, says=(("H3", "not a status line: 'HTTP/1.1 200 OK\\n"),)),
    "version": Fault(OBJECTS_BY_1 | {"H3", "H12"}, says=(("H3", "is HTTP/3.0"),)),
    "literal": Fault({"H12"}, "1.1-persistent,2,2-push", says=(("H12", "The header block of the response in frame"),)),
    "text": Fault({"H10", "H12", "H13", "H14"}, says=(("H10", "has octets outside of frames"),)),
    "push-none": Fault({"H13"}, "1.1-persistent,2,2-push", says=(("H13", "The client sent 3 requests"),)),
    "push-other": Fault({"H13"}, "1.1-persistent,2,2-push", says=(("H13", "The client sent 2 requests"),)),
    "push-content": Fault({"H13"}, "1.1-persistent,2,2-push", says=(("H13", "differs from octet 0 on"),)),
    "push-late": Fault({"H13"}, "1.1-persistent,2,2-push", says=(("H13", "not loaded"),)),
}
# One; the rest takes a minute or two.
SHORT = ("keeps-open",)
INTERLEAVED = ("none", "sequential", "text", "status")


def origin(fault: str) -> str:
    return program("origin.py", fault, "--port", "{port}", "--root", "{root}")


def broken(judged: Judged) -> set[str]:
    """The claims that are not shown for another reason than their time."""
    return {claim for claim in judged.not_shown() if ONLY_LATE not in judged.evidence[claim]}


def slow_but(short: tuple[str, ...], faults: Mapping[str, object]) -> list[object]:
    return [pytest.param(one, marks=[] if one in short else [pytest.mark.slow], id=one) for one in faults]


def test_every_fault_is_tried() -> None:
    assert set(FAULTS) == set(ORIGINS) | set(INTERLEAVED)


@pytest.mark.parametrize("fault", slow_but(SHORT, ORIGINS))
def test_a_fault_breaks_its_claims_and_no_others(fault: str, tmp_path: Path) -> None:
    expected = ORIGINS[fault]
    settings = {"rtt": RTT, "strategies": expected.strategies}
    judged = judge("http-versions", {"origin": origin(fault)}, settings, tmp_path)
    assert broken(judged) == expected.broken, {claim: judged.evidence[claim] for claim in judged.not_shown()}
    if expected.strategies == "all":
        assert set(judged.verdicts) == ALL
    if expected.delayed:
        assert ONLY_LATE in judged.evidence[expected.delayed]
        assert judged.verdicts[expected.delayed] == "failed"
    for claim, words in expected.says:
        assert words in judged.evidence[claim]
    assert judged.code == (1 if judged.not_shown() else 0)


@pytest.mark.parametrize("fault", slow_but(("sequential",), dict.fromkeys(INTERLEAVED)))
def test_a_fault_of_multiplexing(fault: str, tmp_path: Path) -> None:
    judged = judge("http-multiplexing", {"origin": origin(fault)}, {"large": 20_000, "bw": 10}, tmp_path)
    expected = {"none": set(), "text": {"H11", "H12"}}.get(fault, {"H11"})
    assert judged.not_shown() == expected, judged.evidence
    words = {"sequential": "is not between DATA of the large one", "status": "/large.png in frame ", "none": ""}
    assert words.get(fault, "not loaded") in judged.evidence["H11"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["none", "status", "text"])
def test_a_sweep_has_no_points_for_what_was_not_delivered(fault: str, tmp_path: Path) -> None:
    judged = judge("http-rtt-sweep", {"origin": origin(fault)}, {"rtt": RTT, "objects": 3}, tmp_path)
    expected = {"none": set(), "text": {"H13", "H14"}}.get(fault, {"H6", "H7", "H8", "H9", "H13", "H14"})
    assert judged.not_shown() == expected, judged.evidence
    words = {"none": "nothing pushed", "status": "its status is 404, not 200"}
    assert words.get(fault, "2, n=3, RTT 20 ms: the page was not loaded") in judged.evidence["H14"]


@pytest.mark.slow
def test_the_access_link_has_no_figures_for_other_octets(tmp_path: Path) -> None:
    settings = {"requests": 100, "objects": 20}
    judged = judge("access-link", {"origin": origin("content")}, settings, tmp_path)
    assert set(judged.verdicts.values()) == {"failed"}
    assert all(".bin" in evidence for evidence in judged.evidence.values())


# Clients


CLIENTS: Mapping[str, tuple[set[str], str]] = {
    "none": (set(), ""),
    "skips": (OBJECTS_BY_1 - {"H4", "H7", "H9"}, "/picture-2.png was not requested"),
    "others": (OBJECTS_BY_1 - {"H4", "H7", "H9"}, "is not for an object of the page"),
    "twice": (OBJECTS_BY_1 - {"H4", "H7", "H9"}, "is requested a second time in frame"),
}


@pytest.mark.parametrize("fault", slow_but(("skips",), CLIENTS))
def test_a_client_that_did_not_load_the_page_shows_nothing_about_objects(fault: str, tmp_path: Path) -> None:
    expected, words = CLIENTS[fault]
    client = program("page_client.py", fault, "{strategy}", "{url}", "{objects}")
    settings = {"rtt": RTT, "strategies": "1.0-serial,1.1-persistent"}
    judged = judge("http-versions", {"client": client}, settings, tmp_path)
    assert broken(judged) == expected, judged.evidence
    assert all(words in judged.evidence[claim] for claim in expected)
