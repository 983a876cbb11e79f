"""W3, W4, W5 and W7: each has traffic that shows it, traffic that contradicts it and traffic that decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from lab7.experiments.cache.claims import validation
from lab7.experiments.cache.wire.legs import Legs, Span
from lab7.experiments.harness.judge.frames import Connection, connections
from lab7.experiments.harness.judge.verdict import Verdict
from tests.core.experiments.cache.claims.cache_wire import (
    FIRST,
    FORWARD_PORT,
    ONE,
    ORIGIN,
    PROXY,
    SECOND,
    TWO,
    Campus,
    Upstream,
    conditions,
    fetched,
    not_modified,
    replaced,
    validators,
)
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.harness.wire import INTERFACE, Tcp, request, response

Claim = Callable[[Legs, list[Span]], Verdict]
# What the origin holds: of /a first one, then the other.
OBJECTS = {b"/a": (b"old", b"new"), b"/b": (b"other",)}


def w4(legs: Legs, spans: list[Span]) -> Verdict:
    return validation.decide_not_modified(legs, spans, OBJECTS)


def w5(legs: Legs, changed: list[Span], again: list[Span]) -> Verdict:
    return validation.decide_replaced_copy(legs, changed, again, OBJECTS)


def stored(campus: Campus) -> Campus:
    campus.ask("/a", fetched())
    campus.ask("/b", fetched(b"other", SECOND), b"other")
    return campus


def stale(campus: Campus, upstream: Upstream | None, gets: bytes = b"old") -> list[Span]:
    """A copy is stored, and asked for when it is stale."""
    stored(campus)
    return [campus.ask("/a", upstream, gets)]


@pytest.mark.parametrize("claim", [validation.decide_conditional_requests, w4])
def test_a_stale_copy_is_validated(claim: Claim, tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, not_modified())
    verdict = said(claim(campus.legs(tmp_path), spans), "shown")
    assert verdict.frames


def test_w3_names_the_dates_and_where_they_are(tmp_path: Path) -> None:
    campus = Campus()
    spans = [*stale(campus, not_modified()), campus.ask("/b", not_modified(SECOND), b"other")]
    verdict = validation.decide_conditional_requests(campus.legs(tmp_path), spans)
    said(verdict, "shown", FIRST[0], "2 requests", "and 2 also have If-None-Match with the ETag")
    stored_in, asked_in, *_ = verdict.frames
    assert f"Last-Modified of frame {stored_in}" in verdict.evidence
    assert f"in frame {asked_in}" in verdict.evidence


@pytest.mark.parametrize(
    ("asks", "word"),
    [
        (conditions(SECOND), "failed"),
        (["If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT"], "failed"),
        (["If-Modified-Since: " + FIRST[0], 'If-None-Match: "three"'], "failed"),
        ([], "failed"),
        (["If-None-Match: " + FIRST[1]], "undecided"),
        (["If-Modified-Since: " + FIRST[0]], "shown"),
    ],
)
def test_w3_wants_the_stored_validators(asks: list[str], word: str, tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, Upstream(asks, 304, (), b""))
    said(validation.decide_conditional_requests(campus.legs(tmp_path), spans), word)


def test_w3_knows_the_validators_that_a_304_has_brought(tmp_path: Path) -> None:
    campus = Campus()
    stale(campus, Upstream(conditions(FIRST), 304, validators(SECOND), b""))
    again = [campus.ask("/a", not_modified(SECOND))]
    said(validation.decide_conditional_requests(campus.legs(tmp_path), again), "shown", SECOND[0])
    before = [campus.ask("/a", not_modified(FIRST))]
    said(validation.decide_conditional_requests(campus.legs(tmp_path), before), "failed", FIRST[0], SECOND[0])


def test_w3_fails_if_a_stale_copy_is_given_away_unasked(tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, None)
    said(
        validation.decide_conditional_requests(campus.legs(tmp_path), spans),
        "failed",
        "without a request to the origin",
    )


@pytest.mark.parametrize("claim", [validation.decide_conditional_requests, w4])
def test_nothing_stored_decides_nothing(claim: Claim, tmp_path: Path) -> None:
    campus = Campus()
    spans = [campus.ask("/a", fetched())]
    said(claim(campus.legs(tmp_path), spans), "undecided")
    said(claim(campus.legs(tmp_path), []), "undecided")


def test_w4_compares_what_the_client_gets_with_the_stored_copy(tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, not_modified(), gets=b"odd")
    said(w4(campus.legs(tmp_path), spans), "failed", "SHA-256")


def test_w4_fails_on_a_whole_response_to_a_condition_that_holds_no_more(tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, Upstream(conditions(FIRST), 200, validators(FIRST), b"old"))
    said(w4(campus.legs(tmp_path), spans), "failed", "but the origin sends 200 in frame 27, not 304")


def test_w4_fails_on_a_304_with_a_body(tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, Upstream(conditions(FIRST), 304, (), b"a body"))
    said(w4(campus.legs(tmp_path), spans), "failed", "further octets")
    campus.ask("/b", fetched(b"other"), b"other")
    said(w4(campus.legs(tmp_path), spans), "failed", "not a status line")


def test_w4_says_nothing_of_a_cache_that_asks_unconditionally(tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, fetched())
    said(w4(campus.legs(tmp_path), spans), "undecided")


def changed(campus: Campus, upstream: Upstream | None = None, gets: bytes = b"new") -> list[Span]:
    return stale(campus, upstream or replaced(), gets)


def test_w5_follows_the_new_copy_to_the_next_client(tmp_path: Path) -> None:
    campus = Campus()
    spans, again = changed(campus), [campus.ask("/a", None, b"new", TWO)]
    said(w5(campus.legs(tmp_path), spans, again), "shown", SECOND[0], "1 changed")


@pytest.mark.parametrize(
    ("upstream", "gets", "evidence"),
    [
        (replaced(), b"old", "not the body of frame"),
        (replaced(b"old"), b"old", "without the new body"),
        (not_modified(), b"old", "but frame 27 has 304 without the new body"),
        (replaced(those=FIRST), b"new", "does not have a later Last-Modified than frame"),
        (replaced(those=("yesterday", '"two"')), b"new", "” is not a valid date"),
    ],
)
def test_w5_fails_if_the_new_copy_does_not_come_through(
    upstream: Upstream, gets: bytes, evidence: str, tmp_path: Path
) -> None:
    campus = Campus()
    spans, again = changed(campus, upstream, gets), [campus.ask("/a", None, b"new", TWO)]
    said(w5(campus.legs(tmp_path), spans, again), "failed", evidence)


def test_w5_fails_if_a_stale_copy_is_given_away_unasked(tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, None, b"old")
    said(w5(campus.legs(tmp_path), spans, []), "failed", "comes from the cache")


def test_w5_fails_if_the_next_client_gets_the_old_copy(tmp_path: Path) -> None:
    campus = Campus()
    spans, again = changed(campus), [campus.ask("/a", None, b"old", TWO)]
    said(w5(campus.legs(tmp_path), spans, again), "failed", "not the new copy")


def test_w5_is_undecided_if_the_new_copy_is_not_kept_or_not_asked_for(tmp_path: Path) -> None:
    campus = Campus()
    spans, again = changed(campus), [campus.ask("/a", replaced(), b"new", TWO)]
    legs = campus.legs(tmp_path)
    said(w5(legs, spans, again), "undecided", "requests it from the origin again")
    said(w5(legs, spans, []), "undecided")
    said(w5(legs, [], again), "undecided")


def on_link(campus: Campus, folder: Path) -> list[Connection]:
    """What crosses the access link: every connection to the origin."""
    every = connections(campus.wire.capture(folder).at(INTERFACE))
    return [one for one in every if one.server.address == ORIGIN]


def test_w7_sees_the_proxy_in_both_parts(tmp_path: Path) -> None:
    campus = stored(Campus())
    verdict = validation.decide_both_roles(campus.legs(tmp_path), on_link(campus, tmp_path), PROXY, ORIGIN)
    said(
        verdict,
        "shown",
        "accepts 2 connections",
        f"{PROXY} opens 1 to {ORIGIN}:80",
        "GET http://www.example.com/a",
    )
    assert len(verdict.frames) == 3


def test_w7_fails_if_a_client_goes_past_the_cache(tmp_path: Path) -> None:
    campus = stored(Campus())
    campus.pass_by()
    verdict = validation.decide_both_roles(campus.legs(tmp_path), on_link(campus, tmp_path), PROXY, ORIGIN)
    said(verdict, "failed", "crosses the access link from 10.7.0.1")


def test_w7_fails_if_the_origin_is_never_asked(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", None)
    said(
        validation.decide_both_roles(campus.legs(tmp_path), [], PROXY, ORIGIN),
        "failed",
        "is answered, but no request crosses the access link",
    )


def test_w7_is_undecided_if_the_origin_is_asked_on_a_connection_of_before(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", fetched())
    opens = [number for number, (_, octets) in enumerate(campus.wire.packets) if is_syn(octets, 80)]
    del campus.wire.packets[opens[0]]
    said(validation.decide_both_roles(campus.legs(tmp_path), [], PROXY, ORIGIN), "undecided", "no HTTP connection")


def is_syn(octets: bytes, port: int) -> bool:
    packet = Ether(octets)
    return bool(packet[TCP].dport == port and packet[TCP].flags == "S")


def test_w7_fails_if_octets_are_relayed_as_in_a_tunnel(tmp_path: Path) -> None:
    campus = stored(Campus())
    asked, got = request("/c", "1.1"), response(b"old", "1.1")
    for client, server, port in ((ONE, PROXY, FORWARD_PORT), (PROXY, ORIGIN, 80)):
        tcp = Tcp(campus.wire, port=52000, server_port=port, client_address=client, server_address=server).open(1)
        tcp.client("PA", asked).server("PA", got).close()
    verdict = validation.decide_both_roles(campus.legs(tmp_path), on_link(campus, tmp_path), PROXY, ORIGIN)
    said(verdict, "failed", "carry the same octets in both directions, as a tunnel does")
    assert len(verdict.frames) == 2


def test_w7_fails_if_the_origin_is_asked_as_a_proxy_is(tmp_path: Path) -> None:
    campus = stored(Campus())
    campus.forward("http://www.example.com/a", fetched())
    verdict = validation.decide_both_roles(campus.legs(tmp_path), on_link(campus, tmp_path), PROXY, ORIGIN)
    said(verdict, "failed", "which is the form for a proxy")


def test_w3_fails_if_one_of_several_stale_copies_is_given_away_unasked(tmp_path: Path) -> None:
    campus = Campus()
    spans = [*stale(campus, not_modified()), campus.ask("/b", None, b"other")]
    said(
        validation.decide_conditional_requests(campus.legs(tmp_path), spans),
        "failed",
        "/b gets a response in frame",
        "without a request",
    )


def test_w3_fails_if_all_is_answered_without_the_origin(tmp_path: Path) -> None:
    campus = Campus()
    spans = [campus.ask("/a", None, b"made up"), campus.ask("/a", None, b"made up")]
    legs = campus.legs(tmp_path)
    said(validation.decide_conditional_requests(legs, spans), "failed", "without a request to the origin")
    said(w4(legs, spans), "undecided", "No conditional request reaches the origin for a copy that has not changed")
    said(w5(legs, spans, []), "failed", "comes from the cache")


@pytest.mark.parametrize("status", [304, 404])
def test_w4_fails_if_the_client_gets_another_status(status: int, tmp_path: Path) -> None:
    campus = stored(Campus())
    spans = [campus.ask("/a", not_modified(), b"" if status == 304 else b"old", status=status)]
    said(w4(campus.legs(tmp_path), spans), "failed", f"the client gets {status}")


def test_w4_fails_if_the_stored_copy_was_never_the_origins_object(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", fetched(b"odd"), b"odd")
    spans = [campus.ask("/a", not_modified(), b"odd")]
    said(w4(campus.legs(tmp_path), spans), "failed", "is not a version of")


def test_w4_and_w5_fail_if_a_copy_comes_with_the_validators_of_another(tmp_path: Path) -> None:
    campus = stored(Campus())
    spans = [campus.ask("/a", not_modified(), says=validators(SECOND))]
    said(w4(campus.legs(tmp_path), spans), "failed", f"the client gets last-modified “{SECOND[0]}”")
    spans = [campus.ask("/a", replaced(), b"new", says=validators(SECOND))]
    again = [campus.ask("/a", None, b"new", TWO, says=[f"ETag: {FIRST[1]}"])]
    said(w5(campus.legs(tmp_path), spans, again), "failed", "the client gets etag")
    weak = [campus.ask("/a", None, b"new", TWO, says=[f"ETag: W/{SECOND[1]}"])]
    said(w5(campus.legs(tmp_path), spans, weak), "shown")


def test_w5_fails_if_the_origin_sends_what_it_does_not_hold(tmp_path: Path) -> None:
    campus = Campus()
    spans = changed(campus, replaced(b"odd"), b"odd")
    said(w5(campus.legs(tmp_path), spans, []), "failed", "The 200 in frame 27 does not have the current version of /a")


@pytest.mark.parametrize("claim", [validation.decide_conditional_requests, w4])
def test_a_capture_that_dropped_or_has_a_hole_decides_nothing(claim: Claim, tmp_path: Path) -> None:
    campus = Campus()
    spans = stale(campus, not_modified())
    said(claim(campus.legs(tmp_path, dropped=2), spans), "undecided", "dropped 2")
    lose_one(campus.wire)
    said(claim(campus.legs(tmp_path), spans), "undecided", "is incomplete")
