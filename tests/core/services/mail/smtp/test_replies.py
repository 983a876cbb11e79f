"""SMTP reply codes: each code of the course's table, produced by its real cause."""

import ipaddress

import pytest

from lab7.services.mail.accounts import Accounts
from lab7.services.mail.smtp.commands import State
from lab7.services.mail.smtp.greylist import Greylist
from lab7.services.mail.smtp.policy import Client
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from lab7.services.mail.smtp.syntax import Reply
from tests.core.services.mail.smtp.transcripts import (
    ACCOUNTS,
    HELLO,
    IN_DATA,
    STRANGER,
    TO_BOB,
    World,
    check,
    policy,
    session,
)

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
            "C: TURN\nS: 502 5.5.1\nC: SAML x\nS: 502\nC: ETRN x\nS: 502\n",
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
    check("C: VRFY bob\nS: 252 2.1.5\nC: EXPN staff\nS: 252 2.1.5\n", session(policy(verifies=False)))


def test_expn_shows_a_list() -> None:
    check("C: EXPN staff\nS: 250-2.1.5 <alice@example.com>\nS: 250-2.1.5 <bob@\nS: 250 2.1.5 <someone@example.net>\n")


def aliases(text: str) -> ServerSession:
    """Return a session of a server that has these aliases as well."""
    return session(policy(accounts=Accounts(ACCOUNTS + text, ["example.com", "example.org"])))


def test_550_for_an_alias_that_leads_back_to_itself() -> None:
    one = aliases("ping => pong@example.com\npong: ping\nhalf: bob, ping\n")
    script = "C: RCPT TO:<ping@example.com>\nS: 550 5.4.6\nC: RCPT TO:<pong@example.com>\nS: 550 5.4.6\n"
    check(FROM_ANN + script + "C: RCPT TO:<half@example.com>\nS: 250 2.1.5\nC: VRFY ping\nS: 550 5.4.6\n", one)


@pytest.mark.parametrize(
    ("target", "reply"),
    [("carol", "450 4.2.1"), ("erin", "551 5.1.6"), ("nobody", "550 5.1.1"), ("alice", "552 5.2.2"), ("bob", "251")],
)
def test_a_forward_has_the_reply_of_its_target(target: str, reply: str) -> None:
    script = "C: MAIL FROM:<> SIZE=100001\nS: 250\nC: RCPT TO:<fwd@example.com>\nS: " + reply + "\n"
    check(HELLO + script, aliases(f"fwd => {target}@example.com\n"))


def test_the_postmaster_is_never_on_hold() -> None:
    one = aliases("postmaster:x::hold\nadmin => postmaster@example.com\n")
    script = "C: RCPT TO:<Postmaster>\nS: 250\nC: RCPT TO:<admin@example.com>\nS: 251\n"
    check(FROM_ANN + script, one)


@pytest.mark.parametrize("literal", ["[192.0.2.1]", "[IPv6:2001:DB8:0::1]"])
@pytest.mark.parametrize("name", ["bob", "postmaster"])
def test_the_literal_of_the_servers_own_address_is_the_default_domain(literal: str, name: str) -> None:
    """RFC 5321 section 4.1.3."""
    address = "192.0.2.1" if "." in literal else "2001:db8::1"
    one = ServerSession(policy(), Offer("mx.example.com"), Client(STRANGER, local_address=address))
    one.greeting()
    rcpt = f"C: RCPT TO:<{name}@{literal}>\nS: 250 2.1.5\nC: RCPT TO:<{name}@[192.0.2.2]>\nS: 550 5.7.1\n"
    (message,) = check(FROM_ANN + rcpt + f"C: VRFY {name}@{literal}\nS: 250\nC: DATA\nS: 354\n" + END + "S: 250\n", one)
    assert [str(found) for found in message.recipients] == [f"{name}@example.com"]


def test_recipients_of_another_server_that_differ_in_case_alone_are_two() -> None:
    """RFC 5321 section 2.4."""
    rules = policy(relay_for=frozenset(("example.net",)))
    rcpt = "C: RCPT TO:<Bob@example.net>\nS: 250\nC: RCPT TO:<bob@example.net>\nS: 250\n"
    (message,) = check(FROM_ANN + rcpt + "C: DATA\nS: 354\n" + END + "S: 250\n", session(rules))
    assert [str(found) for found in message.recipients] == ["Bob@example.net", "bob@example.net"]


@pytest.mark.parametrize(
    ("offer", "tls", "verbs"),
    [
        (Offer("mx"), None, set()),
        (Offer("mx", starttls=True), None, {"STARTTLS"}),
        (Offer("mx", starttls=True, auth=True), None, {"AUTH", "STARTTLS"}),
        (Offer("mx", starttls=True, auth=True), "TLSv1.3", {"AUTH"}),
    ],
)
def test_help_has_the_commands_that_can_be_used(offer: Offer, tls: str | None, verbs: set[str]) -> None:
    one = ServerSession(policy(), offer, Client(STRANGER, tls=tls))
    one.greeting()
    listed = set(one.receive(b"HELP\r\n").decode("ascii").split())
    assert listed & {"AUTH", "STARTTLS", "QUIT"} == verbs | {"QUIT"}
    for verb in ("AUTH", "STARTTLS"):
        check(f"C: HELP {verb}\nS: {'214' if verb in verbs else '504'}\n", one)


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
