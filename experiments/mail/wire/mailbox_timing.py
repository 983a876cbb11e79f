"""Decomposition of a POP3 or IMAP session's duration into TCP handshake, phases of the session, and transmission.

    tcp_handshake   SYN sent                              to  SYN-ACK received
    greeting        SYN-ACK received                      to  the greeting received
    authorization   last octet of a command sent          to  the first octet of its reply received, for the command
                                                              that authenticates the user and earlier commands
    selection       as for authorization                      for commands that open, count or search a mailbox
    retrieval       as for authorization                      for commands that return messages or parts of them
    transmission    first octet of a reply received       to  its last octet
    farewell        last octet of the command sent        to  its reply received, for QUIT and LOGOUT

The total runs from the SYN to the reply to QUIT or LOGOUT. Time in no interval is residual: processing time of the
client.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, sum_up
from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.mail.wire.imap import ImapSession
from lab7.experiments.mail.wire.pop3 import Pop3Session

MAIL_TERMS = ("farewell", "transmission", "retrieval", "selection", "authorization", "greeting", "tcp_handshake")
KINDS = {
    "selection": ("STAT", "LIST", "UIDL", "SELECT", "EXAMINE", "SEARCH", "STATUS"),
    "retrieval": ("TOP", "RETR", "FETCH"),
    "farewell": ("QUIT", "LOGOUT"),
}
_KIND = {verb: kind for kind, verbs in KINDS.items() for verb in verbs}
# A Step is (verb, time of the command's last octet, times of the reply's first and last octet), in ns.
Step = tuple[str, int, int, int]


def decompose_pop3(session: Pop3Session) -> Decomposition:
    """Return a POP3 session's duration, divided into terms. Raises ValueError without a reply."""
    steps = [
        (exchange.verb, exchange.command.last_ns, exchange.final.first_ns, exchange.final.last_ns)
        for exchange in session.exchanges
        if exchange.final is not None
    ]
    return _sum_up(session.connection, session.greeting.last_ns if session.greeting else None, steps)


def decompose_imap(session: ImapSession) -> Decomposition:
    """Return an IMAP session's duration, divided into terms. Raises ValueError without a reply."""
    steps = [
        (exchange.verb, exchange.command.last_ns, exchange.first_ns, exchange.final.last_ns)
        for exchange in session.exchanges
        if exchange.final is not None and exchange.first_ns is not None
    ]
    return _sum_up(session.connection, session.greeting.last_ns if session.greeting else None, steps)


def _sum_up(connection: Connection, greeted_ns: int | None, steps: Iterable[Step]) -> Decomposition:
    steps = list(steps)
    if not steps:
        raise ValueError("a session without an answer has no duration")
    intervals = [*_opening(connection, greeted_ns), *(each for step in steps for each in _of(step))]
    return sum_up(intervals, connection.syn.time_ns, max(last_ns for *_, last_ns in steps), MAIL_TERMS)


def _opening(connection: Connection, greeted_ns: int | None) -> Iterator[Interval]:
    answer = connection.from_server.syn
    if answer is not None:
        yield Interval("tcp_handshake", connection.syn.time_ns, answer.time_ns)
        if greeted_ns is not None:
            yield Interval("greeting", answer.time_ns, greeted_ns)


def _of(step: Step) -> Iterator[Interval]:
    verb, asked_ns, first_ns, last_ns = step
    kind = _KIND.get(verb, "authorization")
    if kind == "farewell":
        yield Interval(kind, asked_ns, last_ns)
        return
    yield Interval(kind, asked_ns, first_ns)
    yield Interval("transmission", first_ns, last_ns)
