"""SMTP test scripts: `C:` lines sent by the client, `S:` lines expected from the server.

An `S:` line is the beginning of a reply line: its code, and the enhanced code if there is one; the text is free. Lines
with neither prefix continue the line before.
"""

from dataclasses import replace
from typing import Any

from lab7.services.mail.accounts import Accounts
from lab7.services.mail.smtp.commands import Accept, CheckPassword, StartTLS, State
from lab7.services.mail.smtp.policy import Client, Policy
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from lab7.services.mail.smtp.syntax import Reply

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
    """Return the policy of example.com, with the accounts above."""
    return replace(Policy(Accounts(ACCOUNTS, ["example.com", "example.org"])), **changes)


def session(rules: Policy | None = None, offer: Offer | None = None, address: str = STRANGER) -> ServerSession:
    """Return a session after its greeting."""
    made = ServerSession(rules or policy(), offer or Offer("mx.example.com"), Client(address))
    made.greeting()
    return made


class World:
    """Completes the requests of sessions, as a connection does, and stores the messages."""

    def __init__(self, accepted: Reply = QUEUED) -> None:
        self.accepted = accepted
        self.messages: list[Accept] = []

    def talk(self, one: ServerSession, octets: bytes) -> bytes:
        """Feed octets and return all replies."""
        out = one.receive(octets)
        while one.request is not None:
            out += self._answer(one)
        return out

    def _answer(self, one: ServerSession) -> bytes:
        request = one.request
        if isinstance(request, Accept):
            self.messages.append(request)
            return one.accepted(self.accepted)
        if isinstance(request, CheckPassword):
            return one.authenticated(Accounts(ACCOUNTS, ["example.com"]).check(request.user, request.password))
        assert isinstance(request, StartTLS)
        return one.tls_started("TLSv1.3")


def steps(script: str) -> list[tuple[bytes, list[str]]]:
    """Parse a script into pairs of octets to send and prefixes of the expected lines."""
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
    """Run a script and compare all replies; returns the accepted messages."""
    one, world = one or session(), world or World()
    for octets, wanted in steps(script):
        got = world.talk(one, octets).decode("ascii").split("\r\n")[:-1]
        assert len(got) == len(wanted), (octets, got)
        for line, beginning in zip(got, wanted, strict=True):
            assert line.startswith(beginning), (octets, line, beginning)
    return world.messages


EXTENSIONS = ("SIZE", "8BIT", "PIPELINING", "ENH", "DSN", "CHUNKING", "SMTPUTF8")
HELLO = "C: EHLO c.example.net\nS: 250-\n" + "".join(f"S: 250-{word}\n" for word in EXTENSIONS) + "S: 250 HELP\n"
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
    """Return a session in state DATA, with bob as recipient."""
    one = session(rules, offer)
    one.receive(b"EHLO c.example.net\r\nMAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
    assert one.state is State.DATA
    return one
