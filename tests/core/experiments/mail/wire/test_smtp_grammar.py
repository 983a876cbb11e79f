"""The judge cuts an SMTP connection into commands, replies and mail data, and says what is none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.harness.judge.reassembly import Piece, Stream
from lab7.experiments.mail.wire.smtp_grammar import SmtpGrammarError, read_line, read_mail_data, read_replies
from tests.core.experiments.mail.smtp_wire import BODY, PLAIN, SmtpWire, stuffed, whole


def stream(octets: bytes, step: int = 7) -> Stream:
    pieces = [Piece(at, min(at + step, len(octets)), at // step + 1, at) for at in range(0, len(octets), step)]
    return Stream(octets, pieces, whole=True)


@pytest.mark.parametrize(
    "line",
    [
        "EHLO mail.example.org",
        "EHLO [10.0.1.1]",
        "helo mail",
        "MAIL FROM:<>",
        "mail from:<alice@example.org> SIZE=100 BODY=8BITMIME",
        'RCPT TO:<"a b"@example.com>',
        "RCPT TO:<@relay.example:bob@example.com>",
        "RCPT TO:<Postmaster>",
        "RCPT TO:<bob@[10.0.2.1]>",
        "DATA",
        "VRFY bob",
        "HELP",
        "NOOP anything at all",
        "QUIT",
        "AUTH PLAIN AGFsaWNlAHg=",
    ],
)
def test_what_the_grammar_has(line: str) -> None:
    found = read_line(stream(line.encode() + b"\r\n"), 0)
    assert found is not None
    assert found.why_malformed is None
    assert found.verb == line.split()[0].upper()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("FROB", "no RFC defines the command 'FROB'"),
        ("TURN", "no RFC defines the command"),
        ("MAIL FROM:alice@example.org", "does not have the syntax of MAIL"),
        ("MAIL FROM: <alice@example.org>", "does not have the syntax of MAIL"),
        ("RCPT TO:<no one@example.com>", "does not have the syntax of RCPT"),
        ("RCPT TO:<bob@-example.com>", "does not have the syntax of RCPT"),
        ("RCPT TO:<>", "does not have the syntax of RCPT"),
        ("EHLO", "does not have the syntax of EHLO"),
        ("HELO a_b!", "does not have the syntax of HELO"),
        ("DATA now", "does not have the syntax of DATA"),
        ("VRFY", "does not have the syntax of VRFY"),
        ("?", "no RFC defines the command"),
        ("NOOP " + "x" * 1100, "the line of NOOP has 1107 octets"),
    ],
)
def test_what_the_grammar_has_not(line: str, why: str) -> None:
    found = read_line(stream(line.encode() + b"\r\n"), 0)
    assert found is not None
    assert why in (found.why_malformed or "")


@pytest.mark.parametrize("octets", [b"QUIT", b"QUIT\n", b"QUIT\rNOOP\r\n"])
def test_a_command_ends_in_crlf(octets: bytes) -> None:
    with pytest.raises(SmtpGrammarError, match="contains a bare CR or LF"):
        read_line(stream(octets), 0)


def test_replies_have_lines_codes_and_frames() -> None:
    octets = b"220 mail ESMTP\r\n250-mail\r\n250-SIZE 10\r\n250 HELP\r\n221\r\n"
    found = list(read_replies(stream(octets)))
    assert [(one.code, one.lines) for one in found] == [
        (220, ("mail ESMTP",)),
        (250, ("mail", "SIZE 10", "HELP")),
        (221, ("",)),
    ]
    assert b"".join(one.octets for one in found) == octets
    assert found[-1].frame == len(octets) // 7 + bool(len(octets) % 7)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b"250-a\r\n251 b\r\n", "a reply has the two codes 250 and 251"),
        (b"250-a\r\n", "not a reply"),
        (b"650 a\r\n", "not a reply"),
        (b"260 a\r\n", "not a reply: '260"),
        (b"250 a\n", "not a reply"),
        (b"250 caf\xe9\r\n", "not a reply"),
        (b"+OK hello\r\n", "not a reply"),
        (b"250 " + b"x" * 600 + b"\r\n", "a reply line has 606 octets"),
    ],
)
def test_what_is_no_reply(octets: bytes, why: str) -> None:
    with pytest.raises(SmtpGrammarError, match=why):
        list(read_replies(stream(octets)))


def test_dots_that_were_added_are_taken_away_again() -> None:
    data = read_mail_data(stream(stuffed(PLAIN) + b"QUIT\r\n"), 0)
    assert data is not None
    assert data.content == PLAIN
    assert data.octets == stuffed(PLAIN)
    assert len(data.stuffed_at) == 3
    assert all(stuffed(PLAIN)[at : at + 2] == b".." for at in data.stuffed_at)


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n"])
def test_only_crlf_dot_crlf_ends_mail_data(end: bytes) -> None:
    with pytest.raises(SmtpGrammarError, match="a bare CR or LF"):
        read_mail_data(stream(b"text" + end + b"QUIT\r\n"), 0)


def test_mail_data_without_an_end_are_none_and_long_lines_are_told() -> None:
    assert read_mail_data(stream(b"text\r\nmore"), 0) is None
    with pytest.raises(SmtpGrammarError, match="1001 octets"):
        read_mail_data(stream(b"x" * 999 + b"\r\n.\r\n"), 0)


def test_a_session_is_divided_into_exchanges_and_messages(tmp_path: Path) -> None:
    (session,) = whole().traffic(tmp_path).sessions
    assert [one.text for one in session.exchanges] == [
        "EHLO mail.example.org - 250",
        "MAIL FROM:<alice@example.org> - 250",
        "RCPT TO:<bob@example.com> - 250",
        "DATA - 354",
        f"{len(PLAIN)} octets of mail data - 250",
        "QUIT - 221",
    ]
    (message,) = session.messages
    assert (message.content, message.body, message.taken) == (PLAIN, BODY, True)
    assert session.problem is None


def test_pipelined_commands_find_their_replies(tmp_path: Path) -> None:
    group = (("MAIL FROM:<a@x>", 250), ("RCPT TO:<b@x>", 250), ("RCPT TO:<c@x>", 550), ("DATA", 354))
    one = SmtpWire().begin().hello().group(*group).data(stuffed(PLAIN)).quit()
    (session,) = one.traffic(tmp_path).sessions
    (message,) = session.messages
    assert [each.code for each in session.exchanges_of("RCPT")] == [250, 550]
    assert len(message.recipients) == 1


def test_an_authentication_goes_over_several_lines(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello().say("AUTH LOGIN", 334, "VXNlcm5hbWU6").say("YWxpY2U=", 334, "UGFzc3dvcmQ6")
    (session,) = one.say("c2VjcmV0", 235, "Hello").message().quit().traffic(tmp_path).sessions
    assert session.problem is None
    assert len(session.messages) == 1


def test_a_reset_forgets_the_transaction(tmp_path: Path) -> None:
    one = SmtpWire().begin().hello().say("MAIL FROM:<a@x>", 250).say("RCPT TO:<b@x>", 250).say("RSET", 250)
    (session,) = one.message().quit().traffic(tmp_path).sessions
    assert [each.command.text for each in session.messages[0].recipients] == ["RCPT TO:<bob@example.com>"]


def test_a_421_may_come_unasked_and_nothing_else(tmp_path: Path) -> None:
    (session,) = SmtpWire().begin().hello().reply(421, "Closing").traffic(tmp_path).sessions
    assert session.problem is None
    assert [one.code for one in session.unsolicited] == [421]
    (session,) = SmtpWire().begin().hello().reply(250).traffic(tmp_path).sessions
    assert "belongs to no command" in (session.problem or "")


def test_who_does_not_wait_for_the_greeting_is_told(tmp_path: Path) -> None:
    one = SmtpWire()
    one.tcp.open()
    one.tcp.client("PA", b"HELO x\r\n")
    one.wire.after(10)
    one.tcp.server("PA", b"220 hello\r\n250 hello\r\n")
    (session,) = one.traffic(tmp_path).sessions
    assert "precedes the greeting" in (session.problem or "")


def test_a_reply_before_its_command_is_told(tmp_path: Path) -> None:
    one = SmtpWire().begin()
    one.reply(250).wire.after(5)
    one.tcp.client("PA", b"HELO x\r\n")
    (session,) = one.traffic(tmp_path).sessions
    assert "precedes its command" in (session.problem or "")


def test_connections_that_nobody_answers_are_others(tmp_path: Path) -> None:
    one = whole()
    late = SmtpWire(one.wire, port=40001)
    late.tcp.client("S").server("RA")
    found = one.traffic(tmp_path)
    assert len(found.sessions) == 1
    assert len(found.others) == 1
