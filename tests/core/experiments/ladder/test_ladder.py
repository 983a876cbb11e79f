"""Ladders: the messages of each protocol with the times at both ends, in columns of the hosts that exchange them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.ladder.ladder import Arrow, Ladder, in_order, ladder_of
from tests.core.experiments.harness.wire import CLIENT, MS, SERVER, Tcp, Wire, request, response
from tests.core.experiments.http.http2_wire import pushed
from tests.core.experiments.ladder.dialogues import DIALOGUES
from tests.core.experiments.ladder.wire import CLIENT_AT, DELAY_MS, Path2, page_load, transcript

DELAY_NS = round(DELAY_MS * MS)


def ladder(tmp_path: Path, add: Callable[[Wire], object], wire: Wire | None = None, with_tcp: bool = False) -> Ladder:
    wire = Path2() if wire is None else wire
    add(wire)
    return ladder_of(wire.capture(tmp_path), with_tcp=with_tcp)


def labels(one: Ladder) -> list[str]:
    return [f"{'<' if arrow.target < arrow.source else '>'} {arrow.label}" for arrow in one.arrows]


EXPECTED = {
    "http1": [
        *("> GET /", "< 200 OK, 4,000 octets"),
        *("> GET /picture.png", "< 200 OK, 4,000 octets"),
        *("> GET /about.html", "< 200 OK, 4,000 octets"),
    ],
    "http2": [
        *("> GET / (stream 1)", "< 200, 50 octets (stream 1)"),
        *("> GET /a (stream 3)", "> GET /b (stream 5)"),
        *("< 200, 100 octets (stream 3)", "< 200, 100 octets (stream 5)"),
    ],
    "dns": [
        *("> www.example.com. A?", "< www.example.com. A 192.0.2.80"),
        *("> www.example.com. AAAA?", "< referral to example.com."),
        *("> www.example.com. A?", "< NXDOMAIN www.example.com. A"),
        *("> www.example.com. AAAA?",),
        *("> www.example.com. MX?", "< NODATA www.example.com. MX"),
    ],
    "smtp": [
        *("< 220 mail.example.com ESMTP ready",),
        *("> EHLO client.example.org", "< 250-mail.example.com greets you"),
        *("> MAIL FROM:<ann@example.org>", "< 250 2.1.0 Sender ok"),
        *("> RCPT TO:<bob@example.com>", "< 250 2.1.5 Recipient ok"),
        *("> DATA", "< 354 Go ahead", "> 35 octets of mail data", "< 250 2.0.0 Queued"),
        *("> QUIT", "< 221 2.0.0 Bye"),
    ],
    "pop3": [
        *("< +OK ready", "> USER bob", "< +OK", "> PASS secret", "< +OK 1 messages", "> LIST", "< +OK 1 messages"),
        *("> RETR 1", "< +OK 120 octets", "> DELE 9", "< -ERR no such message", "> QUIT", "< +OK bye"),
    ],
    "imap": [
        *("< * OK ready", "> a1 LOGIN bob secret", "< a1 OK logged in", "> a2 SELECT INBOX"),
        *("< * 1 EXISTS", "< * 0 RECENT", "< * FLAGS (\\Seen)", "< a2 OK [READ-WRITE] selected"),
        *("> a3 FETCH 1 (FLAGS)", "< * 1 FETCH (FLAGS (\\Seen))", "< a3 OK done"),
        *("> a4 LOGOUT", "< * BYE", "< a4 OK done"),
    ],
    "ftp": [
        *("< 220 ready", "> USER ann", "< 331 password please", "> PASS secret", "< 230 logged in"),
        *("> CWD pub", "< 250 changed", "> SIZE picture.png", "< 213 6000", "> QUIT", "< 221 bye"),
    ],
}


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_the_messages_of_each_protocol_are_arrows_between_the_hosts(tmp_path: Path, protocol: str) -> None:
    one = ladder(tmp_path, DIALOGUES[protocol])
    assert one.columns == ("client", "server")
    assert labels(one) == EXPECTED[protocol]
    assert {arrow.protocol for arrow in one.arrows} == {protocol.rstrip("12")}


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_one_captured_interface_gives_the_same_messages_between_addresses(tmp_path: Path, protocol: str) -> None:
    one = ladder(tmp_path, DIALOGUES[protocol], Wire())
    assert one.columns == (CLIENT, SERVER)
    assert labels(one) == EXPECTED[protocol]


@pytest.mark.parametrize("protocol", DIALOGUES)
def test_every_arrow_is_received_one_delay_after_it_was_sent(tmp_path: Path, protocol: str) -> None:
    one = ladder(tmp_path, DIALOGUES[protocol])
    for arrow in one.arrows:
        assert arrow.received_ns == arrow.sent_ns + DELAY_NS
        assert arrow.received_end_ns == arrow.sent_end_ns + DELAY_NS
        assert len(arrow.frames) == len(arrow.arrivals)
        assert not arrow.lost


def test_a_response_in_three_segments_is_as_thick_as_its_transmission(tmp_path: Path) -> None:
    one = ladder(tmp_path, page_load)
    response_arrow = one.arrows[1]
    assert len(response_arrow.frames) == 3
    assert response_arrow.sent_end_ns - response_arrow.sent_ns == 2 * MS


def test_the_frames_of_an_arrow_are_those_of_its_sender_and_its_receiver(tmp_path: Path) -> None:
    path = Path2()
    page_load(path)
    captured = path.capture(tmp_path)
    arrow = ladder_of(captured).arrows[0]
    interfaces = [captured.frames[number - 1].interface for number in (*arrow.frames, *arrow.arrivals)]
    assert interfaces == [CLIENT_AT, "server:server-eth0"]


def test_a_lost_query_is_an_arrow_without_arrival_and_its_repetition_arrives(tmp_path: Path) -> None:
    def lookup(wire: Wire) -> None:
        assert isinstance(wire, Path2)
        wire.lose = True
        DIALOGUES["dns"](wire)

    arrow = ladder(tmp_path, lookup).arrows[0]
    assert (arrow.lost, arrow.received_ns, arrow.arrivals) == (True, None, ())


def test_a_request_whose_first_copy_is_lost_arrives_with_its_second_copy(tmp_path: Path) -> None:
    def load(wire: Wire) -> None:
        assert isinstance(wire, Path2)
        connection = Tcp(wire).open(2 * DELAY_MS)
        wire.lose = True
        connection.client("PA", request("/"))
        connection.sent -= len(request("/"))
        wire.after(200)
        connection.client("PA", request("/"))
        wire.after(2 * DELAY_MS)
        connection.server("PA", response())

    one = ladder(tmp_path, load)
    first, second = one.arrows
    assert first.label == "GET /"
    assert first.received_ns == first.sent_ns + 200 * MS + DELAY_NS
    assert second.label == "200 OK, 5 octets"


def test_a_pushed_response_has_its_promise_before_it(tmp_path: Path) -> None:
    words = labels(ladder(tmp_path, pushed))
    assert "< PUSH GET /a (stream 2)" in words
    assert words.index("< PUSH GET /a (stream 2)") < words.index("< 200, 100 octets (stream 2)")


def test_the_control_frames_of_http2_are_arrows_of_the_connection(tmp_path: Path) -> None:
    one = ladder(tmp_path, DIALOGUES["http2"], with_tcp=True)
    assert [arrow.level for arrow in one.arrows if arrow.label == "SETTINGS"] == ["tcp"]


def test_octets_behind_a_gap_of_the_capture_are_shown(tmp_path: Path) -> None:
    wire = Wire()
    page_load(wire, ("/", "/picture.png"))
    del wire.packets[5]
    words = labels(ladder_of(wire.capture(tmp_path)))
    assert words[0] == "> GET /"
    assert words[-2:] == ["> GET /picture.png", "< 200 OK"]


def test_octets_of_an_unknown_protocol_are_data(tmp_path: Path) -> None:
    def talk(wire: Wire) -> None:
        connection = Tcp(wire, server_port=7777).open(2 * DELAY_MS)
        connection.client("PA", b"\x16\x03\x01hello")
        wire.after(2 * DELAY_MS)
        connection.server("PA", bytes(1400))
        connection.server("PA", bytes(600))

    assert labels(ladder(tmp_path, talk)) == ["> data, 8 octets", "< data, 2,000 octets"]


def test_octets_behind_a_violation_of_the_grammar_are_labelled_by_their_first_line(tmp_path: Path) -> None:
    def talk(wire: Wire) -> None:
        connection = Tcp(wire).open(2 * DELAY_MS)
        connection.client("PA", request("/", "1.1"))
        wire.after(2 * DELAY_MS)
        connection.server("PA", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\nbody")

    assert labels(ladder(tmp_path, talk)) == ["> GET /", "< 200 OK"]


def test_a_request_line_with_spaces_in_its_target_is_shown_and_the_messages_after_it(tmp_path: Path) -> None:
    def talk(wire: Wire) -> None:
        connection = Tcp(wire).open(2 * DELAY_MS)
        for octets in (request("  /cat /etc/passwd", "1.1"), request("/", "1.1")):
            connection.client("PA", octets)
            wire.after(2 * DELAY_MS)
            connection.server("PA", response(version="1.1"))
            wire.after(2 * DELAY_MS)

    assert labels(ladder(tmp_path, talk)) == ["> GET   /cat /etc/passwd", "< 200 OK", "> GET /", "< 200 OK"]


def session(port: int, lines: str) -> Callable[[Wire], object]:
    return lambda wire: transcript(wire, port, lines)


@pytest.mark.parametrize(
    ("port", "lines"),
    [
        (21, "S: 220 ready\nC: USER ann\nS: 331-one\ntwo\n331 three\nC: PASS secret\nS: what?\nC: QUIT\nS: 221 bye"),
        (25, "S: 220 ready\nC: EHLO a.example\nS: 250-one\n250 two\nC: NOOP\nS: what?\nC: QUIT\nS: 221 bye"),
        (143, "S: * OK ready\nC: a1 NOOP\nS: * 1 EXISTS\na1 OK done\nC: a2 NOOP\nS: what?\nC: a3 NOOP\nS: a3 OK done"),
    ],
)
def test_the_messages_before_and_after_a_malformed_reply_are_shown(tmp_path: Path, port: int, lines: str) -> None:
    shown = labels(ladder(tmp_path, session(port, lines)))
    marks = {"C": ">", "S": "<"}
    begun = [f"{marks[line[0]]} {line[3:]}" for line in lines.splitlines() if line[:3] in ("C: ", "S: ")]
    assert ("< a1 OK done" in shown) == (port == 143)
    assert [label for label in shown if label != "< a1 OK done"] == begun


def test_imap_commands_that_share_a_tag_have_their_completions_in_order(tmp_path: Path) -> None:
    lines = "S: * OK ready\nC: . CAPABILITY\nS: * CAPABILITY IMAP4rev1\n. OK done\nC: . STARTTLS\nS: . OK begin"
    shown = labels(ladder(tmp_path, session(143, lines)))
    assert shown[1:] == [
        "> . CAPABILITY",
        "< * CAPABILITY IMAP4rev1",
        "< . OK done",
        "> . STARTTLS",
        "< . OK begin",
    ]


def test_a_control_connection_that_is_no_longer_encrypted_shows_its_commands(tmp_path: Path) -> None:
    def talk(wire: Wire) -> None:
        connection = transcript(wire, 21, "S: 220 ready\nC: AUTH TLS\nS: 234 go ahead", closed=False)
        connection.client("PA", b"\x15\x03\x01" + bytes(32))
        connection.client("PA", b"PASV\r\n")
        wire.after(2 * DELAY_MS)
        connection.server("PA", b"227 Entering Passive Mode (10,0,2,1,4,5).\r\n")

    shown = labels(ladder(tmp_path, talk))
    assert shown[3:] == ["> data, 35 octets", "> PASV", "< 227 Entering Passive Mode (10,0,2,1,4,5)."]


def test_octets_before_the_first_octet_of_a_stream_are_a_probe_only_if_they_are_one(tmp_path: Path) -> None:
    def talk(wire: Wire) -> None:
        connection = Tcp(wire, server_port=7777).open(2 * DELAY_MS)
        connection.received = 0
        connection.server("A", b"x")
        wire.after(1)
        # The rest of an earlier connection between the same ports.
        connection.received = -9000
        connection.server("A", b"y" * 300)

    assert labels(ladder(tmp_path, talk, Wire())) == ["< data, 300 octets"]


@pytest.mark.parametrize("protocol", ["http1", "smtp", "pop3", "ftp"])
def test_a_capture_of_the_servers_packets_alone_shows_its_messages(tmp_path: Path, protocol: str) -> None:
    wire = Wire()
    DIALOGUES[protocol](wire)
    source = bytes(map(int, SERVER.split(".")))
    wire.packets = [packet for packet in wire.packets if packet[1][26:30] == source]
    one = ladder_of(wire.capture(tmp_path))
    assert one.arrows
    assert {one.columns[arrow.source] for arrow in one.arrows} == {SERVER}
    assert {arrow.protocol for arrow in one.arrows} == {protocol.rstrip("12")}


@pytest.mark.parametrize(
    ("skipped", "first"),
    [
        pytest.param(3, ["> GET /", "< 200 OK, 4,000 octets"], id="without the handshake"),
        pytest.param(4, ["< 200 OK"], id="without the first request"),
        pytest.param(6, ["< data, 1,158 octets"], id="within the first response"),
        pytest.param(7, [], id="after the first response"),
    ],
)
def test_a_capture_that_begins_within_a_connection_shows_the_messages_that_follow(
    tmp_path: Path, skipped: int, first: list[str]
) -> None:
    wire = Wire()
    DIALOGUES["http1"](wire)
    wire.packets = wire.packets[skipped:]
    assert labels(ladder_of(wire.capture(tmp_path))) == [*first, *EXPECTED["http1"][2:]]


def test_with_tcp_the_handshake_acknowledgements_and_close_are_arrows_too(tmp_path: Path) -> None:
    one = ladder(tmp_path, page_load, with_tcp=True)
    words = [(arrow.level, arrow.label) for arrow in one.arrows]
    assert words[:4] == [("tcp", "SYN"), ("tcp", "SYN ACK"), ("tcp", "ACK"), ("message", "GET /")]
    assert words[-2:] == [("tcp", "FIN ACK"), ("tcp", "FIN ACK")]


def arrow(source: int, target: int, sent_ns: int = 0, response: bool = False) -> Arrow:
    return Arrow(source, target, "http", "GET /", sent_ns, sent_ns, sent_ns, sent_ns, (1,), (1,), 1, response)


def test_a_part_of_a_ladder_has_only_the_columns_that_it_uses() -> None:
    whole = Ladder(("a", "b", "c"), (arrow(0, 1, 0), arrow(1, 2, 5), arrow(2, 1, 9)))
    part = whole.between(5, 9)
    assert part.columns == ("b", "c")
    assert [(one.source, one.target) for one in part.arrows] == [(0, 1), (1, 0)]


def test_a_capture_without_a_message_is_an_empty_ladder(tmp_path: Path) -> None:
    assert ladder(tmp_path, lambda wire: Tcp(wire).open()) == Ladder((), ())


def test_hosts_with_much_traffic_are_side_by_side_and_the_first_client_is_on_the_left() -> None:
    def between(source: int, target: int, count: int) -> list[Arrow]:
        return [Arrow(source, target, "http", "GET /", at, at, at, at, (1,), (2,), 40) for at in range(count)]

    names = ("client", "resolver", "origin", "cache")
    drawn = in_order(Ladder(names, (*between(0, 1, 1), *between(0, 3, 8), *between(3, 2, 8), *between(3, 1, 1))))
    assert drawn.columns == ("client", "cache", "origin", "resolver")
    assert [drawn.columns[arrow.source] for arrow in drawn.arrows[:2]] == ["client", "client"]


@pytest.mark.parametrize(
    ("fields", "label"),
    [
        (b"", "200 OK, 5 octets"),
        (b"Age: 7\r\n", "200 OK from a cache, 5 octets"),
        (b"Cache-Status: proxy; hit; ttl=5\r\nAge: 7\r\n", "200 OK from cache proxy, 5 octets"),
        (b'Cache-Status: far; fwd=uri-miss, "near; by"; hit\r\n', "200 OK from cache near; by, 5 octets"),
        (b'Cache-Status: "a; hit b"; fwd=uri-miss\r\n', "200 OK, 5 octets"),
        (b"Cache-Status: proxy; fwd=stale; fwd-status=304\r\nAge: 0\r\n", "200 OK, 5 octets"),
    ],
)
def test_a_response_of_a_cache_is_told(tmp_path: Path, fields: bytes, label: str) -> None:
    def talk(wire: Wire) -> None:
        connection = Tcp(wire).open()
        connection.client("PA", request("/", "1.1"))
        connection.server("PA", b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: 5\r\n\r\nhello")

    assert labels(ladder(tmp_path, talk))[-1] == f"< {label}"


@pytest.mark.parametrize(
    ("protocol", "response", "label", "short"),
    [
        ("http", True, "200 OK, 4,000 octets", "200 OK, 4,0…"),
        ("dns", False, "www.example.com. A?", "www.example…"),
        ("dns", True, "www.example.com. A 10.8.1.10", "…A 10.8.1.10"),
        ("dns", True, "referral to example.com.", "referral to…"),
        ("dns", True, "a. A 10.8.1.", "a. A 10.8.1."),
    ],
)
def test_a_label_is_shortened_so_that_the_answer_stays(protocol: str, response: bool, label: str, short: str) -> None:
    one = Arrow(0, 1, protocol, label, 0, 0, 1, 1, (1,), (2,), 40, response)
    assert one.label_within(12) == short


def test_equal_responses_of_a_capture_that_ends_on_the_way_arrive_after_they_left(tmp_path: Path) -> None:
    path = Path2()
    page_load(path, ("/", "/", "/"))
    captured = path.capture(tmp_path)
    # The last segment of the last response has left the server, but its copy at the client is not in the capture.
    last = max(frame.number for frame in captured.frames if frame.tcp is not None and frame.tcp.payload)
    found = ladder_of(replace(captured, frames=captured.frames[: last - 1]))
    times = [(arrow.sent_ns, arrow.received_end_ns) for arrow in found.arrows]
    assert len(times) == 6
    assert all(received_ns is None or received_ns >= sent_ns for sent_ns, received_ns in times)
    assert sum(received_ns is not None for _, received_ns in times) == 5
