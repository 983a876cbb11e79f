"""A connection that is silent for a time: kept, closed at the time-out, or kept on one hop and closed on the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.http.claims.keep_alive import (
    decide_idle_connection_kept,
    decide_idle_timeout,
    decide_independent_hops,
)
from lab7.experiments.http.wire.page_load import PageLoad
from tests.core.experiments.harness.wire import Tcp, Wire, request
from tests.core.experiments.http.pages import RTT_MS, answer, files_of, load

PAUSE_S, TIMEOUT_S = 600.0, 300.0
FILES = files_of(("/",))


def ask(tcp: Tcp) -> None:
    tcp.client("PA", request("/", "1.1"))
    tcp.wire.after(RTT_MS)
    answer(tcp, "/", "1.1")


def on_one_connection(folder: Path, pause_s: float = PAUSE_S, octets_at_s: float | None = None) -> PageLoad:
    wire = Wire()
    tcp = Tcp(wire).open(RTT_MS)
    ask(tcp)
    if octets_at_s is not None:
        wire.after(octets_at_s * 1e3)
        tcp.server("PA", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        pause_s -= octets_at_s
    wire.after(pause_s * 1e3)
    ask(tcp)
    tcp.client("FA").server("FA")
    return load(wire, folder, files=FILES)


def on_two_connections(
    folder: Path, fin_s: float | None = TIMEOUT_S, pause_s: float = PAUSE_S, client_first: bool = False
) -> PageLoad:
    wire = Wire()
    first, second = Tcp(wire, port=40000), Tcp(wire, port=40001)
    first.open(RTT_MS)
    ask(first)
    if fin_s is not None:
        wire.after(fin_s * 1e3)
        if client_first:
            first.client("FA")
        first.server("FA")
    wire.after((pause_s - (fin_s or 0)) * 1e3)
    first.client("FA")
    second.open(RTT_MS)
    ask(second)
    return load(wire, folder, files=FILES)


def test_a_connection_that_is_kept_carries_both_requests(tmp_path: Path) -> None:
    verdict = decide_idle_connection_kept([on_one_connection(tmp_path)], PAUSE_S)
    assert verdict.verdict == "shown"
    assert "600 s apart" in verdict.evidence


def test_a_server_that_closes_does_not_keep_the_connection(tmp_path: Path) -> None:
    verdict = decide_idle_connection_kept([on_two_connections(tmp_path)], PAUSE_S)
    assert verdict.verdict == "failed"
    assert "2 connections" in verdict.evidence


def test_octets_in_between_are_no_silence(tmp_path: Path) -> None:
    assert decide_idle_connection_kept([on_one_connection(tmp_path, octets_at_s=10)], PAUSE_S).verdict == "failed"


def test_a_client_that_does_not_wait_shows_nothing_of_silence(tmp_path: Path) -> None:
    verdict = decide_idle_connection_kept([on_one_connection(tmp_path, pause_s=1)], PAUSE_S)
    assert verdict.verdict == "failed"
    assert "not 600 s" in verdict.evidence


@pytest.mark.parametrize("late_s", [0.0, 0.5])
def test_a_server_closes_at_its_time_out(tmp_path: Path, late_s: float) -> None:
    verdict = decide_idle_timeout([on_two_connections(tmp_path, TIMEOUT_S + late_s)], PAUSE_S, TIMEOUT_S)
    assert verdict.verdict == "shown"
    assert f"{TIMEOUT_S + late_s:.1f} s after its response" in verdict.evidence


@pytest.mark.parametrize("fin_s", [100.0, 302.0])
def test_a_server_that_closes_at_another_time_does_not_obey_its_time_out(tmp_path: Path, fin_s: float) -> None:
    verdict = decide_idle_timeout([on_two_connections(tmp_path, fin_s)], PAUSE_S, TIMEOUT_S)
    assert verdict.verdict == "failed"
    assert "not after the time-out of 300 s" in verdict.evidence


@pytest.mark.parametrize("folder", ["no fin", "the client's first", "kept"])
def test_a_connection_that_its_server_does_not_close_first_fails(tmp_path: Path, folder: str) -> None:
    found = {
        "no fin": lambda: on_two_connections(tmp_path, None),
        "the client's first": lambda: on_two_connections(tmp_path, client_first=True),
        "kept": lambda: on_one_connection(tmp_path),
    }[folder]()
    assert decide_idle_timeout([found], PAUSE_S, TIMEOUT_S).verdict == "failed"


def test_a_proxys_two_connections_are_kept_and_closed_each_by_itself(tmp_path: Path) -> None:
    at_client = on_one_connection(tmp_path)
    # What the proxy's interface sees of the origin at the same time, its request a moment behind the client's.
    assert (
        decide_independent_hops([at_client], [on_two_connections(tmp_path, 60.0, PAUSE_S + 0.1)], PAUSE_S).verdict
        == "shown"
    )


def test_a_proxy_that_opens_its_connection_before_it_is_asked_fails(tmp_path: Path) -> None:
    at_client = on_one_connection(tmp_path)
    verdict = decide_independent_hops([at_client], [on_two_connections(tmp_path, 60.0, PAUSE_S - 100)], PAUSE_S)
    assert verdict.verdict == "failed"
    assert "precedes the second request" in verdict.evidence


def test_a_proxy_whose_connection_is_kept_as_well_fails(tmp_path: Path) -> None:
    kept = on_one_connection(tmp_path)
    assert decide_independent_hops([kept], [kept], PAUSE_S).verdict == "failed"


def test_a_capture_with_drops_says_nothing(tmp_path: Path) -> None:
    whole = on_one_connection(tmp_path)
    holed = PageLoad(whole.conversations, 3, FILES)
    assert {
        decide_idle_connection_kept([holed], PAUSE_S).verdict,
        decide_independent_hops([whole], [holed], PAUSE_S).verdict,
    } == {"undecided"}


def test_another_page_than_the_origins_is_not_what_was_asked_for(tmp_path: Path) -> None:
    found = on_one_connection(tmp_path)
    other = PageLoad(found.conversations, 0, {b"/": b"another"})
    assert decide_idle_connection_kept([other], PAUSE_S).verdict == "failed"
