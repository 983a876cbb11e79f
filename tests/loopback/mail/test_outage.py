"""Remote delivery: MX routing, servers that are down, reject or lose mail, and the resulting bounces."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.ports import free_port
from tests.loopback.dns.authority import served
from tests.loopback.mail.support import HOST, ScriptedServer, Server, mta, wait_until

ZONE = """$ORIGIN example.com.
$TTL 1h
@         SOA   ns hostmaster ( 1 1d 2h 4w 5m )
          NS    ns
ns        A     127.0.0.1
up        A     127.0.0.1
silent    A     127.0.0.3
two       MX    10 silent
two       MX    20 up
plain     A     127.0.0.1
null      MX    0 .
alias     CNAME two
none      TXT   "nobody"
loop      MX    10 mx.test
loop      MX    20 up
"""
SENDER = "alice@here.test"


@contextmanager
def sender(folder: Path, port: int, *flags: str, retry: str = "0.2,0.4") -> Iterator[Server]:
    """Run the MTA of here.test, which sends to `port` of the hosts of the zone above."""
    folder.mkdir(exist_ok=True)
    (folder / "zone").mkdir(exist_ok=True)
    with served(folder / "zone", zone=ZONE) as dns:
        fixed = ["--resolver", f"{HOST}:{dns}", "--remote-port", str(port), "--relay-from", "127.0.0.0/8"]
        fixed += ["--hostname", "mx.test.example.com", "--retry", retry, "--connect-timeout", "2"]
        with mta(folder / "sender", *fixed, *flags, domain="here.test") as made:
            yield made


def submit(server: Server, *recipients: str, text: str = "hello", reverse_path: str = SENDER) -> None:
    with server.client() as client:
        client.sendmail(reverse_path, recipients, f"Subject: {text}\r\n\r\n{text}\r\n")


def reports(server: Server) -> list[str]:
    """Return the status part of each bounce in alice's mailbox, as text."""
    found = []
    for message in server.messages("alice", "here.test"):
        assert message["Return-Path"] == "<>"
        parts = list(message.walk())
        found.append("\n".join(str(part) for part in parts if part.get_content_type() == "message/delivery-status"))
    return found


def bounce(server: Server) -> str:
    wait_until(lambda: len(reports(server)) > 0)
    wait_until(lambda: server.queued() == "")
    (report,) = reports(server)
    return report


@pytest.mark.parametrize("domain", ["two", "alias", "plain"])
def test_mail_goes_to_the_next_host_that_takes_it(tmp_path: Path, domain: str) -> None:
    name = f"{domain}.example.com"
    with mta(tmp_path / "receiver", domain=name) as receiver, sender(tmp_path, receiver.port) as here:
        submit(here, f"bob@{name}")
        (message,) = receiver.wait_for("bob", 1)
        assert len(message.get_all("Received") or []) == 2
        wait_until(lambda: here.queued() == "")


@pytest.mark.parametrize(("offered", "protocol"), [(("--tls",), "ESMTPS"), ((), "ESMTP")])
def test_tls_is_used_where_it_is_offered(tmp_path: Path, offered: tuple[str, ...], protocol: str) -> None:
    with (
        mta(tmp_path / "receiver", *offered, domain="plain.example.com") as receiver,
        sender(tmp_path, receiver.port, "--remote-tls") as here,
    ):
        submit(here, "bob@plain.example.com", "alice@plain.example.com")
        (message,) = receiver.wait_for("bob", 1)
        assert f"with {protocol} id" in (message.get_all("Received") or [])[0]
        wait_until(lambda: here.queued() == "")


def test_several_messages_share_a_connection(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        mta(tmp_path / "receiver", domain="plain.example.com") as receiver,
        sender(tmp_path, receiver.port, "--log", str(log)) as here,
    ):
        for number in range(10):
            submit(here, "bob@plain.example.com", text=f"number {number}")
        receiver.stop()
        for number in range(30):
            submit(here, "bob@plain.example.com", text=f"later {number}")
        receiver.start()
        receiver.wait_for("bob", 40)
        wait_until(lambda: here.queued() == "")
        assert len(receiver.messages("bob")) == 40
    assert log.read_text().count('"connected"') < 40


@pytest.mark.parametrize(("flags", "connections"), [((), 1), (("--remote-messages", "2"), 3)])
def test_a_connection_has_as_many_messages_as_it_may_have(
    tmp_path: Path, flags: tuple[str, ...], connections: int
) -> None:
    log, port = tmp_path / "log", free_port()
    with sender(tmp_path, port, "--log", str(log), "--remote-connections", "1", *flags) as here:
        for number in range(6):
            submit(here, "bob@plain.example.com", text=f"number {number}")
        receiver = Server(tmp_path, "plain.example.com", port=port).start()
        try:
            receiver.wait_for("bob", 6)
            wait_until(lambda: here.queued() == "")
        finally:
            receiver.stop()
    assert log.read_text().count('"connected"') == connections


@pytest.mark.parametrize(
    ("recipient", "status"),
    [
        ("bob@null.example.com", "5.1.10"),
        ("bob@missing.example.com", "5.1.2"),
        ("bob@none.example.com", "5.4.4"),
        ("nobody@plain.example.com", "5.1.1"),
    ],
)
def test_what_can_never_arrive_comes_back(tmp_path: Path, recipient: str, status: str) -> None:
    with mta(tmp_path / "receiver", domain="plain.example.com") as receiver, sender(tmp_path, receiver.port) as here:
        submit(here, recipient, "bob@plain.example.com")
        report = bounce(here)
        assert f"Final-Recipient: rfc822; {recipient}" in report
        assert "Action: failed" in report
        assert f"Status: {status}" in report
        assert "bob@plain" not in report
        receiver.wait_for("bob", 1)


def test_a_server_that_is_down_for_good_is_given_up(tmp_path: Path) -> None:
    with sender(tmp_path, free_port(), "--expire", "1.5") as here:
        submit(here, "bob@plain.example.com")
        wait_until(lambda: '"tries": 2' in here.queued())
        assert "Status: 4.4.1" in bounce(here)


def test_a_server_that_comes_back_gets_its_mail_even_if_the_sender_was_killed(tmp_path: Path) -> None:
    port = free_port()
    with sender(tmp_path, port, retry="0.3") as here:
        for number in range(20):
            submit(here, "bob@plain.example.com", text=f"number {number}")
        here.kill()
        assert len(here.queued().splitlines()) == 20
        here.start()
        receiver = Server(tmp_path, "plain.example.com", port=port).start()
        try:
            messages = receiver.wait_for("bob", 20)
            assert sorted(message["Subject"] for message in messages) == sorted(f"number {n}" for n in range(20))
        finally:
            receiver.stop()
        wait_until(lambda: here.queued() == "")


def test_a_refusal_for_now_is_tried_again(tmp_path: Path) -> None:
    with (
        mta(tmp_path / "receiver", "--greylist", "1", domain="plain.example.com") as receiver,
        sender(tmp_path, receiver.port, retry="0.4") as here,
    ):
        submit(here, "bob@plain.example.com")
        wait_until(lambda: "450 4.7.1" in here.queued())
        receiver.wait_for("bob", 1)
        wait_until(lambda: here.queued() == "")


def test_a_bounce_is_never_bounced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with sender(tmp_path, free_port(), "--log", str(log)) as here:
        submit(here, "bob@null.example.com", reverse_path="")
        wait_until(lambda: '"dropped"' in log.read_text())
        submit(here, "bob@null.example.com", reverse_path="nobody@here.test")
        wait_until(lambda: log.read_text().count('"dropped"') == 2)
        assert here.queued() == ""


def test_every_way_in_which_a_session_may_break_is_survived(tmp_path: Path) -> None:
    replies = ["220 x", "250 x", "250 ok", "250 ok", "354 go"]
    for count in range(len(replies) + 1):
        end = [*replies[:count], "421 4.3.2 closing!"] if count < 5 else [*replies, "hello?"]
        with ScriptedServer(end) as peer, sender(tmp_path / str(count), peer.port) as here:
            submit(here, "bob@plain.example.com")
            wait_until(lambda: '"tries": 1' in here.queued() or '"tries": 2' in here.queued())
            here.kill()


def test_a_server_that_never_hangs_up_keeps_the_next_message_from_nobody(tmp_path: Path) -> None:
    replies = ["220 x", "250 x", "250 ok", "250 ok", "354 go", "250 ok", "221 bye"]
    with ScriptedServer(replies) as peer, sender(tmp_path, peer.port, "--remote-messages", "1") as here:
        submit(here, "bob@plain.example.com")
        submit(here, "bob@plain.example.com")
        wait_until(lambda: here.queued() == "")
        assert [lines.count("QUIT") for lines in peer.heard] == [1, 1]


def test_a_smarthost_takes_everything(tmp_path: Path) -> None:
    with mta(tmp_path / "gateway", domain="any.test") as gateway:
        flags = ("--smarthost", f"{HOST}:{gateway.port}", "--relay-from", "127.0.0.1")
        with mta(tmp_path / "here", *flags) as here:
            submit(here, "bob@any.test")
            gateway.wait_for("bob", 1)


def test_a_stranger_gets_nothing_through(tmp_path: Path) -> None:
    with mta(tmp_path / "here") as here, socket.create_connection((HOST, here.port)) as peer:
        peer.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n")
        octets = b""
        while piece := peer.recv(4096):
            octets += piece
        assert b"\r\n550 5.7.1 " in octets
        assert octets.endswith(b"closing\r\n")
