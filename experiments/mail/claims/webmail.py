"""Verdict on claim M3 of the course: webmail uses HTTP between users and servers, and SMTP between the servers.

Source: RFC 9110 section 9.3 (GET, POST) and RFC 5321 section 2.1 (the transfer of mail between servers).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.cache.wire.legs import status_of
from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Inconclusive, Verdict, decide, decides
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import PageLoad
from lab7.experiments.mail.wire.smtp import SmtpTraffic

HTTP_PORT, SMTP_PORT = 80, 25
# Ports of other mail protocols, to which the users' hosts must not connect for webmail.
MAIL_PORTS = {25: "SMTP", 465: "SMTP", 587: "SMTP", 110: "POP3", 995: "POP3", 143: "IMAP", 993: "IMAP"}


@dataclass(frozen=True)
class Screen:
    """Captured TCP connections of a webmail user's host; `load` are the parsed HTTP connections among them."""

    connections: Sequence[Connection]
    load: PageLoad


@dataclass(frozen=True)
class Webmail:
    """Captured traffic of one message sent by webmail: at the writer's host, between the servers, at the reader's host.

    text: the message's text; token: a word of the text that is the same in every encoding; sender, receiver: addresses
    of the two servers.
    """

    writes: Screen
    between: SmtpTraffic
    reads: Screen
    sender: str
    receiver: str
    token: bytes
    text: bytes


@decides("M3")
def decide_webmail(claim: str, webmail: Webmail) -> Verdict:
    """Decide claim M3: a webmail message goes by HTTP POST, SMTP between the servers, and HTTP response."""

    def check() -> Finding:
        for screen in (webmail.writes, webmail.reads):
            _only_http(screen)
        posted = _posted(webmail.writes.load, webmail.token)
        syn, transferred = _transferred(webmail)
        shown = _shown(webmail.reads.load, webmail.text)
        count = len(webmail.writes.load.exchanges) + len(webmail.reads.load.exchanges)
        return (
            f"The sender's browser submits the message in a POST (frame {posted}). The server "
            f"{webmail.sender} relays it by SMTP to port {SMTP_PORT} of {webmail.receiver} (SYN in frame "
            f"{syn}, mail data in frame {transferred}). The receiver's browser gets it in an HTTP response "
            f"(frame {shown}). The browsers send {count} HTTP requests and use no mail protocol."
        ), [posted, syn, transferred, shown]

    return decide(claim, [webmail.writes.load, webmail.reads.load, webmail.between], check)


def _only_http(screen: Screen) -> None:
    for connection in screen.connections:
        if connection.server.port in MAIL_PORTS:
            syn, port = connection.syn.frame, connection.server.port
            raise Contradiction(
                f"The SYN in frame {syn} goes to port {port} ({MAIL_PORTS[port]}), not to a web server.", syn
            )
    for conversation in screen.load.conversations:
        if conversation.problem is not None:
            frame = conversation.connection.syn.frame
            raise Contradiction(f"On the connection of frame {frame}: {conversation.problem}.", frame)


def _posted(load: PageLoad, token: bytes) -> int:
    """Check that the POST which submits the message is accepted; return the frame number of the POST."""
    for exchange in load.exchanges:
        if exchange.request.start_line[0] == b"POST" and token in exchange.request.body:
            if exchange.response is None or status_of(exchange.response) >= 400:
                raise Contradiction(
                    f"The POST in frame {exchange.request.frames[0]} is refused.", *exchange.request.frames
                )
            return exchange.request.frames[0]
    raise Inconclusive("No POST contains the message.")


def _transferred(webmail: Webmail) -> tuple[int, int]:
    """Check that SMTP carries the message unaltered from server to server.

    Return the frame numbers of (SYN, mail data).
    """
    for session in webmail.between.sessions:
        for message in session.messages:
            if webmail.token not in message.content or not message.taken:
                continue
            if webmail.text not in message.content:
                frame = message.data.frame
                raise Contradiction(
                    f"The message in frame {frame} does not contain the text that the sender wrote.", frame
                )
            ends = session.connection.client.address, session.connection.server.address
            if ends != (webmail.sender, webmail.receiver):
                raise Contradiction(
                    f"The message is sent from {ends[0]} to {ends[1]}, not between the two servers (frame "
                    f"{session.connection.syn.frame}).",
                    session.connection.syn.frame,
                )
            return session.connection.syn.frame, message.data.frame
    frame = webmail.between.sessions[0].connection.syn.frame
    raise Contradiction(
        f"No SMTP session between the servers carries the message (first session: frame {frame}).", frame
    )


def _shown(load: PageLoad, text: bytes) -> int:
    """Check that an HTTP response has the message's whole text; return its frame number."""
    found = [exchange for exchange in load.exchanges if _shows(exchange, text)]
    if not found:
        frame = load.exchanges[-1].request.frames[0] if load.exchanges else 0
        raise Contradiction(f"No response contains the message; the last request is in frame {frame}.", frame)
    response = found[0].response
    assert response is not None
    return response.frames[0]


def _shows(exchange: Exchange, text: bytes) -> bool:
    response = exchange.response
    return response is not None and status_of(response) == 200 and text in response.body
