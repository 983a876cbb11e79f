"""Verdicts on claims S1, S2, S4, S7 and S10 of the course: SMTP relaying, push, dialogue, connection reuse, closing.

    S1   mail goes from the sender's agent over both mail servers to the receiver's agent
    S2   SMTP uses TCP port 25 and pushes: the host that has the message opens the connection
    S4   the dialogue is 220, HELO 250, MAIL FROM 250, RCPT TO 250, DATA 354, text and a single dot 250, QUIT 221
    S7   one connection can carry several messages in turn
    S10  after QUIT, the receiver's server closes the TCP connection

A message takes three legs: submission to the sender's server, relaying to the receiver's server, and retrieval. They
are captured at four interfaces: those of Alice, the two servers, and Bob. The order of two events is decided at one
interface, where both are captured. Each function returns a Verdict; "undecided" means that the capture dropped packets,
has a gap, or lacks the traffic that the claim is about.

Source: RFC 5321 sections 2.1, 3.1, 3.3, 4.1.1.10, 4.2 and 4.3; RFC 6409 for the submission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lab7.experiments.harness.judge.frames import CaptureFile, Connection, ConnectionTraffic, connections
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, counted, decide, decides, in_frames
from lab7.experiments.mail.claims.delivery import Arrival, find_arrival, why_altered
from lab7.experiments.mail.wire.smtp import (
    BLANK_LINE,
    PORTS,
    SMTP_PORT,
    Message,
    SmtpExchange,
    SmtpSession,
    SmtpTraffic,
    smtp_traffic,
)
from lab7.experiments.mail.wire.smtp_grammar import Command

POP3_PORT, IMAP_PORT, WEB_PORT = 110, 143, 80


@dataclass(frozen=True)
class Addresses:
    """IP addresses of the four hosts: Alice's, the sender's server, the receiver's server, Bob's."""

    alice: str
    sender: str
    receiver: str
    bob: str


@dataclass(frozen=True)
class MailLegs:
    """Captured mail traffic of one run: SMTP at Alice's host and at both servers, POP3, IMAP and HTTP at Bob's host.

    reading: connections of Bob's agent to POP3 and IMAP servers; web: his connections to port 80; dropped_at_bob:
    number of packets that the capture lost there; who: IP addresses.
    """

    at_alice: SmtpTraffic
    at_sender: SmtpTraffic
    at_receiver: SmtpTraffic
    reading: tuple[Connection, ...]
    web: tuple[Connection, ...]
    dropped_at_bob: int
    who: Addresses

    @property
    def submitted(self) -> SmtpTraffic:
        """Return the SMTP traffic from Alice's user agent to the sender's server, captured at Alice's host."""
        return self.at_alice.to(self.who.sender)

    @property
    def relayed(self) -> SmtpTraffic:
        """Return the SMTP traffic between the servers, captured at the sender's server."""
        return self.at_sender.to(self.who.receiver)

    @property
    def retrieval(self) -> ConnectionTraffic:
        """Return the POP3 and IMAP traffic of Bob's user agent, captured at Bob's host."""
        return ConnectionTraffic(self.reading, self.dropped_at_bob)

    def within(self, windows: Sequence[tuple[int, int]]) -> MailLegs:
        """Return the captured mail traffic of connections whose SYN is in one of the time spans [start_ns, end_ns)."""

        def is_in(connection: Connection) -> bool:
            return any(start <= connection.syn.time_ns < end for start, end in windows)

        return replace(
            self,
            at_alice=self.at_alice.select(is_in),
            at_sender=self.at_sender.select(is_in),
            at_receiver=self.at_receiver.select(is_in),
            reading=tuple(filter(is_in, self.reading)),
            web=tuple(filter(is_in, self.web)),
        )


def mail_legs(captured: CaptureFile, interfaces: Sequence[str], who: Addresses) -> MailLegs:
    """Parse the mail traffic at four interfaces: Alice's, the sender's server's, the receiver's server's, Bob's.

    Raises KeyError if the capture lacks one of the interfaces.
    """
    alice, sender, receiver = (smtp_traffic(captured, interface) for interface in interfaces[:3])
    at_bob = [
        connection for connection in connections(captured.at(interfaces[3])) if connection.client.address == who.bob
    ]
    reading = tuple(connection for connection in at_bob if connection.server.port in (POP3_PORT, IMAP_PORT))
    web = tuple(connection for connection in at_bob if connection.server.port == WEB_PORT)
    return MailLegs(alice, sender, receiver, reading, web, captured.dropped(interfaces[3]), who)


@decides("S1")
def decide_relaying(claim: str, legs: MailLegs, composed: Sequence[bytes] = ()) -> Verdict:
    """Decide claim S1: every submitted message is relayed to the receiver's server and retrieved there.

    Servers may change a message only as RFC 5321 and RFC 6409 permit (see `delivery`). `composed`: the messages that
    the agent composed, all of which must be submitted.
    """

    def check() -> Finding:
        who = legs.who
        handed = _taken(legs.submitted, "submits")
        for content in composed:
            _same(content, handed, "submitted", handed[0].data.frame)
        for session in (*legs.at_alice.sessions, *legs.at_receiver.sessions):
            ends = (session.connection.client.address, session.connection.server.address)
            if ends not in ((who.alice, who.sender), (who.sender, who.receiver)):
                frame = session.connection.syn.frame
                raise Contradiction(
                    f"SMTP connection from {ends[0]} to {ends[1]} in frame {frame}: it "
                    "bypasses one of the two servers.",
                    frame,
                )
        ways = [(one, _passed_on(one, legs.relayed), _read(one, legs)) for one in handed]
        message, passed, (read, arrival) = ways[0]
        frames = [message.data.frame, passed.data.frame, arrival.frame]
        frame = arrival.frame
        protocol = "POP3" if read.server.port == POP3_PORT else "IMAP"
        return (
            f"All three legs carry {counted(len(handed), 'message')} unaltered: the first by SMTP from the "
            f"agent {who.alice} to its server {who.sender} (frame {frames[0]}), by SMTP from there to the "
            f"server {who.receiver} (frame {frames[1]}), and by {protocol} from there to the agent {who.bob} "
            f"(frame {frame})."
        ), frames

    return decide(claim, [legs.retrieval, legs.submitted, legs.relayed], check)


@decides("S2")
def decide_push_between_servers(claim: str, legs: MailLegs) -> Verdict:
    """Decide claim S2: the server that sends a message opens the SMTP connection, to port 25."""
    both = [legs.relayed, legs.at_sender.to(legs.who.sender)]

    def check() -> Finding:
        refused = [message for message in legs.relayed.messages if not message.taken]
        if refused:
            frame = refused[0].data.frame
            raise Contradiction(
                f"The receiving server refuses a message: {refused[0].sent.described} in frame {frame}.", frame
            )
        pushed = [_pushes(session, both[1]) for session in legs.relayed.sessions if session.messages]
        if not pushed:
            raise Contradiction(
                "No message is relayed from server to server.", legs.relayed.sessions[0].connection.syn.frame
            )
        back = [one.connection for one in legs.at_sender.sessions] + [
            connection for connection in legs.at_sender.others if connection.server.port in PORTS
        ]
        back = [connection for connection in back if connection.client.address == legs.who.receiver]
        if back:
            frame = back[0].syn.frame
            raise Contradiction(
                f"The receiving server opens a connection to the sender's server in frame {frame}.", frame
            )
        came, syn, went = pushed[0]
        return (
            f"{counted(len(pushed), 'connection')} from {legs.who.sender} to port {SMTP_PORT} of "
            f"{legs.who.receiver}, opened by the server that held the message: it received the first message "
            f"in frame {came}, sends the SYN in frame {syn} and the message in frame {went}. The receiving "
            "server opens no connection."
        ), [came, syn, went]

    return decide(claim, both, check)


@decides("S4")
def decide_smtp_dialogue(claim: str, traffic: Sequence[SmtpTraffic]) -> Verdict:
    """Decide claim S4: all sessions follow the dialogue of RFC 5321, and at least one carries a message."""

    def check() -> Finding:
        sessions = [one for every in traffic for one in every.sessions]
        if not any(one.messages for one in sessions):
            raise Contradiction("No session carries a message.", traffic[0].sessions[0].connection.syn.frame)
        for session in sessions:
            transcript(session)
        carrying = [one for one in sessions if one.messages]
        plain = next((one for one in carrying if one.exchanges_of("HELO")), carrying[0])
        said = ", ".join(_short(exchange) for exchange in plain.exchanges)
        opened = {verb: sum(bool(one.exchanges_of(verb)) for one in sessions) for verb in ("HELO", "EHLO")}
        assert plain.greeting is not None
        frames = [plain.greeting.frame, *(frame for exchange in plain.exchanges for frame in exchange.frames)]
        return (
            f"{counted(len(sessions), 'session')} ({opened['HELO']} with HELO, {opened['EHLO']} with EHLO) "
            f"follow the grammar in every line; the session of frame {plain.connection.syn.frame} reads: 220, "
            f"{said}."
        ), frames

    return decide(claim, traffic, check)


@decides("S7")
def decide_messages_per_connection(
    claim: str, traffic: SmtpTraffic, count: int, delivered: Sequence[bytes] | None = None
) -> Verdict:
    """Decide claim S7: one connection carries `count` messages in turn, each accepted with a separate 250.

    delivered: the bodies in the receiver's mailbox, which must include the bodies of all messages; None if not
    inspected.
    """

    def check() -> Finding:
        several = [one for one in traffic.sessions if len(one.messages) > 1]
        if not several:
            frame = traffic.sessions[0].connection.syn.frame
            raise Contradiction(f"None of {len(traffic.sessions)} connections carries more than one message.", frame)
        session = max(several, key=lambda one: len(one.messages))
        missing = [message for message in session.messages if not message.taken]
        if missing or len(session.messages) != count:
            frame = session.connection.syn.frame
            raise Contradiction(
                f"The connection of frame {frame} carries {len(session.messages) - len(missing)} accepted "
                f"messages, not {count}.",
                frame,
            )
        frames = [session.connection.syn.frame, *(message.sent.frames[-1] for message in session.messages)]
        lost = Counter(message.body for message in session.messages) - Counter(delivered or ())
        if delivered is not None and lost:
            raise Contradiction(
                f"{lost.total()} of the {count} messages on the connection of frame {frames[0]} are missing "
                "in the mailbox, or altered there.",
                *frames,
            )
        return (
            f"One connection (SYN in frame {frames[0]}) carries {count} messages, each accepted with 250 "
            f"({in_frames(frames[1:])}), before QUIT."
        ), frames

    return decide(claim, [traffic], check)


@decides("S10")
def decide_closing(claim: str, traffic: SmtpTraffic) -> Verdict:
    """Decide claim S10: after QUIT and 221 the server sends the first FIN, in a capture at the receiver."""

    def check() -> Finding:
        ended = [one for one in traffic.sessions if one.exchanges_of("QUIT")]
        if not ended:
            raise Contradiction("No session has a QUIT.", traffic.sessions[0].connection.syn.frame)
        for session in ended:
            _server_ends(session)
        first = ended[0]
        quit_, fin = first.exchanges_of("QUIT")[0], first.connection.from_server.fin
        assert fin is not None
        return (
            f"After QUIT, in {counted(len(ended), 'connection')}, the server sends the first FIN: in the "
            f"first of them QUIT in frame {quit_.command.frame}, 221 in frame {quit_.frames[-1]}, FIN in "
            f"frame {fin.frame}."
        ), [*quit_.frames, fin.frame]

    return decide(claim, [traffic], check)


def transcript(session: SmtpSession) -> None:
    """Raise Contradiction unless a session has only commands and replies of RFC 5321 section 3.3, in a valid order."""
    frame = session.connection.syn.frame
    if session.greeting is None or session.greeting.code != 220:
        raise Contradiction(f"The session of frame {frame} does not begin with 220.", frame)
    expected = _OPENING
    for exchange in session.exchanges:
        if isinstance(exchange.command, Command) and exchange.verb != "" and exchange.command.why_malformed is not None:
            raise Contradiction(
                f"The command in frame {exchange.command.frame} is malformed: {exchange.command.why_malformed}.",
                exchange.command.frame,
            )
        if exchange.verb not in expected or exchange.code not in expected[exchange.verb]:
            where = ", ".join(f"{verb} {'/'.join(map(str, codes))}" for verb, codes in expected.items())
            raise Contradiction(
                f"{exchange.described} in frame {exchange.command.frame}, but at this point RFC 5321 permits "
                f"only {where}.",
                exchange.command.frame,
            )
        expected = _NEXT[exchange.verb]
    if not session.exchanges or session.exchanges[-1].verb != "QUIT":
        raise Contradiction(f"The session of frame {frame} does not end with QUIT.", frame)


# Commands permitted next, with permitted replies (RFC 5321 sections 4.1.4 and 4.3.2, RFC 4954 section 4).
_Allowed = dict[str, tuple[int, ...]]
_OPENING: _Allowed = {"HELO": (250,), "EHLO": (250,)}
_BETWEEN: _Allowed = {"MAIL": (250,), "QUIT": (221,)}
_NEXT: dict[str, _Allowed] = {
    "HELO": _BETWEEN,
    "EHLO": {**_BETWEEN, "AUTH": (235,)},
    "AUTH": _BETWEEN,
    "MAIL": {"RCPT": (250, 251)},
    "RCPT": {"RCPT": (250, 251), "DATA": (354,)},
    "DATA": {".": (250,)},
    ".": _BETWEEN,
    "QUIT": {},
}


def _short(one: SmtpExchange) -> str:
    names = {"MAIL": "MAIL FROM", "RCPT": "RCPT TO", ".": "the mail data up to the line with a dot"}
    return f"{names.get(one.verb, one.verb)} {one.code}"


def _taken(traffic: SmtpTraffic, what: str) -> list[Message]:
    found = [message for message in traffic.messages if message.taken]
    if not found:
        raise Contradiction(f"The client {what} no message.", traffic.sessions[0].connection.syn.frame)
    return found


def _passed_on(message: Message, relayed: SmtpTraffic) -> Message:
    taken, frame = [one for one in relayed.messages if one.taken], message.data.frame
    return _same(message.content, taken, "relayed to the receiving server", frame)


def _same(content: bytes, among: Sequence[Message], what: str, frame: int) -> Message:
    """Return the message in `among` that equals `content`, apart from changes that RFCs permit servers.

    Raises Contradiction if it is absent or altered.
    """
    body = content.partition(BLANK_LINE)[2]
    same = [one for one in among if one.body == body]
    if not same:
        raise Contradiction(f"The message of frame {frame} was not {what}.", frame)
    why = [why_altered(content, one.content) for one in same]
    if None not in why:
        where = same[0].data.frame
        raise Contradiction(f"The message was {what} in frame {where}, but altered: {why[0]}.", where)
    return same[why.index(None)]


def _read(message: Message, legs: MailLegs) -> tuple[Connection, Arrival]:
    """Check that Bob's user agent retrieves a message unaltered; return (connection, message as retrieved)."""
    mine = [one for one in legs.reading if one.server.address == legs.who.receiver]
    found = find_arrival(message.content, mine)
    if found is None:
        frame = message.data.frame
        raise Contradiction(f"The message of frame {frame} is not retrieved by the receiver's agent.", frame)
    return found


def _pushes(session: SmtpSession, submitted: SmtpTraffic) -> tuple[int, int, int]:
    """Check that a server already has a message when it opens the connection to port 25 on which it sends the message.

    Returns the frame numbers of (mail data of the submission, SYN, mail data of the transfer).
    """
    connection, first = session.connection, session.messages[0]
    if connection.server.port != SMTP_PORT:
        raise Contradiction(
            f"The connection of frame {connection.syn.frame} goes to {connection.server}, not to port {SMTP_PORT}.",
            connection.syn.frame,
        )
    came = [message.data.frame for message in submitted.messages if message.body == first.body]
    if not came or min(came) > connection.syn.frame:
        frame = connection.syn.frame
        raise Contradiction(
            f"The connection of frame {frame} is opened before its client has received the message.", frame
        )
    return min(came), connection.syn.frame, first.data.frame


def _server_ends(session: SmtpSession) -> None:
    quit_, ours, theirs = (
        session.exchanges_of("QUIT")[0],
        session.connection.from_server.fin,
        session.connection.from_client.fin,
    )
    frame = quit_.command.frame
    if quit_.code != 221:
        raise Contradiction(f"{quit_.described} in frame {frame}, not 221.", frame)
    if ours is None:
        raise Contradiction(f"After the QUIT of frame {frame} the server does not close the connection.", frame)
    if theirs is not None and theirs.frame < ours.frame:
        raise Contradiction(
            f"After the QUIT of frame {frame} the client closes first, in frame {theirs.frame}.",
            theirs.frame,
            ours.frame,
        )
