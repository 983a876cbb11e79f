"""Waits of hosts, and who closes a connection, as read from captures of both ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.ladder.ladder import Ladder, ladder_of
from lab7.experiments.ladder.svg import render_svg
from lab7.experiments.ladder.text import render_mermaid, render_text
from tests.core.experiments.harness.wire import SERVER, Tcp, request, response
from tests.core.experiments.ladder.wire import DELAY_MS, Path2, page_load

RTT_MS = 2 * DELAY_MS


def drawn(folder: Path, path: Path2) -> Ladder:
    return ladder_of(path.capture(folder), with_tcp=True)


def waits(ladder: Ladder) -> list[tuple[str, float, str]]:
    return [(wait.host, wait.length_ns / 1e6, wait.cause) for wait in ladder.waits]


def opened(path: Path2) -> Tcp:
    """Return a connection whose SYN ACK and ACK leave when the segment before has arrived."""
    connection = Tcp(path).client("S")
    path.after(DELAY_MS)
    connection.server("SA")
    path.after(DELAY_MS)
    return connection.client("A")


def test_a_page_load_without_a_delay_of_a_host_has_no_wait(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/"))
    path.after(DELAY_MS)
    connection.server("PA", response())
    path.after(DELAY_MS)
    connection.client("FA")
    assert waits(drawn(tmp_path, path)) == []


def test_the_time_until_a_server_responds_is_its_wait(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/"))
    path.after(DELAY_MS + 5)
    # A bare acknowledgement in between is no event: the request is still not answered.
    connection.server("A")
    path.after(35)
    connection.server("PA", response())
    assert waits(drawn(tmp_path, path)) == [("server", 40.0, "until it responds")]


def test_a_pause_of_the_client_and_the_time_until_the_server_closes_are_idle(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path)
    for pause_ms in (300.0, 0.0):
        connection.client("PA", request("/", "1.1"))
        path.after(DELAY_MS)
        connection.server("PA", response(version="1.1"))
        path.after(DELAY_MS + pause_ms)
    path.after(-DELAY_MS + 1000)
    connection.server("FA")
    found = drawn(tmp_path, path)
    assert waits(found) == [("client", 300.0, "idle"), ("server", 1000.0, "idle, then it closes")]


def test_nagles_algorithm_and_the_delayed_acknowledgement_that_it_waits_for_are_named(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
    path.after(DELAY_MS + 40)
    connection.server("A")
    path.after(DELAY_MS)
    connection.client("PA", b"hello")
    found = drawn(tmp_path, path)
    assert waits(found) == [
        ("server", 40.0, "delayed acknowledgement"),
        ("client", RTT_MS + 40, "for the acknowledgement (Nagle)"),
    ]


def test_full_segments_that_an_acknowledgement_releases_wait_for_the_window(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/", "1.1"))
    path.after(DELAY_MS)
    octets = response(b"x" * 4000, "1.1")
    connection.server("A", octets[:1000])
    path.after(DELAY_MS)
    connection.client("A")
    path.after(DELAY_MS)
    connection.server("A", octets[1000:2000])
    assert ("server", RTT_MS, "for the window") in waits(drawn(tmp_path, path))


@pytest.mark.parametrize(
    ("duplicates", "cause"),
    [(0, "retransmission time-out"), (3, "fast retransmission, by duplicate acknowledgements")],
)
def test_a_segment_sent_again_has_its_cause(tmp_path: Path, duplicates: int, cause: str) -> None:
    path = Path2()
    connection = opened(path)
    path.lose = True
    connection.client("PA", request("/"))
    path.after(200)
    for _ in range(duplicates):
        connection.server("A")
    path.after(DELAY_MS)
    connection.sent -= len(request("/"))
    connection.client("PA", request("/"))
    path.after(DELAY_MS)
    connection.server("PA", response())
    assert waits(drawn(tmp_path, path)) == [("client", 200 + DELAY_MS, cause)]


def test_a_host_that_was_not_captured_has_no_waits_but_those_of_segments_sent_again(tmp_path: Path) -> None:
    path = Path2(interfaces=("eth0",))
    connection = opened(path).client("PA", request("/"))
    path.after(DELAY_MS + 40)
    connection.server("PA", response())
    path.after(300)
    connection.received -= len(response())
    connection.server("PA", response())
    assert waits(drawn(tmp_path, path)) == [(SERVER, 300.0, "retransmission time-out")]


def test_waits_are_in_every_form_of_the_ladder(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/"))
    path.after(DELAY_MS + 40)
    connection.server("PA", response())
    found = drawn(tmp_path, path)
    assert "40.000 ms until it responds</text>" in render_svg(found)
    lines = render_text(found).splitlines()
    place = next(number for number, line in enumerate(lines) if "200 OK" in line)
    assert "(40.000 ms until it responds)" in lines[place - 1]
    assert "Note over h1: 40.000 ms until it responds" in render_mermaid(found)


def test_a_wait_below_a_hundredth_of_the_time_is_not_drawn(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/"))
    path.after(DELAY_MS + 2)
    connection.server("PA", response())
    path.after(10_000)
    connection.client("PA", request("/"))
    shown = [wait.cause for some in drawn(tmp_path, path).noticeable_waits().values() for wait in some]
    assert shown == ["idle"]


def test_a_host_that_waits_for_a_response_is_not_idle(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/", "1.1"))
    path.after(DELAY_MS - 2)
    connection.client("PA", request("/2", "1.1"))
    path.after(DELAY_MS)
    connection.server("PA", response(version="1.1"))
    assert drawn(tmp_path, path).noticeable_waits() == {}


# Who closes.


def closes(ladder: Ladder) -> list[tuple[str, str]]:
    return [(ladder.columns[one.source], one.words) for one in ladder.arrows if one.closing]


def test_the_end_that_closes_first_is_named(tmp_path: Path) -> None:
    path = Path2()
    page_load(path)
    path.after(100)
    # The ports are used again.
    page_load(path, isn=77, server_isn=99)
    assert closes(drawn(tmp_path, path)) == 2 * [("server", "FIN ACK, closes first"), ("client", "FIN ACK, closes")]


def test_a_fin_with_the_last_message_is_named_there(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/"))
    path.after(DELAY_MS)
    connection.server("FPA", response())
    assert closes(drawn(tmp_path, path)) == [("server", "200 OK, 5 octets, closes first")]
    assert "closes" not in render_text(ladder_of(path.capture(tmp_path)))


def test_a_repeated_fin_counts_once_and_an_rst_aborts(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path)
    connection.server("FA")
    path.after(200)
    connection.received -= 1
    connection.server("FA")
    path.after(DELAY_MS)
    connection.client("RA")
    connection.client("R")
    assert closes(drawn(tmp_path, path)) == [("server", "FIN ACK, closes first"), ("client", "RST ACK, aborts")]


def test_a_long_label_keeps_who_closes(tmp_path: Path) -> None:
    path = Path2()
    connection = opened(path).client("PA", request("/" + 50 * "x"))
    path.after(DELAY_MS)
    connection.client("FPA", request("/" + 50 * "y"))
    (arrow,) = [one for one in drawn(tmp_path, path).arrows if one.closing]
    assert arrow.label_within(40).endswith("\N{HORIZONTAL ELLIPSIS}, closes first")
    assert len(arrow.label_within(40)) == 40
