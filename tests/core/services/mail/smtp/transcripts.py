"""SMTP sessions as a person would write them down: `C:` what the client sends, `S:` what it must get for it.

A reply's text is this server's own; what counts is its code, and its enhanced code where it has one, so a line of `S:`
gives how the reply's line begins. Lines that begin with neither belong to the line before them.
"""

from dataclasses import replace
from typing import Any

from services.mail.accounts import Accounts
from services.mail.smtp.commands import Accept, CheckPassword, StartTLS, State
from services.mail.smtp.offer import Offer
from services.mail.smtp.policy import Client, Policy
from services.mail.smtp.reply import Reply
from services.mail.smtp.server_session import ServerSession

ACCOUNTS = """
alice:secret:100000
bob:hunter2
carol:secret:1000000:hold
staff: alice, bob, someone@example.net
dave => dave@example.net
erin -> erin@example.net
"""
QUEUED = Reply(250, "Queued", "2.0.0")
STRANGER = "192.0.2.9"


def policy(**changes: Any) -> Policy:
    """The rules of example.com, with the accounts above."""
    return replace(Policy(Accounts(ACCOUNTS, ["example.com", "example.org"])), **changes)


def session(rules: Policy | None = None, offer: Offer | None = None, address: str = STRANGER) -> ServerSession:
    """A session that was greeted already."""
    made = ServerSession(rules or policy(), offer or Offer("mx.example.com"), Client(address))
    made.greeting()
    return made


class World:
    """Answers what sessions ask, as a shell does, and keeps the messages."""

    def __init__(self, accepted: Reply = QUEUED) -> None:
        self.accepted = accepted
        self.messages: list[Accept] = []

    def talk(self, one: ServerSession, octets: bytes) -> bytes:
        """Feed octets and return all replies."""
        out = one.receive(octets)
        while one.asked is not None:
            out += self._answer(one)
        return out

    def _answer(self, one: ServerSession) -> bytes:
        asked = one.asked
        if isinstance(asked, Accept):
            self.messages.append(asked)
            return one.accepted(self.accepted)
        if isinstance(asked, CheckPassword):
            return one.authenticated(Accounts(ACCOUNTS, ["example.com"]).check(asked.user, asked.password))
        assert isinstance(asked, StartTLS)
        return one.tls_started("TLSv1.3")


def steps(script: str) -> list[tuple[bytes, list[str]]]:
    """Return a script as pairs of octets to send and beginnings of lines to get."""
    made: list[tuple[bytes, list[str]]] = []
    for line in filter(str.strip, script.splitlines()):
        side, text = line.lstrip()[:2], line.lstrip()[3:]
        if side == "C:":
            if not made or made[-1][1]:
                made.append((b"", []))
            octets, wanted = made[-1]
            made[-1] = (octets + text.encode("ascii") + b"\r\n", wanted)
        else:
            assert side == "S:", line
            made[-1][1].append(text)
    return made


def check(script: str, one: ServerSession | None = None, world: World | None = None) -> list[Accept]:
    """Play a script and compare every line that comes; returns the messages that were accepted."""
    one, world = one or session(), world or World()
    for octets, wanted in steps(script):
        got = world.talk(one, octets).decode("ascii").split("\r\n")[:-1]
        assert len(got) == len(wanted), (octets, got)
        for line, beginning in zip(got, wanted, strict=True):
            assert line.startswith(beginning), (octets, line, beginning)
    return world.messages


HELLO = "C: EHLO c.example.net\nS: 250-\nS: 250-SIZE\nS: 250-8BIT\nS: 250-PIPELINING\nS: 250-ENH\nS: 250 HELP\n"
TO_BOB = (
    HELLO
    + """
C: MAIL FROM:<ann@example.net>
S: 250 2.1.0
C: RCPT TO:<bob@example.com>
S: 250 2.1.5
"""
)
IN_DATA = TO_BOB + "C: DATA\nS: 354\n"


def in_data(rules: Policy | None = None, offer: Offer | None = None) -> ServerSession:
    """A session in which mail data for bob comes next."""
    one = session(rules, offer)
    one.receive(b"EHLO c.example.net\r\nMAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
    assert one.state is State.DATA
    return one
