"""Proxies, replicas and name servers of a CDN with one fault each: it breaks the claims that it is about, no others.

The program without a fault shows every claim that packets decide, so that a fault alone is what breaks one. A claim on
time is looked at only where the fault breaks it, and else may be undecided, or be decided by a busy machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulation.wrong.support import Judged, judge, program

# Short, and yet with room for a busy machine: two visits have a second to find their copies fresh.
CAMPUS = {"rtt": "10ms", "campus_rtt": "2ms", "objects": 3, "size": 1000, "load": "3s"}
CDN = {"scale": 0.2, "crowd": 8}
FAILOVER = {"ttl": 1, "users": 1}
# Decided by measured times as well, which a busy machine may spoil.
BY_TIME = {"W1", "C5"}


@dataclass(frozen=True)
class Case:
    """A fault of a proxy, and the claims that it breaks."""

    fault: str
    breaks: frozenset[str]


def case(fault: str, breaks: str) -> object:
    # A case takes 15 s.
    return pytest.param(Case(fault, frozenset(breaks.split())), id=fault, marks=pytest.mark.slow)


def breaks_exactly(judged: Judged, case: Case) -> None:
    """Require that the claims which the fault breaks are not shown, and all others are, those on time apart."""
    assert judged.not_shown() - BY_TIME == case.breaks - BY_TIME, judged.evidence
    for claim in BY_TIME & judged.verdicts.keys():
        if claim in case.breaks:
            assert judged.verdicts[claim] != "shown", judged.evidence[claim]
        elif judged.verdicts[claim] == "failed":
            assert "not shorter" in judged.evidence[claim].lower()
    assert (judged.code == 0) == (not judged.not_shown())


PROXIES = (
    case("none", ""),
    # Octets that the origin never had: nothing is saved, and no copy given away.
    case("garbled-hits", "W1 W2 W5 W6"),
    case("makes-up", "W1 W2 W3 W4 W5 W6 W7"),
    case("not-found", "W1 W2 W5"),
    # What is stale, or may have changed.
    case("never-validates", "W3 W4 W5 W6"),
    case("unconditional", "W3 W4"),
    case("own-date", "W3"),
    case("passes-304", "W1 W2 W4 W6"),
    case("keeps-old", "W5 W6"),
    case("old-fields", "W5"),
    case("ignores-no-cache", "W6"),
    case("page-alone", "W3 W5 W6"),
    # No cache, or no proxy.
    case("stores-nothing", "W1 W2 W3 W4 W5 W6"),
    case("tunnel", "W1 W2 W3 W4 W5 W6 W7"),
    case("absolute-form", "W7"),
)


@pytest.mark.parametrize("case", PROXIES)
def test_a_wrong_proxy_breaks_its_claims_alone(case: Case, tmp_path: Path) -> None:
    own = program("proxy.py", case.fault, "--port", "{port}")
    breaks_exactly(judge("web-cache", {"proxy": own}, CAMPUS, tmp_path), case)


def replica(fault: str) -> Mapping[str, str]:
    return {"replica": program("proxy.py", fault, "--port", "{port}", "--origin", "{origin_host}:{origin_port}")}


REPLICAS = (
    case("none", ""),
    case("garbled-hits", "C2 C5 C6 C7"),
    case("makes-up", "C2 C5 C6 C7"),
    case("not-found", "C2 C5 C6 C7"),
    case("stores-nothing", "C2 C5 C6 C7"),
    case("fetches-twice", "C7"),
    case("fetches-each", "C7"),
    case("no-validators", "C2"),
)


@pytest.mark.parametrize("case", REPLICAS)
def test_a_wrong_replica_breaks_its_claims_alone(case: Case, tmp_path: Path) -> None:
    breaks_exactly(judge("cdn", replica(case.fault), CDN, tmp_path), case)


def name_server(fault: str) -> Mapping[str, str]:
    told = ("--port", "{port}", "--ttl", "{ttl}", "--interval", "{interval}", "--check-path", "{check_path}")
    return {"cdn-dns": program("cdn_dns.py", fault, *told)}


NAME_SERVERS = (
    case("none", ""),
    # Where no user of a region is sent to its replica, nothing is learnt of that replica.
    case("one-region", "C2 C3 C7"),
    case("not-authoritative", "C4"),
)


@pytest.mark.parametrize("case", NAME_SERVERS)
def test_a_wrong_name_server_breaks_its_claims_alone(case: Case, tmp_path: Path) -> None:
    breaks_exactly(judge("cdn", name_server(case.fault), CDN, tmp_path), case)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "fault", "breaks"),
    [
        ("replica", "none", ""),
        ("replica", "garbled-hits", "C8"),
        ("cdn-dns", "none", ""),
        ("cdn-dns", "no-checks", "C8"),
        ("cdn-dns", "no-ttl", "C8"),
        ("cdn-dns", "stranger", "C8"),
    ],
)
def test_a_failure_that_is_handled_wrongly_breaks_c8(role: str, fault: str, breaks: str, tmp_path: Path) -> None:
    own = replica(fault) if role == "replica" else name_server(fault)
    judged = judge("cdn-failover", own, FAILOVER, tmp_path)
    breaks_exactly(judged, Case(fault, frozenset(breaks.split())))


@pytest.mark.slow
def test_octets_that_the_origin_never_had_fail_the_sum_of_the_access_link(tmp_path: Path) -> None:
    own = program("proxy.py", "garbled-hits", "--port", "{port}")
    judged = judge("access-link", {"proxy": own}, {"requests": 200, "objects": 200}, tmp_path)
    assert judged.verdicts == dict.fromkeys(("W1", "W2", "W8"), "failed")
    assert all("never given" in evidence for evidence in judged.evidence.values())
