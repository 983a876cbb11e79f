"""DSN requests (RFC 3461) at a running MTA: who reports on a delivery, and on which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.loopback.mail.support import HOST, ScriptedServer, Server, mta, wait_until
from tests.loopback.mail.test_bounces import MESSAGE, parsed

FAR = "bob@far.example"
EHLO = ("220 far", "250-far\r\n250 {}", "250 ok", "250 ok", "354 go", "250 2.0.0 taken", "221 bye!")


def submit(server: Server, recipient: str, *options: str, mail: tuple[str, ...] = ()) -> None:
    with server.client() as client:
        client.sendmail("alice@example.com", [recipient], MESSAGE, mail, options)


def reports(server: Server, count: int) -> list[tuple[str, str]]:
    """Wait for Alice's notifications; return (Final-Recipient, Action) of each."""
    found = []
    for message in server.wait_for("alice", count):
        (status,) = (part for part in message.walk() if part.get_content_type() == "message/delivery-status")
        blocks: Any = status.get_payload()
        found += [(block["Final-Recipient"].removeprefix("rfc822; "), block["Action"]) for block in blocks[1:]]
    return found


def test_delivery_is_reported_where_asked_for(tmp_path: Path) -> None:
    with mta(tmp_path / "mta") as server:
        submit(server, "bob@example.com")
        submit(server, "bob@example.com", "NOTIFY=FAILURE")
        submit(server, "bob@example.com", "NOTIFY=SUCCESS", "ORCPT=rfc822;b@x", mail=("ENVID=abc", "RET=FULL"))
        assert reports(server, 1) == [("bob@example.com", "delivered")]
        server.wait_for("bob", 3)
        (notice,) = server.messages("alice")
        octets = notice.as_bytes().replace(b"\n", b"\r\n")
        assert b"Original-Envelope-Id: abc\r\n" in octets
        assert b"Original-Recipient: rfc822; b@x\r\n" in octets
        assert parsed(octets)["Subject"] == "Delivered mail"


def relaying(folder: Path, far: ScriptedServer) -> tuple[str, ...]:
    """Return the flags of an MTA that relays through the server `far` and logs into `folder`."""
    return "--smarthost", f"{HOST}:{far.port}", "--relay-from", "127.0.0.0/8", "--log", str(folder / "log")


def events(folder: Path) -> list[str]:
    """Return the names of the events in the log."""
    return [json.loads(line)["event"] for line in (folder / "log").read_text().splitlines()]


@pytest.mark.parametrize(("notify", "event"), [("NEVER", "dropped"), ("SUCCESS", "dropped"), ("FAILURE", "bounced")])
def test_failure_is_reported_unless_excluded(tmp_path: Path, notify: str, event: str) -> None:
    refusing = ("220 far", "250-far\r\n250 DSN", "250 ok", "550 5.1.1 no", "250 reset", "221 bye!")
    with ScriptedServer(refusing) as far, mta(tmp_path / "mta", *relaying(tmp_path, far)) as server:
        submit(server, FAR, f"NOTIFY={notify}", "ORCPT=rfc822;x+2By")
        wait_until(lambda: event in events(tmp_path))
        if event == "bounced":
            assert reports(server, 1) == [(FAR, "failed")]
    assert f"RCPT TO:<{FAR}> NOTIFY={notify} ORCPT=rfc822;x+2By" in far.heard[0]
    assert {"dropped", "bounced"}.intersection(events(tmp_path)) == {event}


@pytest.mark.parametrize("extension", ["DSN", "HELP"])
def test_a_server_without_the_extension_does_not_report_itself(tmp_path: Path, extension: str) -> None:
    replies = [reply.format(extension) for reply in EHLO]
    with ScriptedServer(replies) as far, mta(tmp_path / "mta", *relaying(tmp_path, far)) as server:
        submit(server, FAR, "NOTIFY=SUCCESS", mail=("RET=HDRS",))
        wait_until(lambda: "delivery" in events(tmp_path))
        if extension != "DSN":
            assert reports(server, 1) == [(FAR, "relayed")]
    assert ("notified" in events(tmp_path)) is (extension != "DSN")
    assert ("MAIL FROM:<alice@example.com> RET=HDRS" in far.heard[0]) is (extension == "DSN")


def test_a_request_outlives_a_killed_process(tmp_path: Path) -> None:
    flags = ("--retry", "0.2", "--relay-from", "127.0.0.0/8", "--smarthost", f"{HOST}:1")
    with mta(tmp_path / "mta", *flags, "--log", str(tmp_path / "log")) as server:
        submit(server, FAR, "NOTIFY=SUCCESS")
        wait_until(lambda: "connect_failed" in events(tmp_path))
        server.kill()
        with ScriptedServer([reply.format("HELP") for reply in EHLO]) as far:
            server.flags = ("--relay-from", "127.0.0.0/8", "--smarthost", f"{HOST}:{far.port}")
            server.start()
            assert reports(server, 1) == [(FAR, "relayed")]
