"""Verdict on claim M4 of the course: HTTP pulls and SMTP pushes.

In HTTP the receiver of the payload opens the TCP connection (pull), in SMTP the sender of the payload opens it (push).
In both protocols, commands and responses are lines of ASCII, and a response has a code of three digits.

Source: RFC 9112 sections 2 to 4; RFC 5321 sections 2.3.3, 4.1 and 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.cache.wire.legs import status_of
from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Inconclusive, Verdict, decide, decides
from lab7.experiments.http.claims.http1 import response_of
from lab7.experiments.http.wire.http1 import Conversation
from lab7.experiments.http.wire.page_load import PageLoad
from lab7.experiments.mail.claims.delivery import why_altered
from lab7.experiments.mail.wire.smtp import Message, SmtpSession, SmtpTraffic
from lab7.experiments.mail.wire.smtp_grammar import Command

HTTP_PORT, SMTP_PORT = 80, 25


@dataclass(frozen=True)
class Pull:
    """Captured HTTP page load, the content expected in a response (`payload`), and the client's address (`wants`)."""

    load: PageLoad
    payload: bytes
    wants: str


@dataclass(frozen=True)
class Push:
    """Captured SMTP traffic between two servers, the message expected in it, and the servers' addresses.

    `content`: the message; `holds`: address of the server that sends it; `gets`: address of the server that receives
    it.
    """

    traffic: SmtpTraffic
    content: bytes
    holds: str
    gets: str


@decides("M4")
def decide_push_and_pull(claim: str, pulls: Sequence[Pull], pushes: Sequence[Push]) -> Verdict:
    """Decide claim M4 (HTTP pulls, SMTP pushes) from HTTP page loads and SMTP deliveries.

    The deliveries should be in both directions between two servers.
    """

    def check() -> Finding:
        pulled = [_pulled(one) for one in pulls]
        pushed = [_pushed(pushe) for pushe in pushes]
        lines = sum(_http_lines(one.load) for one in pulls) + sum(_smtp_lines(pushe.traffic) for pushe in pushes)
        pull, push = pulled[0], pushed[0]
        pairs = zip(pushes, pushed, strict=True)
        ways = ", ".join(f"{one.holds} connects to {one.gets} (frame {frame})" for one, frame in pairs)
        return (
            f"HTTP pulls: {pulls[0].wants} opens the connection (SYN in frame {pull}) and receives "
            f"{len(pulls[0].payload)} octets. SMTP pushes: the host with the message opens the connection and "
            f"sends it: {ways}. All {lines} command and status lines are ASCII, and every response has a "
            "status code of three digits."
        ), [pull, push]

    return decide(claim, [*(one.load for one in pulls), *(pushe.traffic for pushe in pushes)], check)


def _pulled(pull: Pull) -> int:
    """Check that the client opened the connection on which it receives the object.

    Return the frame number of the SYN.
    """
    for conversation in pull.load.conversations:
        for exchange in conversation.exchanges:
            if exchange.response is not None and exchange.response.body == pull.payload:
                _opened_by(conversation.connection, pull.wants, "requests the object")
                _asks_with_less(conversation)
                return conversation.connection.syn.frame
    frame = pull.load.conversations[0].connection.syn.frame
    raise Contradiction(f"No HTTP response contains the object (first connection: frame {frame}).", frame)


def _asks_with_less(conversation: Conversation) -> None:
    connection = conversation.connection
    sent, got = len(connection.from_client.stream.data), len(connection.from_server.stream.data)
    if sent >= got:
        raise Contradiction(
            f"The client sends {sent} octets on the connection of frame {connection.syn.frame} and receives "
            f"only {got}.",
            connection.syn.frame,
        )


def _opened_by(connection: Connection, address: str, why: str) -> None:
    if connection.client.address != address:
        raise Contradiction(
            f"The SYN in frame {connection.syn.frame} comes from {connection.client.address}, not from {address}, "
            f"which {why}.",
            connection.syn.frame,
        )


def message_with(traffic: SmtpTraffic, content: bytes) -> tuple[SmtpSession, Message] | None:
    """Return (session, message) for the accepted message with this content in SMTP traffic; None if there is none.

    Changes that the RFCs permit servers are ignored.
    """
    for session in traffic.sessions:
        for message in session.messages:
            if message.taken and why_altered(content, message.content) is None:
                return session, message
    return None


def _pushed(push: Push) -> int:
    """Check that the sender opened the connection on which it sends the message.

    Return the frame number of the SYN.
    """
    found = message_with(push.traffic, push.content)
    if found is None:
        frame = push.traffic.sessions[0].connection.syn.frame
        raise Contradiction(f"No SMTP session carries the message unaltered (first session: frame {frame}).", frame)
    session, _ = found
    connection = session.connection
    _opened_by(connection, push.holds, "has the message")
    if connection.server.address != push.gets or connection.server.port != SMTP_PORT:
        raise Contradiction(
            f"The SYN in frame {connection.syn.frame} goes to {connection.server}, not to {push.gets}:{SMTP_PORT}.",
            connection.syn.frame,
        )
    return connection.syn.frame


def _http_lines(load: PageLoad) -> int:
    """Check that every request and status line is well-formed, and return the number of these lines."""
    lines = 0
    for conversation in load.conversations:
        frame = conversation.connection.syn.frame
        if conversation.problem is not None:
            raise Contradiction(f"On the connection of frame {frame}: {conversation.problem}.", frame)
        for exchange in conversation.exchanges:
            words = [*exchange.request.start_line, *response_of(exchange).start_line]
            if not all(word.isascii() for word in words) or not 100 <= status_of(response_of(exchange)) <= 599:
                raise Contradiction(
                    f"The command in frame {exchange.request.frames[0]} or its response is malformed.", frame
                )
            lines += 2
    return lines


def _smtp_lines(traffic: SmtpTraffic) -> int:
    lines = 0
    for session in traffic.sessions:
        for reply in session.replies:
            lines += len(reply.lines)
        for exchange in session.exchanges:
            if isinstance(exchange.command, Command):
                lines += 1
                if not exchange.command.octets.isascii():
                    raise Contradiction(
                        f"{exchange.text!r} in frame {exchange.command.frame} is not ASCII.", exchange.command.frame
                    )
    if not lines:
        raise Inconclusive("The capture has no command of SMTP.")
    return lines
