"""DSN requests of the SMTP envelope, as a server receives and a client relays them (RFC 3461)."""

from __future__ import annotations

import pytest

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.client_session import ClientSession, Envelope, SessionOptions
from lab7.services.mail.smtp.syntax import MessageRequest, RecipientRequest, decode_xtext
from tests.core.services.mail.smtp.transcripts import World, check, session

ANN, BOB, EVE = (Mailbox(name, "example.com") for name in ("ann", "bob", "eve"))
HELLO = b"EHLO c.example.net\r\n"


def test_requests_are_kept_with_the_message() -> None:
    (message,) = check(
        """
        C: HELO c.example.net
        S: 250
        C: MAIL FROM:<ann@example.net> ret=hdrs ENVID=QQ+2B314 SIZE=10
        S: 250 2.1.0
        C: RCPT TO:<bob@example.com> NOTIFY=success,Failure ORCPT=rfc822;Bob+40Example.com
        S: 250 2.1.5
        C: RCPT TO:<alice@example.com> NOTIFY=NEVER
        S: 250 2.1.5
        C: RCPT TO:<BOB@example.com> NOTIFY=DELAY
        S: 250 2.1.5
        C: DATA
        S: 354
        C: .
        S: 250
        """
    )
    assert message.request == MessageRequest("HDRS", "QQ+2B314")
    assert message.recipient_requests == (
        RecipientRequest("SUCCESS,FAILURE", "rfc822;Bob+40Example.com"),
        RecipientRequest("NEVER"),
    )


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("MAIL FROM:<> RET=ALL", b"501"),
        ("MAIL FROM:<> RET", b"501"),
        ("MAIL FROM:<> RET=FULL RET=FULL", b"501"),
        (f"MAIL FROM:<> ENVID={'x' * 101}", b"501"),
        ("MAIL FROM:<> ENVID=a+0D+0Ab", b"501"),
        ("MAIL FROM:<> ENVID=a+4", b"501"),
        ("MAIL FROM:<> NOTIFY=NEVER", b"555"),
        (f"MAIL FROM:<> RET=FULL ENVID={'x' * 100}", b"250"),
        ("RCPT TO:<bob@example.com> NOTIFY=NEVER,SUCCESS", b"501"),
        ("RCPT TO:<bob@example.com> NOTIFY=SUCCESS,SUCCESS", b"501"),
        ("RCPT TO:<bob@example.com> NOTIFY=", b"501"),
        ("RCPT TO:<bob@example.com> NOTIFY=SOON", b"501"),
        ("RCPT TO:<bob@example.com> ORCPT=bob@example.com", b"501"),
        ("RCPT TO:<bob@example.com> ORCPT=rfc822;", b"501"),
        (f"RCPT TO:<bob@example.com> ORCPT=rfc822;{'x' * 494}", b"501"),
        ("RCPT TO:<bob@example.com> RET=FULL", b"555"),
        (f"RCPT TO:<bob@example.com> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{'x' * 493}", b"250"),
    ],
)
def test_values_are_checked(parameters: str, code: bytes) -> None:
    one, world = session(), World()
    world.talk(one, HELLO)
    if parameters.startswith("RCPT"):
        world.talk(one, b"MAIL FROM:<>\r\n")
    assert world.talk(one, parameters.encode() + b"\r\n")[:3] == code


def test_conditions() -> None:
    assert [RecipientRequest().wants(condition) for condition in ("SUCCESS", "FAILURE")] == [False, True]
    assert not RecipientRequest("NEVER").wants("FAILURE")
    assert not RecipientRequest("SUCCESS").wants("FAILURE")
    assert decode_xtext("rfc822;a+2Bb+3D") == "rfc822;a+b="


@pytest.mark.parametrize("has_dsn", [True, False])
def test_requests_are_relayed_to_servers_that_take_them(has_dsn: bool) -> None:
    client = ClientSession(SessionOptions("c.example.net"))
    client.receive(b"220 mx\r\n")
    client.receive(b"250-mx\r\n250-PIPELINING\r\n" + (b"250 DSN\r\n" if has_dsn else b"250 HELP\r\n"))
    requests = (RecipientRequest("NEVER", "rfc822;b"), RecipientRequest())
    envelope = Envelope(ANN, (BOB, EVE), b"a: b\r\n", request=MessageRequest("FULL", "id"), recipient_requests=requests)
    mail, bob, eve, _ = client.send(envelope).split(b"\r\n")[:4]
    assert mail == b"MAIL FROM:<ann@example.com>" + (b" RET=FULL ENVID=id" if has_dsn else b"")
    assert bob == b"RCPT TO:<bob@example.com>" + (b" NOTIFY=NEVER ORCPT=rfc822;b" if has_dsn else b"")
    assert eve == b"RCPT TO:<eve@example.com>"
    assert client.relays_dsn_requests is has_dsn
