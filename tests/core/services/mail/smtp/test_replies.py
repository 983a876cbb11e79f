"""SMTP reply codes: each code of the course's table, produced by its real cause."""

import ipaddress

import pytest

from lab7.services.mail.smtp.commands import State
from lab7.services.mail.smtp.greylist import Greylist
from lab7.services.mail.smtp.policy import Client
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from lab7.services.mail.smtp.syntax import Reply
from tests.core.services.mail.smtp.transcripts import HELLO, IN_DATA, TO_BOB, World, check, policy, session

STRICT = Offer("mx.example.com", strict_syntax=True)
FROM_ANN = HELLO + "C: MAIL FROM:<ann@example.net>\nS: 250\n"
ANN_100001 = HELLO + "C: MAIL FROM:<> SIZE=100001\nS: 250\n"
END = "C: x: y\nC: .\n"


@pytest.mark.parametrize(
    ("cause", "script"),
    [
        ("211 the server's state", "C: HELP\nS: 211-2.0.0\nS: 211 2.0.0\n"),
        ("214 help on a command", "C: HELP rcpt\nS: 214 2.0.0 RCPT TO:\n"),
        ("221 the end", "C: QUIT\nS: 221 2.0.0\n"),
        ("250 done", "C: NOOP\nS: 250 2.0.0\n"),
        ("251 a user who is forwarded", FROM_ANN + "C: RCPT TO:<dave@example.com>\nS: 251 2.1.5\n"),
        ("251 the same asked about", "C: VRFY dave\nS: 251 2.1.5\n"),
        ("354 receiving mail data", IN_DATA),
        ("450 a mailbox on hold", FROM_ANN + "C: RCPT TO:<carol@example.com>\nS: 450 4.2.1\n"),
        ("500 no such command", "C: FROB\nS: 500 5.5.1\n"),
        ("500 an empty line", "C: \nS: 500 5.5.1\n"),
        ("501 no argument", "C: EHLO\nS: 501 5.5.4\nC: VRFY\nS: 501 5.5.4\nC: EXPN\nS: 501 5.5.4\n"),
        (
            "501 an argument too many",
            TO_BOB + "C: DATA now\nS: 501 5.5.4\nC: RSET x\nS: 501\nC: QUIT x\nS: 501\n",
        ),
        ("501 no path", HELLO + "C: MAIL FROM:ann@example.net\nS: 501 5.5.4\nC: MAIL TO:<a@b.c>\nS: 501 5.5.4\n"),
        ("501 a size that is none", HELLO + "C: MAIL FROM:<> SIZE=big\nS: 501 5.5.4\n"),
        ("501 a parameter twice", HELLO + "C: MAIL FROM:<> SIZE=1 SIZE=2\nS: 501 5.5.4\n"),
        (
            "502 known and not implemented",
            "C: TURN\nS: 502 5.5.1\nC: SAML x\nS: 502\nC: BDAT 5 LAST\nS: 502\n",
        ),
        ("502 not on this port", HELLO + "C: AUTH PLAIN\nS: 502 5.5.1\nC: STARTTLS\nS: 502 5.5.1\n"),
        ("503 no hello", "C: MAIL FROM:<>\nS: 503 5.5.1\nC: RCPT TO:<bob@example.com>\nS: 503\nC: DATA\nS: 503\n"),
        ("503 no MAIL", HELLO + "C: RCPT TO:<bob@example.com>\nS: 503 5.5.1\n"),
        ("503 no RCPT", FROM_ANN + "C: DATA\nS: 503 5.5.1\n"),
        ("504 a value not implemented", HELLO + "C: MAIL FROM:<> BODY=BINARYMIME\nS: 504 5.5.4\n"),
        ("504 no such help", "C: HELP frob\nS: 504 5.5.4\n"),
        (
            "550 no such user",
            FROM_ANN + "C: RCPT TO:<nobody@example.com>\nS: 550 5.1.1\nC: VRFY nobody\nS: 550\n",
        ),
        ("550 no relay", FROM_ANN + "C: RCPT TO:<x@example.net>\nS: 550 5.7.1\nC: VRFY x@example.net\nS: 550 5.7.1\n"),
        ("550 no list", "C: EXPN bob\nS: 550 5.1.1\nC: EXPN staff@elsewhere.example\nS: 550 5.1.1\n"),
        ("551 a user who has moved", FROM_ANN + "C: RCPT TO:<erin@example.com>\nS: 551 5.1.6\nC: VRFY erin\nS: 551\n"),
        ("552 declared too big", HELLO + "C: MAIL FROM:<> SIZE=10240001\nS: 552 5.3.4\n"),
        (
            "552 over the quota",
            HELLO + "C: MAIL FROM:<> SIZE=100001\nS: 250\nC: RCPT TO:<alice@example.com>\nS: 552 5.2.2\n",
        ),
        ("553 no mailbox by the grammar", FROM_ANN + "C: RCPT TO:<b..ob@example.com>\nS: 553 5.1.3\n"),
        ("553 no domain", FROM_ANN + "C: RCPT TO:<bob>\nS: 553 5.1.3\nC: RCPT TO:<>\nS: 553 5.1.3\n"),
        ("554 no valid recipients", FROM_ANN + "C: RCPT TO:<nobody@example.com>\nS: 550\nC: DATA\nS: 554 5.5.1\n"),
        ("555 an unknown parameter", HELLO + "C: MAIL FROM:<> FROB=1\nS: 555 5.5.4\nC: MAIL FROM:<> AUTH=<>\nS: 555\n"),
    ],
    ids=lambda value: value if "C:" not in value else "",
)
def test_a_reply_and_its_cause(cause: str, script: str) -> None:
    assert f"S: {cause[:3]}" in script
    check(script, session(offer=STRICT))


@pytest.mark.parametrize("sender", ["ann@example.net", " < ann@example.net >", "<ann@example.net", "ann", "<>"])
@pytest.mark.parametrize(
    "recipient", ["bob@example.com", " <bob@example.com> ", "Bob<bob@example.com>", "<@r.net:bob@example.com>", "bob"]
)
def test_addresses_beyond_the_grammar_are_accepted_unless_it_is_strict(sender: str, recipient: str) -> None:
    script = f"C: MAIL FROM:{sender} SIZE=10\nS: 250\nC: RCPT TO:{recipient}\nS: 250\nC: DATA\nS: 354\n{END}S: 250\n"
    world = World()
    check(HELLO + script, world=world)
    wanted = {"<>": "None", "ann": "ann@example.com"}.get(sender, "ann@example.net")
    assert str(world.messages[0].reverse_path) == wanted
    assert [str(found) for found in world.messages[0].recipients] == ["bob@example.com"]


def test_a_mailbox_with_an_empty_local_part_is_unknown_and_no_syntax_error() -> None:
    check(FROM_ANN + 'C: RCPT TO:<""@example.com>\nS: 550 5.1.1\n', session(offer=STRICT))


def test_220_and_554_greet() -> None:
    rules = policy(refused=(ipaddress.ip_network("192.0.2.0/28"),))
    assert ServerSession(rules, Offer("mx"), Client("198.51.100.1")).greeting().startswith(b"220 ")
    refused = ServerSession(rules, Offer("mx"), Client("192.0.2.1"))
    assert refused.greeting().startswith(b"554 ")
    check("C: EHLO x\nS: 503 5.7.1\nC: MAIL FROM:<>\nS: 503\nC: NOOP\nS: 503\nC: QUIT\nS: 221\n", refused)


def test_252_where_users_are_not_told() -> None:
    check("C: VRFY bob\nS: 252 2.1.5\nC: EXPN staff\nS: 550\n", session(policy(verifies=False)))


def test_expn_shows_a_list() -> None:
    check("C: EXPN staff\nS: 250-2.1.5 <alice@example.com>\nS: 250-2.1.5 <bob@\nS: 250 2.1.5 <someone@example.net>\n")


def test_421_after_too_many_errors() -> None:
    one = session()
    out = one.receive(b"FROB\r\n" * 25)
    assert out.count(b"500 5.5.1") == 20
    assert out.endswith(b"421 4.7.0 mx.example.com Too many errors\r\n")
    assert one.state is State.CLOSED


def test_421_for_a_line_without_an_end() -> None:
    one = session()
    out = b"".join(one.receive(b"A" * 1000) for _ in range(70))
    assert out.startswith(b"421 4.5.2")
    assert one.state is State.CLOSED
    assert one.held_octets == 0


def test_450_for_who_comes_for_the_first_time() -> None:
    now = [0.0]
    rules = policy(greylist=Greylist(60.0, lambda: now[0]))
    script = FROM_ANN + "C: RCPT TO:<bob@example.com>\nS: 450 4.7.1\nC: RCPT TO:<postmaster@example.com>\nS: 250\n"
    check(script, session(rules))
    now[0] = 30.0
    check(script, session(rules))
    now[0] = 60.0
    check(TO_BOB, session(rules))


@pytest.mark.parametrize("reply", [Reply(452, "No room", "4.3.1"), Reply(451, "Local error", "4.3.0")])
def test_451_and_452_come_from_the_disk(reply: Reply) -> None:
    check(IN_DATA + END + f"S: {reply.code} {reply.enhanced}\nC: RSET\nS: 250\n", None, World(reply))


def test_452_where_a_declared_size_has_no_room() -> None:
    rules = policy(free_octets=lambda: 3_000_000)
    script = "C: MAIL FROM:<> SIZE=2000000\nS: 452 4.3.1\nC: MAIL FROM:<> SIZE=1000\nS: 250\n"
    check(HELLO + script, session(rules))


def test_452_for_recipients_beyond_the_bound() -> None:
    one = session(policy(relay_from=(ipaddress.ip_network("192.0.2.0/24"),)))
    one.receive(b"EHLO x\r\nMAIL FROM:<>\r\n")
    out = one.receive(b"".join(b"RCPT TO:<u%d@example.net>\r\n" % number for number in range(1003)))
    codes = [line[:9] for line in out.split(b"\r\n")[:-1]]
    assert codes == [b"250 2.1.5"] * 1000 + [b"452 4.5.3"] * 3


def test_552_for_a_message_that_no_mailbox_has_room_for() -> None:
    rules = policy(used_octets=lambda _: 99_990)
    script = HELLO + "C: MAIL FROM:<>\nS: 250\nC: RCPT TO:<alice@example.com>\nS: 250\nC: DATA\nS: 354\n"
    check(script + "C: Subject: long enough\n" + END + "S: 552 5.2.2\n", session(rules))


def test_relay_for_a_network_and_for_nobody_else() -> None:
    rules = policy(relay_from=(ipaddress.ip_network("192.0.2.0/24"),))
    check(FROM_ANN + "C: RCPT TO:<x@example.net>\nS: 250 2.1.5\n", session(rules))
    check(FROM_ANN + "C: RCPT TO:<x@example.net>\nS: 550 5.7.1\n", session(rules, address="198.51.100.1"))
    check(FROM_ANN + "C: RCPT TO:<x%example.net@example.com>\nS: 550\n", session(rules, address="198.51.100.1"))


def test_a_backup_takes_mail_for_its_domain_from_anybody() -> None:
    rules = policy(relay_for=frozenset(("example.net",)))
    check(FROM_ANN + "C: RCPT TO:<x@Example.NET>\nS: 250 2.1.5\n", session(rules))
    check(FROM_ANN + "C: RCPT TO:<x@www.example.net>\nS: 550 5.7.1\n", session(rules))
