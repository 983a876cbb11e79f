"""SMTP client session, against scripted replies and against this project's server session."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.client_session import ClientSession, Envelope, SessionOptions, Step
from lab7.services.mail.smtp.syntax import Reply
from tests.core.services.mail.smtp.transcripts import World, session

ANN, BOB, ERIN, NOBODY = (
    Mailbox(*text.split("@"))
    for text in ("ann@example.net", "bob@example.com", "erin@example.com", "nobody@example.com")
)
PIPELINED = b"250-mx\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 8BITMIME\r\n"


def envelope(*recipients: Mailbox, content: bytes = b"Subject: x\r\n\r\n.dot\r\n") -> Envelope:
    return Envelope(ANN, recipients or (BOB,), content)


def greeted(hello: bytes = PIPELINED, options: SessionOptions | None = None) -> ClientSession:
    made = ClientSession(options or SessionOptions("c.example.net"))
    assert made.receive(b"220 mx ESMTP\r\n") == b"EHLO c.example.net\r\n"
    assert made.receive(hello) == b""
    assert made.step is Step.READY
    return made


def test_with_pipelining_a_transaction_is_two_writes() -> None:
    one = greeted()
    assert one.send(envelope(BOB, ERIN)) == (
        b"MAIL FROM:<ann@example.net> SIZE=20\r\nRCPT TO:<bob@example.com>\r\nRCPT TO:<erin@example.com>\r\nDATA\r\n"
    )
    assert one.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n") == b""
    assert one.receive(b"354 go\r\n") == b"Subject: x\r\n\r\n..dot\r\n.\r\n"
    assert one.in_doubt
    assert one.receive(b"250 2.0.0 Queued\r\n") == b""
    assert one.step is Step.READY
    assert not one.in_doubt
    assert one.outcome is not None
    assert [str(reply) for reply in one.outcome.replies] == ["250 2.0.0 Queued"] * 2


@pytest.mark.parametrize(
    "options", [SessionOptions("c.example.net", pipelining=False), SessionOptions("c.example.net")]
)
def test_without_it_every_command_waits_for_its_reply(options: SessionOptions) -> None:
    one = greeted(b"250 mx\r\n" if options.pipelining else PIPELINED, options)
    assert one.send(envelope()).count(b"\r\n") == 1
    assert one.receive(b"250 ok\r\n") == b"RCPT TO:<bob@example.com>\r\n"
    assert one.receive(b"250 ok\r\n") == b"DATA\r\n"
    assert one.receive(b"354 go\r\n").endswith(b"\r\n.\r\n")


@pytest.mark.parametrize(
    ("replies", "what"),
    [
        (b"250 ok\r\n250 ok\r\n250 go\r\n", "DATA: 250 go"),
        (b"250 ok\r\n250 ok\r\n334 go\r\n", "DATA: 334 go"),
        (b"354 go\r\n250 ok\r\n354 go\r\n", "MAIL: 354 go"),
        (b"250 ok\r\n250 ok\r\n354 go\r\n354 go\r\n", "mail data: 354 go"),
    ],
)
def test_a_positive_reply_that_does_not_fit_ends_the_session_and_delivers_nothing(replies: bytes, what: str) -> None:
    one = greeted()
    one.send(envelope())
    one.receive(replies)
    assert one.step is Step.OVER
    assert one.outcome is not None
    assert [str(reply) for reply in one.outcome.replies] == [f"451 4.5.0 Unexpected reply to {what}"]


@pytest.mark.parametrize("greeting", [b"220 mx ESMTP\n", b"220-mx\r\n220 ESMTP\n"])
def test_a_line_in_lf_alone_ends_the_session_at_once(greeting: bytes) -> None:
    one = ClientSession(SessionOptions("c.example.net"))
    assert one.receive(greeting) == b""
    assert one.step is Step.OVER
    assert "ends in LF without CR" in str(one.failure)


def test_a_line_that_has_not_arrived_whole_is_awaited() -> None:
    one = ClientSession(SessionOptions("c.example.net"))
    assert [one.receive(octets) for octets in (b"220 mx", b"\r", b"\n")] == [b"", b"", b"EHLO c.example.net\r\n"]


def test_recipients_have_replies_of_their_own() -> None:
    one = greeted()
    one.send(envelope(BOB, NOBODY, ERIN))
    one.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n451 4.3.0 later\r\n354 go\r\n250 taken\r\n")
    assert one.outcome is not None
    assert [reply.code for reply in one.outcome.replies] == [250, 550, 451]
    assert not one.outcome.delivered


def test_replies_of_the_server_have_its_name_and_those_of_the_client_none() -> None:
    one = greeted(options=SessionOptions("c.example.net", server="mx.example.com"))
    one.send(envelope())
    one.receive(b"250 ok\r\n550 5.1.1 no\r\n554 no\r\n250 ok\r\n")
    assert one.outcome is not None
    assert one.outcome.replies == (Reply(550, "no", "5.1.1", "mx.example.com"),)
    one.send(envelope(content=b"x" * 2_000))
    assert [reply.server for reply in one.outcome.replies] == [""]


def test_a_354_for_nobody_gets_an_empty_message() -> None:
    one = greeted()
    one.send(envelope(NOBODY))
    assert one.receive(b"250 ok\r\n550 no\r\n354 go\r\n") == b".\r\n"
    assert not one.in_doubt
    one.receive(b"554 no recipients\r\n")
    assert one.step is Step.READY
    assert one.outcome is not None
    assert one.outcome.replies[0].code == 550


def test_a_refused_sender_is_the_outcome_for_all_and_rset_follows() -> None:
    one = greeted()
    one.send(envelope(BOB, ERIN))
    assert one.receive(b"550 5.7.1 not you\r\n503 no\r\n503 no\r\n503 no\r\n") == b"RSET\r\n"
    assert one.outcome is not None
    # The replies to RCPT and DATA follow from the failed MAIL, but each recipient keeps its own reply.
    assert all(reply.is_permanent for reply in one.outcome.replies)
    assert one.receive(b"250 ok\r\n") == b""
    assert one.step is Step.READY


def test_who_knows_no_ehlo_is_greeted_by_helo() -> None:
    one = ClientSession(SessionOptions("c.example.net"))
    one.receive(b"220 old\r\n")
    assert one.receive(b"500 what\r\n") == b"HELO c.example.net\r\n"
    one.receive(b"250 hello\r\n")
    assert one.send(envelope()) == b"MAIL FROM:<ann@example.net>\r\n"


@pytest.mark.parametrize(
    ("replies", "code", "step"),
    [
        (b"554 no service\r\n", 554, Step.OVER),
        (b"220 mx\r\n421 busy\r\n", 421, Step.OVER),
        (b"hello there\r\n", 451, Step.OVER),
        (b"220 mx\r\n250-a\r\n251 b\r\n", 451, Step.OVER),
        (b"220-" + b"x" * 70_000, 451, Step.OVER),
    ],
)
def test_what_is_no_session(replies: bytes, code: int, step: Step) -> None:
    one = ClientSession(SessionOptions("c.example.net"))
    one.receive(replies)
    assert one.step is step
    assert one.failure is not None
    assert one.failure.code == code


def test_a_connection_lost_after_the_end_is_in_doubt() -> None:
    one = greeted()
    one.send(envelope())
    one.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    one.lost("gone")
    assert one.in_doubt
    assert one.outcome is not None
    assert one.outcome.replies[0].code == 451


def test_421_in_a_transaction_is_its_outcome() -> None:
    one = greeted()
    one.send(envelope(BOB, ERIN))
    one.receive(b"250 ok\r\n250 ok\r\n421 4.3.2 closing\r\n")
    assert one.step is Step.OVER
    assert one.outcome is not None
    assert [reply.code for reply in one.outcome.replies] == [421, 421]


def test_octets_beyond_ascii_need_8bitmime() -> None:
    eight = envelope(content=b"Subject: x\r\n\r\n\xc3\xa4\r\n")
    assert b" BODY=8BITMIME\r\n" in greeted().send(eight)
    one = greeted(b"250 mx\r\n")
    assert one.send(eight) == b""
    assert one.outcome is not None
    assert one.outcome.replies[0].enhanced == "5.6.3"


def test_what_is_too_big_is_not_begun() -> None:
    one = greeted()
    assert one.send(envelope(content=b"x\r\n" * 500)) == b""
    assert one.step is Step.READY
    assert one.outcome is not None
    assert one.outcome.replies[0].code == 552


def test_starttls_and_auth() -> None:
    one = ClientSession(SessionOptions("c.example.net", tls=True, user="alice", password="secret"))
    one.receive(b"220 mx\r\n")
    assert one.receive(b"250-mx\r\n250 STARTTLS\r\n") == b"STARTTLS\r\n"
    assert one.receive(b"220 go\r\n") == b""
    assert one.tls_started() == b"EHLO c.example.net\r\n"
    assert one.receive(b"250-mx\r\n250 AUTH LOGIN PLAIN\r\n") == b"AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n"
    one.receive(b"235 ok\r\n")
    assert one.step is Step.READY


def test_tls_that_is_required_and_not_there() -> None:
    one = ClientSession(SessionOptions("c.example.net", tls=True, tls_required=True))
    one.receive(b"220 mx\r\n250 mx\r\n")
    assert one.step is Step.OVER


def test_quit_ends_it() -> None:
    one = greeted()
    assert one.quit() == b"QUIT\r\n"
    one.receive(b"221 bye\r\n")
    assert one.step is Step.OVER
    assert one.failure is None


@given(st.binary(max_size=300), st.booleans())
def test_any_octets_leave_a_session_in_order(octets: bytes, started: bool) -> None:
    one = greeted() if started else ClientSession(SessionOptions("c.example.net"))
    if started:
        one.send(envelope(BOB, ERIN))
    for octet in octets:
        one.receive(bytes([octet]))
    one.lost("the end")
    assert one.step in (Step.OVER, Step.QUIT)
    assert not started or one.outcome is not None


@given(
    st.lists(st.sampled_from([BOB, ERIN, NOBODY, Mailbox("staff", "example.com")]), min_size=1, max_size=6),
    st.lists(st.binary(max_size=80).map(lambda line: re.sub(rb"[\r\n\0]", b".", line)), max_size=8),
    st.booleans(),
)
def test_client_and_server_agree(recipients: list[Mailbox], lines: list[bytes], pipelining: bool) -> None:
    content = b"Subject: x\r\n\r\n" + b"".join(line + b"\r\n" for line in lines)
    client, server, world = ClientSession(SessionOptions("c.example.net", pipelining)), session(), World()
    octets = client.receive(b"220 mx\r\n")
    while client.step is not Step.READY:
        octets = client.receive(world.talk(server, octets))
    for _ in range(2):
        octets = client.send(Envelope(ANN, tuple(recipients), content, True))
        while client.step is not Step.READY:
            octets = client.receive(world.talk(server, octets))
    assert client.outcome is not None
    wanted = {"bob": 250, "erin": 551, "nobody": 550, "staff": 250}
    codes = [wanted[one.local_part] for one in recipients]
    assert [reply.code for reply in client.outcome.replies] == codes
    assert [message.content for message in world.messages] == ([content] * 2 if 250 in codes else [])
