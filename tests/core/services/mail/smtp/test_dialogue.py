"""SMTP dialogue: order of commands, transactions, pipelining, reset (RFC 5321)."""

from lab7.services.mail.address import Mailbox
from lab7.services.mail.smtp.commands import State
from lab7.services.mail.smtp.policy import Client
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from tests.core.services.mail.smtp.transcripts import HELLO, IN_DATA, TO_BOB, World, check, policy, session

MESSAGE = "C: Subject: x\nC: \nC: Hello.\nC: .\nS: 250 2.0.0\n"


def test_the_greeting_names_the_server() -> None:
    made = ServerSession(policy(), Offer("mx.example.com"), Client("192.0.2.1"))
    assert made.greeting() == b"220 mx.example.com ESMTP ready\r\n"


def test_a_message_by_the_story_of_the_course() -> None:
    (message,) = check(
        """
        C: HELO client.example.net
        S: 250 mx.example.com
        C: MAIL FROM:<ann@example.net>
        S: 250
        C: RCPT TO:<bob@example.com>
        S: 250
        C: DATA
        S: 354
        C: Subject: x
        C:
        C: Hello.
        C: .
        S: 250
        C: QUIT
        S: 221
        """
    )
    assert message.content == b"Subject: x\r\n\r\nHello.\r\n"
    assert message.reverse_path == Mailbox("ann", "example.net")
    assert message.recipients == (Mailbox("bob", "example.com"),)


def test_several_messages_follow_each_other_on_one_connection() -> None:
    again = TO_BOB.removeprefix(HELLO)
    assert len(check(IN_DATA + MESSAGE + again + "C: DATA\nS: 354\n" + MESSAGE)) == 2


def test_pipelined_commands_are_answered_in_order_and_in_one_write() -> None:
    one, world = session(), World()
    world.talk(one, b"EHLO c.example.net\r\n")
    out = world.talk(
        one, b"MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@example.com>\r\nRCPT TO:<no@example.com>\r\nDATA\r\n"
    )
    assert [line[:3] for line in out.split(b"\r\n")[:-1]] == [b"250", b"250", b"550", b"354"]


def test_what_is_pipelined_behind_the_end_waits_for_the_disk() -> None:
    one = session()
    out = one.receive(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\nx: y\r\n.\r\nNOOP\r\nQUIT\r\n")
    assert out.endswith(b"<CRLF>.<CRLF>\r\n")
    assert one.receive(b"") == b""
    out = World().talk(one, b"")
    assert [line[:3] for line in out.split(b"\r\n")[:-1]] == [b"250", b"250", b"221"]


def test_a_hello_ends_a_transaction() -> None:
    check(TO_BOB + HELLO + "C: RCPT TO:<bob@example.com>\nS: 503 5.5.1\n")


def test_rset_forgets_the_recipients() -> None:
    check(TO_BOB + "C: RSET\nS: 250 2.0.0\nC: DATA\nS: 503 5.5.1\nC: MAIL FROM:<>\nS: 250 2.1.0\n")


def test_mail_twice_is_out_of_order_and_changes_nothing() -> None:
    (message,) = check(TO_BOB + "C: MAIL FROM:<other@example.net>\nS: 503 5.5.1\nC: DATA\nS: 354\n" + MESSAGE)
    assert str(message.reverse_path) == "ann@example.net"


def test_commands_that_need_no_hello() -> None:
    check("C: NOOP anything\nS: 250\nC: RSET\nS: 250\nC: VRFY bob\nS: 250\nC: HELP MAIL\nS: 214\nC: QUIT\nS: 221\n")


def test_verbs_in_any_case_and_a_space_behind_the_colon() -> None:
    check("C: ehlo [192.0.2.1]\n" + HELLO.partition("\n")[2] + "C: mail from: <a@b.example>\nS: 250 2.1.0\n")


def test_after_quit_nothing_is_heard() -> None:
    one = session()
    assert one.receive(b"QUIT\r\nNOOP\r\n").count(b"\r\n") == 1
    assert one.state is State.CLOSED
    assert one.receive(b"NOOP\r\n") == b""


def test_recipients_that_are_there_twice_are_one() -> None:
    (message,) = check(TO_BOB + "C: RCPT TO:<BOB@Example.COM>\nS: 250\nC: DATA\nS: 354\n" + MESSAGE)
    assert message.recipients == (Mailbox("bob", "example.com"),)


def test_a_source_route_is_ignored() -> None:
    (message,) = check(
        HELLO
        + "C: MAIL FROM:<@one.example,@two.example:ann@example.net>\nS: 250\n"
        + "C: RCPT TO:<@mx.example.com:bob@example.com>\nS: 250\nC: DATA\nS: 354\n"
        + MESSAGE
    )
    assert message.reverse_path == Mailbox("ann", "example.net")
    assert message.recipients == (Mailbox("bob", "example.com"),)


def test_the_postmaster_is_reached_without_a_domain_in_any_case() -> None:
    (message,) = check(
        HELLO + "C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<PostMaster>\nS: 250\n"
        "C: RCPT TO:<postmaster@example.org>\nS: 250\nC: DATA\nS: 354\n" + MESSAGE
    )
    assert [str(one) for one in message.recipients] == ["PostMaster", "postmaster@example.org"]


def test_a_quoted_local_part_is_what_it_quotes() -> None:
    (message,) = check(
        HELLO + 'C: MAIL FROM:<"a b>@c"@example.net>\nS: 250\nC: RCPT TO:<"b\\ob"@example.com>\nS: 250\n'
        "C: DATA\nS: 354\n" + MESSAGE
    )
    assert message.reverse_path == Mailbox("a b>@c", "example.net")
    assert message.recipients == (Mailbox("bob", "example.com"),)


def test_declared_8bit_is_told_to_the_queue() -> None:
    (message,) = check(
        HELLO + "C: MAIL FROM:<> BODY=8BITMIME SIZE=20\nS: 250\nC: RCPT TO:<bob@example.com>\nS: 250\n"
        "C: DATA\nS: 354\n" + MESSAGE
    )
    assert message.is_8bit


def test_a_stop_says_421_once() -> None:
    one = session()
    assert one.stop("Closing").startswith(b"421 4.3.2 mx.example.com")
    assert one.stop("Closing") == b""
