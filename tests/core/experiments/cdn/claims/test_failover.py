"""C8: a replica fails under load, and users are served again in time, or not, or nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.cdn.claims.failover import Episode, Fault, User, attempts, decide_failover, recovery
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.http.wire.page_load import page_load
from tests.core.experiments.dns.dns_wire import Net, a
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, MS, START_NS, Tcp, Wire, request, response

ALIAS = "www.example.cdn.net"
BODY = b"the object"
OBJECTS = {b"/": (BODY,)}
OWN, OTHER = "10.8.1.10", "10.8.2.10"
FAULT_MS, BACK_MS = 1000.0, 6000.0
# TTL 2 s, interval 0.5 s, slack 0.1 s: nobody may fail 2.6 s after the fault.
FAULT = Fault(OWN, START_NS + round(FAULT_MS * MS), None, 2, 0.5, 0.0, 0.1)
Request = tuple[float, str, bool]
BEFORE: list[Request] = [(200, OWN, True), (700, OWN, True)]
MEANWHILE: list[Request] = [(1100, OWN, False), (2000, OWN, False), (2900, OWN, False)]
AFTER: list[Request] = [(3000, OTHER, True), (3800, OTHER, True)]
USUAL: list[tuple[float, str]] = [(100, OWN), (1200, OWN), (2950, OTHER)]


def asks(folder: Path, requests: list[Request], odd_from: float = 1e9) -> User:
    """A user: when it connects where, and whether it is served (from some time on with other octets) or reset."""
    wire = Wire()
    for number, (at_ms, address, served) in enumerate(requests):
        wire.now_ms = at_ms
        tcp = Tcp(wire, port=41000 + number, server_address=address)
        if served:
            body = BODY if at_ms < odd_from else b"sorry"
            tcp.open(5).client("PA", request("/", "1.1")).server("PA", response(body, version="1.1")).close()
        else:
            tcp.client("S").server("RA")
    return User("eu-user", DnsTraffic(), page_load(wire.capture(folder), INTERFACE), OBJECTS)


def names(answers: list[tuple[float, str]], ttl: int = 2) -> DnsTraffic:
    """What the CDN's name server says, and when."""
    net = Net()
    for at_ms, address in answers:
        net.now_ms = at_ms
        net.ask("local", "provider", ALIAS, answer=[a(ALIAS, address, ttl)], rtt_ms=1, aa=1)
    return net.at("provider")


def episode(
    folder: Path,
    requests: list[Request] | None = None,
    answers: list[tuple[float, str]] | None = None,
    fault: Fault = FAULT,
) -> Episode:
    user = asks(folder, [*BEFORE, *MEANWHILE, *AFTER] if requests is None else requests)
    return Episode(fault, [user], names(USUAL if answers is None else answers), ALIAS, frozenset([OWN, OTHER]))


def test_users_served_again_in_time_show_c8(tmp_path: Path) -> None:
    one = episode(tmp_path)
    verdict = said(
        decide_failover([one]), "shown", "1.90 s with a TTL of 2 s (2.60 s allowed)", f"{OTHER} served the next one"
    )
    assert len(verdict.frames) == 4
    found = recovery(one, one.users[0])
    assert found is not None
    assert (found.failed, found.last_s, found.served_s) == pytest.approx((3, 1.9, 2.0))


def test_requests_are_told_by_how_they_end(tmp_path: Path) -> None:
    net = Net(now_ms=5000)
    net.answer(net.query("client", "local", "www.example.com"), ra=1, rcode=2)
    net.now_ms = 6000
    net.query("client", "local", "www.example.com")
    user = replace(asks(tmp_path, [*BEFORE[:1], *MEANWHILE[:1]]), dns=net.at("client"))
    assert [one.failure and one.failure.split(" in ")[0] for one in attempts(user)] == [
        None,
        "reset",
        "its DNS query is answered with SERVFAIL",
        "its DNS query gets no response",
    ]


@pytest.mark.parametrize("odd_from", [0.0, 700.0, 3000.0])
def test_other_octets_contradict_c8_whenever_they_come(odd_from: float, tmp_path: Path) -> None:
    user = asks(tmp_path, [*BEFORE, *MEANWHILE, *AFTER], odd_from)
    said(
        decide_failover([Episode(FAULT, [user], names(USUAL), ALIAS, frozenset([OWN, OTHER]))]),
        "failed",
        "that are no version of the origin",
    )


def test_an_answer_with_a_stranger_or_another_ttl_contradicts_c8(tmp_path: Path) -> None:
    one = episode(tmp_path)
    said(
        decide_failover([replace(one, serving=frozenset([OWN]))]),
        "failed",
        f"names {OTHER}, which is not a replica or the origin",
    )
    said(decide_failover([replace(one, server=names(USUAL, ttl=0))]), "failed", "has TTL 0, not 2")


def test_a_late_failure_contradicts_c8(tmp_path: Path) -> None:
    late = [*BEFORE, *MEANWHILE, (3700.0, OWN, False), (3900.0, OTHER, True)]
    said(
        decide_failover([episode(tmp_path, late)]),
        "failed",
        "2.70 s after the fault (reset in frame",
        "2.60 s are allowed",
    )
    # Where a check waits for its time-out the same is in time.
    said(
        decide_failover([episode(tmp_path, [*late[:-1], (4200.0, OTHER, True)], fault=replace(FAULT, timeout_s=0.5))]),
        "shown",
    )


def test_an_answer_that_still_names_it_contradicts_c8(tmp_path: Path) -> None:
    said(
        decide_failover([episode(tmp_path, answers=[*USUAL[:2], (1700, OWN)])]),
        "failed",
        "0.70 s after the fault, still has",
    )


@pytest.mark.parametrize(
    ("requests", "part"),
    [
        ([*BEFORE, *AFTER], "affected no request of"),
        ([*MEANWHILE, *AFTER], "No request of eu-user was served by 10.8.1.10 before the fault"),
        ([(300.0, OWN, False), *BEFORE[1:], *MEANWHILE, *AFTER], "failed before the fault"),
        (
            [*BEFORE, *MEANWHILE, *AFTER[:1]],
            "stopped sending requests before the end of the time that is allowed for the fail-over from",
        ),
        (
            [*BEFORE, *MEANWHILE],
            "stopped sending requests before the end of the time that is allowed for the fail-over from",
        ),
    ],
)
def test_without_the_fault_or_its_end_c8_is_undecided(requests: list[Request], part: str, tmp_path: Path) -> None:
    said(decide_failover([episode(tmp_path, requests)]), "undecided", part)


def test_without_answers_c8_is_undecided(tmp_path: Path) -> None:
    said(decide_failover([episode(tmp_path, answers=[(100, OTHER), (2950, OTHER)])]), "undecided", "No answer has")
    said(
        decide_failover([episode(tmp_path, answers=[(100, OWN)])]),
        "undecided",
        "The capture has no query for the name after the fault",
    )
    said(decide_failover([]), "undecided", "No replica failed")


def test_a_replica_that_is_back_must_be_used_again(tmp_path: Path) -> None:
    back = replace(FAULT, back_ns=START_NS + round(BACK_MS * MS))
    usual = [*BEFORE, *MEANWHILE, *AFTER]
    again = [*usual, (7000.0, OTHER, True), (8000.0, OWN, True), (9000.0, OWN, True)]
    answers = [*USUAL, (6500.0, OTHER), (7900.0, OWN)]
    said(
        decide_failover([episode(tmp_path, again, answers, back)]),
        "shown",
        "the replica serves users again after 2.00 s",
    )
    never = [*usual, (8000.0, OTHER, True), (9000.0, OTHER, True)]
    said(
        decide_failover([episode(tmp_path, never, [*USUAL, (7900.0, OTHER)], back)]),
        "failed",
        "recovered, but no user was directed to it again",
    )
    said(decide_failover([episode(tmp_path, usual, answers, back)]), "undecided", "ends too early after the recovery")
