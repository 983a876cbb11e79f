"""M3 and M4 with captures that show them and that contradict them: who opens, who sends, and by which protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.frames import connections
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.experiments.mail.claims.push_pull import Pull, Push, decide_push_and_pull
from lab7.experiments.mail.claims.webmail import Screen, Webmail, decide_webmail
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire, request, response
from tests.core.experiments.mail.smtp_wire import ALICE, BOB, HEADER, PLAIN, RECEIVER, SENDER, SmtpWire, whole

OBJECT, TOKEN = b"x" * 400, b"0f1e2d3c"
TEXT = b"It goes by " + TOKEN + b"."
LETTER = HEADER + b"\r\n" + TEXT + b"\r\n"


def load(wire: Wire, folder: Path, dropped: int = 0) -> PageLoad:
    folder.mkdir(parents=True, exist_ok=True)
    return page_load(wire.capture(folder, dropped), INTERFACE)


def pulled(folder: Path, payload: bytes = OBJECT, client: str = ALICE, line: bytes = b"") -> Pull:
    tcp = Tcp(Wire(), client_address=client, server_address=SENDER).open()
    tcp.client("PA", line or request("/object", "1.1"))
    tcp.wire.after(40)
    tcp.server("PA", response(payload, "1.1")).close()
    return Pull(load(tcp.wire, folder), OBJECT, ALICE)


def pushed(folder: Path, wire: SmtpWire | None = None) -> Push:
    return Push((wire or whole()).traffic(folder), PLAIN, SENDER, RECEIVER)


def test_m4_is_shown_by_who_opens_and_who_sends(tmp_path: Path) -> None:
    verdict = decide_push_and_pull([pulled(tmp_path / "pull")], [pushed(tmp_path / "push")])
    said(
        verdict,
        "shown",
        "HTTP pulls: 10.0.1.1 opens",
        "10.0.1.1 opens the connection (SYN in frame 1) and receives 400 octets",
        "10.0.1.25 connects to 10.0.2.25 (frame 1)",
        "ASCII",
    )
    assert len(verdict.frames) == 2


@pytest.mark.parametrize(
    ("pull", "push", "part"),
    [
        ({"payload": b"short"}, None, "No HTTP response contains the object (first connection: frame"),
        ({"client": BOB}, None, "not from 10.0.1.1, which requests the object"),
        (
            {"line": b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: " + b"y" * 900 + b"\r\n\r\n"},
            None,
            "octets on the connection of frame",
        ),
        ({}, whole(client=RECEIVER, server=SENDER), "not from 10.0.1.25, which has the message"),
        ({}, whole(server=BOB), "not to 10.0.2.25:25"),
        (
            {},
            whole(HEADER + b"\r\nSomething else.\r\n"),
            "No SMTP session carries the message unaltered (first session: frame",
        ),
        (
            {},
            whole(PLAIN.replace(b"Subject: hello", b"Subject: other")),
            "No SMTP session carries the message unaltered (first session: frame",
        ),
        ({}, whole(server_port=26), "no SMTP session in the capture"),
    ],
)
def test_m4_fails_where_packets_contradict_it(
    tmp_path: Path, pull: dict[str, bytes], push: SmtpWire | None, part: str
) -> None:
    verdict = decide_push_and_pull([pulled(tmp_path / "pull", **pull)], [pushed(tmp_path / "push", push)])  # type: ignore[arg-type]
    said(verdict, "undecided" if "capture" in part else "failed", part)


def test_m4_is_undecided_on_a_capture_that_dropped(tmp_path: Path) -> None:
    good = pulled(tmp_path / "pull")
    lossy = Push(whole().traffic(tmp_path / "push", dropped=3), PLAIN, SENDER, RECEIVER)
    said(decide_push_and_pull([good], [lossy]), "undecided", "dropped 3 packets")
    said(
        decide_push_and_pull([replace(good, load=PageLoad(()))], [pushed(tmp_path / "again")]),
        "undecided",
        "no HTTP connection",
    )


def post(content: bytes) -> bytes:
    return b"POST /compose HTTP/1.1\r\nHost: mail\r\nContent-Length: %d\r\n\r\n" % len(content) + content


def screen(folder: Path, asked: bytes, answered: bytes, person: str, beside: int = 0) -> Screen:
    """What a person's interface saw: one exchange by HTTP, and a connection to another port where one is named."""
    tcp = Tcp(Wire(), client_address=person, server_address=SENDER).open()
    tcp.client("PA", asked)
    tcp.wire.after(40)
    tcp.server("PA", answered).close()
    if beside:
        tcp.wire.after(10)
        Tcp(tcp.wire, port=41234, server_port=beside, client_address=person, server_address=SENDER).open()
    folder.mkdir(parents=True, exist_ok=True)
    captured = tcp.wire.capture(folder)
    return Screen(connections(captured.at(INTERFACE)), page_load(captured, INTERFACE))


def webmail(folder: Path, between: SmtpWire | None = None, **other: Screen) -> Webmail:
    screens = {
        "writes": screen(folder / "writes", post(b"text=" + TOKEN), response(b"Sent.", "1.1"), ALICE),
        "reads": screen(folder / "reads", request("/message", "1.1"), response(b"<p>" + TEXT, "1.1"), BOB),
    } | other
    traffic = (between or whole(LETTER)).traffic(folder / "between")
    return Webmail(screens["writes"], traffic, screens["reads"], SENDER, RECEIVER, TOKEN, TEXT)


def test_m3_is_shown_by_http_to_the_people_and_smtp_between_the_servers(tmp_path: Path) -> None:
    verdict = decide_webmail(webmail(tmp_path))
    said(
        verdict,
        "shown",
        "The sender's browser submits the message in a POST (frame",
        "The server 10.0.1.25 relays it by SMTP to port 25 of 10.0.2.25 (SYN in frame 1",
        "The sender's browser submits the message in a POST (frame",
        "The browsers send 2 HTTP requests and use no mail protocol",
    )
    assert len(verdict.frames) == 4


@pytest.mark.parametrize("port", [25, 587, 110, 143])
def test_m3_fails_where_a_person_s_host_speaks_another_protocol(tmp_path: Path, port: int) -> None:
    reads = screen(tmp_path / "s", request("/m", "1.1"), response(TOKEN, "1.1"), BOB, beside=port)
    said(decide_webmail(webmail(tmp_path, reads=reads)), "failed", f"goes to port {port}")


def test_m3_fails_where_a_leg_does_not_carry_the_message(tmp_path: Path) -> None:
    refused = screen(tmp_path / "r", post(TOKEN), b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", ALICE)
    said(decide_webmail(webmail(tmp_path / "1", writes=refused)), "failed", "The POST in frame 4 is refused")
    said(
        decide_webmail(webmail(tmp_path / "2", between=whole())),
        "failed",
        "No SMTP session between the servers carries the message (first session: frame",
    )
    back = whole(LETTER, client=RECEIVER, server=SENDER)
    said(decide_webmail(webmail(tmp_path / "3", between=back)), "failed", "from 10.0.2.25 to 10.0.1.25")
    changed = whole(HEADER + b"\r\nIt went by " + TOKEN + b".\r\n")
    said(
        decide_webmail(webmail(tmp_path / "5", between=changed)),
        "failed",
        "does not contain the text that the sender wrote",
    )
    part = screen(tmp_path / "p", request("/m", "1.1"), response(b"<p>" + TOKEN, "1.1"), BOB)
    said(decide_webmail(webmail(tmp_path / "6", reads=part)), "failed", "No response contains the message")
    other = screen(tmp_path / "o", request("/m", "1.1"), response(b"<p>nothing", "1.1"), BOB)
    said(decide_webmail(webmail(tmp_path / "4", reads=other)), "failed", "No response contains the message")


def test_m3_is_undecided_where_nothing_was_written(tmp_path: Path) -> None:
    looks = screen(tmp_path / "l", request("/compose", "1.1"), response(b"<form>", "1.1"), ALICE)
    said(decide_webmail(webmail(tmp_path / "1", writes=looks)), "undecided", "No POST contains the message")
    nobody = Screen((), PageLoad(()))
    said(decide_webmail(webmail(tmp_path / "2", reads=nobody)), "undecided", "no HTTP connection")
