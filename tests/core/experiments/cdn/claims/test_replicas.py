"""C2, C3, C4 and C7: what replicas give away and how names lead to them, shown, contradicted and undecided."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.cache.wire.legs import Legs, Span
from lab7.experiments.cdn.claims import replicas
from lab7.experiments.cdn.claims.names import Steering, decide_alias_to_cdn, decide_regional_answers
from lab7.experiments.cdn.claims.replicas import Region
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from tests.core.experiments.cache.claims.cache_wire import (
    FIRST,
    FORWARD_PORT,
    LAN_MS,
    PROXY,
    SECOND,
    Campus,
    fetched,
    validators,
)
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a, opt, rr
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire, request, response

NAME, ALIAS = "www.example.com", "www.example.cdn.net"
EU, AP = "10.8.1.10", "10.8.2.10"
OBJECTS = {b"/a": (b"old",), b"/b": (b"old",), b"/crowd": (b"old",)}
SAYS = validators(FIRST)
ROLES = {"local": ADDRESSES["local"], "provider": ADDRESSES["example"], "cdn": ADDRESSES["provider"]}


def region(legs: Legs, name: str = "eu") -> Region:
    return Region(name, frozenset([PROXY]), DnsTraffic(), legs.clients, legs)


def copies(campus: Campus, folder: Path, dropped: int = 0) -> Verdict:
    legs = campus.legs(folder, dropped)
    return replicas.decide_identical_copies([region(legs)], legs.origin, OBJECTS)


def c7(regions: list[Region], spans: list[Span], together: dict[str, Span], users: int) -> Verdict:
    return replicas.decide_single_fetch(regions, spans, together, users, OBJECTS)


def visits(*asked: tuple[str, bool]) -> tuple[Campus, list[Span]]:
    """Visits to paths one after the other; whether the replica asks the origin for it."""
    campus = Campus()
    return campus, [campus.ask(path, fetched() if asks else None, says=SAYS) for path, asks in asked]


def test_copies_are_what_the_origin_sent(tmp_path: Path) -> None:
    campus, _ = visits(("/a", True), ("/a", False))
    said(copies(campus, tmp_path), "shown", "2 responses of replicas", "eu /a in frame", "SHA-256 ")


def test_other_octets_contradict_c2(tmp_path: Path) -> None:
    campus, _ = visits(("/a", True))
    campus.ask("/a", None, gets=b"mad", says=SAYS)
    verdict = said(copies(campus, tmp_path), "failed", "/a in frame", "but the origin's response in frame")
    assert len(verdict.frames) == 2


def test_another_validator_contradicts_c2(tmp_path: Path) -> None:
    campus, _ = visits(("/a", True), ("/a", False))
    tcp = Tcp(campus.wire, port=50000, server_port=FORWARD_PORT, server_address=PROXY).open(LAN_MS)
    tcp.client("PA", request("/a", "1.1"))
    lines = "\r\n".join(["200 OK", *validators((FIRST[0], SECOND[1])), ""])
    answer = response(b"old", "1.1").replace(b"200 OK\r\n", lines.encode())
    tcp.server("PA", answer).close()
    said(copies(campus, tmp_path), "failed", "another etag")


def test_a_validator_that_is_left_out_contradicts_c2(tmp_path: Path) -> None:
    campus, _ = visits(("/a", True))
    campus.ask("/a", None, says=SAYS[:1])
    said(copies(campus, tmp_path), "failed", "no etag, unlike the origin's")


def test_what_the_origin_does_not_hold_contradicts_c2(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", fetched(b"odd"), b"odd", says=SAYS)
    campus.ask("/a", None, b"odd", says=SAYS)
    said(copies(campus, tmp_path), "failed", "that are no version of the origin")


@pytest.mark.parametrize(("gets", "status"), [(b"mad", 200), (b"", 200), (b"old", 404)])
def test_what_is_served_later_has_to_be_the_object(gets: bytes, status: int, tmp_path: Path) -> None:
    campus, spans = visits(("/a", True), ("/a", False))
    spans.append(campus.ask("/a", None, gets, status=status))
    said(
        c7([region(campus.legs(tmp_path))], spans, {}, 2),
        "failed",
        "that are no version of the origin" if status == 200 else "/a gets 404 in frame 24",
    )


def test_what_is_made_up_without_the_origin_contradicts_c7(tmp_path: Path) -> None:
    campus = Campus()
    spans = [campus.ask("/a", None, b"made up"), campus.ask("/a", None, b"made up")]
    said(c7([region(campus.legs(tmp_path))], spans, {}, 2), "failed", "that are no version of the origin")
    said(copies(campus, tmp_path), "failed", "is not a response of the origin")


def test_what_the_origin_never_sent_contradicts_c2(tmp_path: Path) -> None:
    campus, _ = visits(("/a", True), ("/b", False))
    said(copies(campus, tmp_path), "failed", "/b in frame", "is not a response of the origin")


def test_without_a_response_from_a_copy_c2_is_undecided(tmp_path: Path) -> None:
    campus, _ = visits(("/a", True), ("/b", True))
    said(copies(campus, tmp_path), "undecided", "No response to eu")
    said(copies(campus, tmp_path, dropped=2), "undecided", "dropped 2")


def test_each_object_is_fetched_once(tmp_path: Path) -> None:
    campus, spans = visits(("/a", True), ("/b", True), ("/a", False), ("/b", False))
    legs = campus.legs(tmp_path)
    said(c7([region(legs)], spans, {}, 2), "shown", "2 objects", "2 later requests")


def test_fetching_it_again_contradicts_c7(tmp_path: Path) -> None:
    campus, spans = visits(("/a", True), ("/a", False), ("/a", True))
    verdict = said(c7([region(campus.legs(tmp_path))], spans, {}, 2), "failed", "again in frame")
    assert len(verdict.frames) == 2


def test_what_was_there_before_or_is_asked_for_once_leaves_c7_undecided(tmp_path: Path) -> None:
    campus, spans = visits(("/a", False), ("/a", False))
    said(c7([region(campus.legs(tmp_path))], spans, {}, 2), "undecided", "The replica of eu had stored /a before frame")
    campus, spans = visits(("/b", True), ("/a", False), ("/a", False))
    said(c7([region(campus.legs(tmp_path))], spans, {}, 2), "undecided", "The replica of eu had stored /a before frame")
    campus, spans = visits(("/a", True), ("/b", True))
    said(c7([region(campus.legs(tmp_path))], spans, {}, 2), "undecided", "No object was requested twice")


def crowd(campus: Campus, users: int, copies_fetched: int = 1, late: bool = False, gets: bytes = b"old") -> Span:
    """Users who ask for one object at once, which is fetched so many times meanwhile."""
    began_ns = campus.now_ns
    tcps = [
        Tcp(campus.wire, port=51000 + number, server_port=FORWARD_PORT, server_address=PROXY).open(LAN_MS)
        for number in range(users)
    ]
    for tcp in tcps[:1] if late else tcps:
        tcp.client("PA", request("/crowd", "1.1"))
    for _ in range(copies_fetched):
        campus.forward("/crowd", fetched())
    for tcp in tcps[1:] if late else []:
        tcp.client("PA", request("/crowd", "1.1"))
    for tcp in tcps:
        tcp.server("PA", response(gets, "1.1")).close()
    return began_ns, campus.now_ns


def test_one_copy_for_a_crowd(tmp_path: Path) -> None:
    campus, spans = visits(("/a", True), ("/a", False))
    together = crowd(campus, 5)
    verdict = c7([region(campus.legs(tmp_path))], spans, {"eu": together}, 5)
    said(verdict, "shown", "5 concurrent requests of users of eu")


@pytest.mark.parametrize(
    ("how", "word", "part"),
    [
        ({"copies_fetched": 2}, "failed", "the replica of eu sent 2 requests to the origin (frames 36"),
        ({"gets": b"mad"}, "failed", "that are no version of the origin"),
        ({"late": True}, "undecided", "No concurrent request arrived before the origin's response was complete"),
    ],
)
def test_a_crowd_that_costs_more_contradicts_c7(
    how: dict[str, int | bytes | bool], word: str, part: str, tmp_path: Path
) -> None:
    campus, spans = visits(("/a", True), ("/a", False))
    together = crowd(campus, 4, **how)  # type: ignore[arg-type]
    said(c7([region(campus.legs(tmp_path))], spans, {"eu": together}, 4), word, part)


def test_a_crowd_that_is_too_small_decides_nothing(tmp_path: Path) -> None:
    campus, spans = visits(("/a", True), ("/a", False))
    together = crowd(campus, 3)
    said(
        c7([region(campus.legs(tmp_path))], spans, {"eu": together}, 4),
        "undecided",
        "Only 3 of 4 users sent concurrent requests",
    )


def told(address: str) -> DnsTraffic:
    """A user's lookup, and the answer it gets."""
    answer = [rr(NAME, "CNAME", ALIAS), a(ALIAS, address)]
    net = Net()
    net.ask("client", "local", NAME, answer=answer, rtt_ms=5, ra=1)
    return net.at("client")


def connects(folder: Path, address: str, at_ms: float = 50) -> PageLoad:
    """A user's visit to an address."""
    folder.mkdir(exist_ok=True)
    tcp = Tcp(Wire(now_ms=at_ms), server_address=address).open(1)
    tcp.client("PA", request("/", "1.1")).server("PA", response(version="1.1")).close()
    return page_load(tcp.wire.capture(folder), INTERFACE)


def sent_to(folder: Path, name: str, own: str, says: str, goes: str, at_ms: float = 50) -> Region:
    nothing = Legs(PageLoad(()), PageLoad(()))
    return Region(name, frozenset([own]), told(says), connects(folder / name, goes, at_ms), nothing)


def test_each_region_is_sent_to_its_own_replica(tmp_path: Path) -> None:
    both = [sent_to(tmp_path, "eu", EU, EU, EU), sent_to(tmp_path, "ap", AP, AP, AP)]
    said(decide_regional_answers(both, NAME), "shown", f"eu gets {EU}", f"ap gets {AP}", "2 connections")
    said(decide_regional_answers(both[:1], NAME), "undecided", "At least two regions")
    said(decide_regional_answers(both, "www.other.com"), "undecided", "no query for www.other.com.")


def test_the_evidence_of_c3_says_by_which_address_the_cdn_chose_a_replica(tmp_path: Path) -> None:
    both = [sent_to(tmp_path, "eu", EU, EU, EU), sent_to(tmp_path, "ap", AP, AP, AP)]
    net = Net()
    # A direct query, such as a check before the measurement, is no reason for what the users get.
    net.ask("client", "provider", ALIAS, answer=[a(ALIAS, EU)], aa=1)
    net.ask("local", "provider", ALIAS, answer=[a(ALIAS, EU)], aa=1)
    resolver = ADDRESSES["local"]
    networks = {"eu": str(ipaddress.ip_network(f"{resolver}/24", strict=False)), "ap": "192.0.2.0/24"}
    verdict = decide_regional_answers(both, NAME, Steering(net.at("provider"), ALIAS, networks))
    said(verdict, "shown", f"{resolver} (frame 6) is in {networks['eu']}, region eu", "region map")
    # No query from the network of ap reached the CDN's name server: no reason is given for its replica.
    assert "region ap" not in verdict.evidence
    assert 6 in verdict.frames


def test_the_evidence_of_c3_names_the_hosts_of_its_addresses(tmp_path: Path) -> None:
    regions = [
        replace(sent_to(tmp_path, name, own, own, own), hosts={own: f"{name}-edge", ADDRESSES["local"]: f"{name}-dns"})
        for name, own in (("eu", EU), ("ap", AP))
    ]
    net = Net()
    net.ask("local", "provider", ALIAS, answer=[a(ALIAS, EU)], aa=1)
    networks = {"eu": str(ipaddress.ip_network(f"{ADDRESSES['local']}/24", strict=False)), "ap": "192.0.2.0/24"}
    said(
        decide_regional_answers(regions, NAME, Steering(net.at("provider"), ALIAS, networks)),
        "shown",
        f"eu gets {EU} (eu-edge) from its name server {ADDRESSES['local']} (eu-dns)",
        f"ap gets {AP} (ap-edge)",
        f"region eu, whose replica is {EU} (eu-edge)",
    )


def test_another_regions_replica_contradicts_c3(tmp_path: Path) -> None:
    one = sent_to(tmp_path, "eu", EU, EU, EU)
    said(decide_regional_answers([one, sent_to(tmp_path, "ap", AP, EU, EU)], NAME), "failed", f"directs ap to {EU}")
    said(
        decide_regional_answers([one, sent_to(tmp_path, "us", AP, AP, EU)], NAME),
        "failed",
        f"goes to {EU}, which no previous answer contains",
    )
    said(
        decide_regional_answers([one, sent_to(tmp_path, "sa", AP, AP, AP, at_ms=1)], NAME),
        "failed",
        "which no previous answer contains",
    )


def lookup(
    cname_from: str = "example",
    alias: str = ALIAS,
    answered_by: str = "provider",
    referred: bool = True,
    told_later: str = EU,
    aa: int = 1,
) -> DnsTraffic:
    """A local server's walk; `provider` of the small Internet is the CDN's name server here."""
    net = Net()
    outer = net.query("client", "local", NAME)
    net.ask("local", "root", NAME, authority=[rr("com", "NS", "ns.com")], additional=[a("ns.com", ADDRESSES["com"])])
    net.ask("local", cname_from, NAME, answer=[rr(NAME, "CNAME", alias)], aa=aa)
    if referred:
        glue = [a("ns.cdn.net", ADDRESSES["provider"]), opt()]
        net.ask("local", "root", ALIAS, authority=[rr("cdn.net", "NS", "ns.cdn.net")], additional=glue)
    net.ask("local", answered_by, ALIAS, answer=[a(ALIAS, EU, 2)], aa=1)
    net.answer(outer, [rr(NAME, "CNAME", ALIAS), a(ALIAS, told_later, 2)], ra=1)
    return net.at("local")


def test_the_providers_cname_leads_to_the_cdns_name_server() -> None:
    verdict = said(
        decide_alias_to_cdn(lookup(), NAME, ALIAS, {**ROLES, "root": ADDRESSES["root"]}),
        "shown",
        "root, provider, root, cdn",
    )
    assert len(verdict.frames) == 5


@pytest.mark.parametrize(
    ("how", "part"),
    [
        ({"cname_from": "com"}, "not from the provider's own"),
        ({"aa": 0}, "without authority"),
        ({"alias": "www.elsewhere.net"}, "leads to www.elsewhere.net."),
        ({"answered_by": "other"}, "not by the CDN's name server"),
        ({"told_later": AP}, f"The client gets {AP}"),
    ],
)
def test_another_way_contradicts_c4(how: dict[str, str | int], part: str) -> None:
    said(decide_alias_to_cdn(lookup(**how), NAME, ALIAS, ROLES), "failed", part)  # type: ignore[arg-type]


def test_a_name_that_is_no_alias_contradicts_c4() -> None:
    net = Net()
    outer = net.query("client", "local", NAME)
    net.ask("local", "example", NAME, answer=[a(NAME, EU)], aa=1)
    net.answer(outer, [a(NAME, EU)], ra=1)
    said(
        decide_alias_to_cdn(net.at("local"), NAME, ALIAS, ROLES),
        "failed",
        "No answer has a CNAME record of www.example.com.",
    )


def test_what_is_known_already_leaves_c4_undecided() -> None:
    said(
        decide_alias_to_cdn(lookup(referred=False), NAME, ALIAS, ROLES),
        "undecided",
        "The capture has no referral to the CDN's name server: it was cached already",
    )
    net = Net()
    net.ask("client", "local", NAME, answer=[rr(NAME, "CNAME", ALIAS), a(ALIAS, EU)], ra=1)
    said(
        decide_alias_to_cdn(net.at("local"), NAME, ALIAS, ROLES),
        "undecided",
        "The local name server had www.example.com",
    )
    said(decide_alias_to_cdn(net.at("local", dropped=1), NAME, ALIAS, ROLES), "undecided", "dropped 1")
    said(decide_alias_to_cdn(lookup(), "www.other.com", ALIAS, ROLES), "undecided", "gets no query for")
