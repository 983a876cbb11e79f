"""S1, S2, S4, S7 and S10 hold on captures that show them, and fail on those that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab7.experiments.mail.claims.delivery import why_altered
from lab7.experiments.mail.claims.transfer import (
    decide_closing,
    decide_messages_per_connection,
    decide_push_between_servers,
    decide_relaying,
    decide_smtp_dialogue,
)
from tests.core.experiments.harness.verdicts import lose_one, said
from tests.core.experiments.mail.smtp_wire import (
    ALICE,
    BODY,
    HEADER,
    PLAIN,
    RECEIVER,
    SENDER,
    SmtpWire,
    Way,
    another,
    whole,
)


@pytest.mark.parametrize("by_pop3", [True, False])
def test_a_message_on_its_three_legs_shows_the_parts_and_who_pushes(tmp_path: Path, by_pop3: bool) -> None:
    legs = Way(by_pop3=by_pop3).legs(tmp_path)
    said(
        decide_relaying(legs), "shown", "All three legs carry 1 message unaltered", "by POP3" if by_pop3 else "by IMAP"
    )
    verdict = said(decide_push_between_servers(legs), "shown", "1 connection from 10.0.1.25 to port 25 of 10.0.2.25")
    came, syn, went = verdict.frames
    assert came < syn < went
    said(decide_smtp_dialogue([legs.submitted, legs.relayed]), "shown", "2 sessions (0 with HELO, 2 with EHLO)")
    said(decide_closing(legs.at_receiver), "shown", "After QUIT, in 1 connection")


@pytest.mark.parametrize("dropped", [0, 3])
def test_what_is_not_whole_decides_nothing(tmp_path: Path, dropped: int) -> None:
    one = whole()
    if not dropped:
        lose_one(one.wire)
    traffic = one.traffic(tmp_path / "one", dropped)
    for verdict in (
        decide_smtp_dialogue([traffic]),
        decide_messages_per_connection(traffic, 1),
        decide_closing(traffic),
    ):
        assert verdict.verdict == "undecided"
    legs = Way().legs(tmp_path / "legs", dropped=3)
    assert decide_relaying(legs).verdict == "undecided"
    assert decide_smtp_dialogue([SmtpWire().traffic(tmp_path / "none")]).verdict == "undecided"


def test_s1_wants_the_same_message_on_every_leg(tmp_path: Path) -> None:
    other = PLAIN.replace(b"hidden", b"changed")
    said(decide_relaying(Way(relayed=other).legs(tmp_path / "a")), "failed", "was not relayed to the receiving server")
    said(decide_relaying(Way(read=other).legs(tmp_path / "b")), "failed", "is not retrieved by the receiver's agent")


@pytest.mark.parametrize("by_pop3", [True, False])
@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (PLAIN.replace(b"Subject: hello", b"Subject: buy now"), "the field 'Subject: hello' is missing or moved"),
        (PLAIN.replace(b"Subject: hello\r\n", b""), "the field 'Subject: hello' is missing or moved"),
        (b"Reply-To: eve@example.net\r\n" + PLAIN, "a field 'reply-to' was added"),
        (b"Content-Type: text/html\r\n" + PLAIN, "a field 'content-type' was added"),
        (PLAIN.replace(b"From: alice", b"From: alicia"), "the field 'From: alice@example.org' is missing or moved"),
    ],
)
def test_s1_wants_the_header_unaltered(tmp_path: Path, changed: bytes, why: str, by_pop3: bool) -> None:
    relayed = Way(relayed=changed, by_pop3=by_pop3).legs(tmp_path / "a")
    said(
        decide_relaying(relayed),
        "failed",
        "The message was relayed to the receiving server in frame",
        "but altered",
        why,
    )
    said(decide_relaying(Way(read=changed, by_pop3=by_pop3).legs(tmp_path / "b")), "failed", "was altered", why)


def test_s1_lets_servers_add_what_the_rfcs_allow(tmp_path: Path) -> None:
    traced = b"Return-Path: <alice@example.org>\r\nReceived: from x\r\n\tby y\r\nDate: today\r\nX-Spam: no\r\n" + PLAIN
    said(decide_relaying(Way(relayed=traced, read=b"Delivered-To: bob\r\n" + traced).legs(tmp_path), [PLAIN]), "shown")
    dated = b"Return-Path: <a@x>\r\nBcc: carol\r\nDate: today\r\nMessage-ID: <1@x>\r\n" + PLAIN
    assert why_altered(dated, dated.replace(b"Bcc: carol\r\n", b"").replace(b"<a@x>", b"<b@x>")) is None
    assert why_altered(dated, b"Date: tomorrow\r\n" + dated) == "a field 'date' was added"


def test_s1_wants_what_was_composed_handed_in(tmp_path: Path) -> None:
    legs = Way().legs(tmp_path)
    said(decide_relaying(legs, [PLAIN]), "shown")
    said(decide_relaying(legs, [PLAIN.replace(b"hidden", b"other")]), "failed", "was not submitted")
    said(
        decide_relaying(legs, [PLAIN.replace(b"hello", b"goodbye")]),
        "failed",
        "The message was submitted in frame",
        "but altered",
    )


def test_s1_wants_no_leg_left_out(tmp_path: Path) -> None:
    legs = Way().legs(tmp_path)
    direct = whole(client=ALICE, server=RECEIVER).traffic(tmp_path / "direct")
    both = replace(legs.at_alice, sessions=(*legs.at_alice.sessions, *direct.sessions))
    said(
        decide_relaying(replace(legs, at_alice=both)),
        "failed",
        "SMTP connection from 10.0.1.1 to 10.0.2.25 in frame 1",
        "it bypasses one of the two servers",
    )


def test_s2_wants_port_25(tmp_path: Path) -> None:
    said(decide_push_between_servers(Way(relay_port=587).legs(tmp_path)), "failed", "goes to 10.0.2.25:587")


def test_s2_wants_the_one_that_has_the_message_to_connect(tmp_path: Path) -> None:
    said(
        decide_push_between_servers(Way(relay_begins_ms=8.0).legs(tmp_path)),
        "failed",
        "is opened before its client has received the message",
    )


def test_s2_wants_no_connection_from_the_receivers_server(tmp_path: Path) -> None:
    legs = Way().legs(tmp_path)
    back = SmtpWire(client=RECEIVER, server=SENDER).begin().traffic(tmp_path / "back")
    both = replace(legs.at_sender, sessions=(*legs.at_sender.sessions, *back.sessions))
    said(
        decide_push_between_servers(replace(legs, at_sender=both)),
        "failed",
        "The receiving server opens a connection to the sender's server in frame",
    )
    # A SYN alone is a connection that it opens, too.
    tried = SmtpWire(client=RECEIVER, server=SENDER)
    tried.tcp.client("S").server("RA")
    others = (*legs.at_sender.others, *tried.traffic(tmp_path / "tried").others)
    said(
        decide_push_between_servers(replace(legs, at_sender=replace(legs.at_sender, others=others))),
        "failed",
        "The receiving server opens a connection to the sender's server in frame",
    )


def test_s2_wants_what_is_pushed_to_be_taken(tmp_path: Path) -> None:
    legs = Way().legs(tmp_path)
    refused = SmtpWire(client=SENDER).begin().hello().message(code=554).quit().traffic(tmp_path / "refused")
    both = replace(legs.at_sender, sessions=(*legs.at_sender.sessions, *refused.sessions))
    said(decide_push_between_servers(replace(legs, at_sender=both)), "failed", "The receiving server refuses a message")


def test_s4_takes_the_textbooks_dialogue_and_pipelining(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello("HELO").message().quit()
    group = (("MAIL FROM:<a@x>", 250), ("RCPT TO:<b@x>", 250), ("DATA", 354))
    another(one).begin().hello().group(*group).data(b"a\r\n.\r\n").quit()
    verdict = said(decide_smtp_dialogue([one.traffic(tmp_path)]), "shown", "2 sessions (1 with HELO, 1 with EHLO)")
    expected = "220, HELO 250, MAIL FROM 250, RCPT TO 250, DATA 354, the mail data up to the line with a dot 250"
    assert expected in verdict.evidence


@pytest.mark.parametrize(
    ("session", "why"),
    [
        (lambda: SmtpWire().begin("554 no").message().quit(), "does not begin with 220"),
        (lambda: SmtpWire().begin().message().quit(), "but at this point RFC 5321 permits only HELO 250"),
        (lambda: SmtpWire().begin().hello().message(rcpt=550).quit(), "'RCPT TO:<bob@example.com>' gets '550"),
        (lambda: SmtpWire().begin().hello().message(code=451).quit(), "octets of mail data' gets '451"),
        (lambda: SmtpWire().begin().hello().message(), "does not end with QUIT"),
        (lambda: SmtpWire().begin().hello().message().say("QUIT", 250), "'QUIT' gets '250"),
        (lambda: SmtpWire().begin().hello().message().say("QUIT", 0), "'QUIT' gets no reply"),
        (
            lambda: SmtpWire().begin().say("HELO a_b", 250).message().quit(),
            "'HELO a_b' does not have the syntax of HELO",
        ),
        (
            lambda: SmtpWire().begin().hello().message().say("MAIL FROM:a@x", 250).quit(),
            "'MAIL FROM:a@x' does not have the syntax of MAIL",
        ),
        (lambda: SmtpWire().begin().hello().message().quit("nobody").say("NOOP", 250), "'NOOP' gets '250"),
        (
            lambda: SmtpWire().begin().hello().say("RCPT TO:<b@x>", 250).message().quit(),
            "but at this point RFC 5321 permits only MAIL 250, QUIT 221",
        ),
        (lambda: SmtpWire().begin().hello().message().reply(250).quit(), "belongs to no command"),
        (lambda: SmtpWire().begin("+OK hello").message().quit(), "not a reply"),
        (lambda: another(whole()).begin().hello().say("MAIL FROM:<a@x>", 451).quit(), "'MAIL FROM:<a@x>' gets '451"),
        (lambda: another(whole()).begin("554 no").quit(), "does not begin with 220"),
    ],
)
def test_s4_wants_the_dialogue_in_order(tmp_path: Path, session: object, why: str) -> None:
    assert callable(session)
    said(decide_smtp_dialogue([session().traffic(tmp_path)]), "failed", why)


def test_s4_wants_a_message(tmp_path: Path) -> None:
    said(
        decide_smtp_dialogue([SmtpWire().begin().hello().quit().traffic(tmp_path)]),
        "failed",
        "No session carries a message",
    )


def test_s7_counts_messages_on_one_connection(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello().message().message().message().quit()
    traffic = one.traffic(tmp_path)
    verdict = said(
        decide_messages_per_connection(traffic, 3), "shown", "One connection (SYN in frame 1) carries 3 messages"
    )
    assert len(verdict.frames) == 4
    said(
        decide_messages_per_connection(traffic, 4),
        "failed",
        "The connection of frame 1 carries 3 accepted messages, not 4",
    )


def test_s7_wants_one_connection_for_several_messages(tmp_path: Path) -> None:
    one = whole()
    another(one).begin().hello().message().quit()
    said(
        decide_messages_per_connection(one.traffic(tmp_path), 2),
        "failed",
        "None of 2 connections carries more than one message",
    )


def test_s7_wants_each_in_the_mailbox(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello().message().message(HEADER + b"\r\nanother\r\n").quit()
    traffic, bodies = one.traffic(tmp_path), [BODY, b"another\r\n"]
    said(decide_messages_per_connection(traffic, 2, bodies), "shown")
    said(
        decide_messages_per_connection(traffic, 2, bodies[:1]),
        "failed",
        "1 of the 2 messages",
        "are missing in the mailbox, or altered there",
    )
    said(decide_messages_per_connection(traffic, 2, [BODY, BODY]), "failed", "1 of the 2 messages")
    said(decide_messages_per_connection(traffic, 2, []), "failed", "2 of the 2 messages")


def test_s7_wants_each_taken(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello().message().message(code=554).quit()
    said(
        decide_messages_per_connection(one.traffic(tmp_path), 2),
        "failed",
        "The connection of frame 1 carries 1 accepted messages, not 2",
    )


@pytest.mark.parametrize(
    ("closes", "why"), [("client", "the client closes first"), ("nobody", "the server does not close the connection")]
)
def test_s10_wants_the_first_fin_from_the_server(tmp_path: Path, closes: str, why: str) -> None:
    one = whole()
    another(one).begin().hello().message().quit(closes=closes)
    said(decide_closing(one.traffic(tmp_path)), "failed", why)


def test_s10_wants_quit_and_its_221(tmp_path: Path) -> None:
    said(
        decide_closing(SmtpWire().begin().hello().message().traffic(tmp_path / "a")), "failed", "No session has a QUIT"
    )
    one = SmtpWire().begin().hello().say("QUIT", 250)
    one.tcp.close()
    said(decide_closing(one.traffic(tmp_path / "b")), "failed", "'QUIT' gets '250")
