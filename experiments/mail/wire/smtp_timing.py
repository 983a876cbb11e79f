"""Decomposition of a mail transfer's duration into DNS lookup, TCP handshake, SMTP dialogue and transmission.

    dns             a query sent                                 to  its response received
    tcp_handshake   SYN sent                                     to  SYN-ACK received
    dialogue        SYN-ACK received                             to  the greeting received
                    a command, or the first of the mail data, sent   to  its reply received
    transmission    first segment of the mail data arrived at the server   to  the last one arrived there

The first three terms are captured at the client's interface. Transmission is captured at the server's interface, since
a client sends its segments at once and they arrive at the link's rate. Where intervals overlap, the time counts for the
term that is last in this table: arriving mail data are transmission, not dialogue. Time that no interval covers is
residual: the programs' own processing. The terms and the residual therefore sum to the total exactly.

For a line protocol with one request at a time (POP3), `line_intervals` decomposes a connection in the same way,
captured at the client alone: server data are transmission from the first segment to the last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, dns_intervals, sum_up
from lab7.experiments.harness.judge.frames import Connection, Frame
from lab7.experiments.mail.wire.smtp import SmtpSession, SmtpTraffic

# Terms in order of priority: time in overlapping intervals counts for the first term.
MAIL_TERMS = ("transmission", "dialogue", "tcp_handshake", "dns")


def divide(intervals: Iterable[Interval], start_ns: int, end_ns: int) -> Decomposition:
    """Divide the time [start_ns, end_ns) into terms, by intervals that each belong to a term.

    Time in no interval is the term `residual`.
    """
    return sum_up(intervals, start_ns, end_ns, MAIL_TERMS)


def smtp_intervals(sessions: Iterable[SmtpSession], at_server: SmtpTraffic) -> Iterator[Interval]:
    """Yield the time intervals of SMTP sessions, each named by a term: tcp_handshake, dialogue or transmission.

    `at_server`: the same sessions captured at the server.
    """
    for session in sessions:
        yield from _dialogue(session)
        for message in (one for there in at_server.sessions if _is_same(there, session) for one in there.messages):
            times = [piece.time_ns for piece in message.data.pieces]
            yield Interval("transmission", min(times), max(times))


def _is_same(there: SmtpSession, here: SmtpSession) -> bool:
    """Return True if two sessions, captured at both ends, are the same connection, not a later one on the same port."""
    begun, ended = here.connection.syn.time_ns, max((reply.last_ns for reply in here.replies), default=0)
    return there.connection.client == here.connection.client and begun <= there.connection.syn.time_ns <= ended


def _dialogue(session: SmtpSession) -> Iterator[Interval]:
    answer = session.connection.from_server.syn
    if answer is None:
        return
    yield Interval("tcp_handshake", session.connection.syn.time_ns, answer.time_ns)
    if session.greeting is not None:
        yield Interval("dialogue", answer.time_ns, session.greeting.last_ns)
    for exchange in session.exchanges:
        if exchange.final is not None:
            yield Interval("dialogue", exchange.command.first_ns, exchange.final.last_ns)


def line_intervals(connection: Connection) -> Iterator[Interval]:
    """Yield the time intervals of a connection with one request at a time (such as POP3), captured at the client.

    Each is named by a term: tcp_handshake, dialogue or transmission.
    """
    answer = connection.from_server.syn
    if answer is None:
        return
    yield Interval("tcp_handshake", connection.syn.time_ns, answer.time_ns)
    asked = [answer.time_ns, *(piece.time_ns for piece in connection.from_client.stream.pieces)]
    answers = sorted(piece.time_ns for piece in connection.from_server.stream.pieces)
    for begun, until in zip(asked, [*asked[1:], 1 << 63], strict=True):
        between = [one for one in answers if begun <= one < until]
        if between:
            yield Interval("dialogue", begun, between[0])
            yield Interval("transmission", between[0], between[-1])


def lookups(frames: Sequence[Frame], client: str, start_ns: int, end_ns: int) -> list[Interval]:
    """Return the time intervals of a host's DNS lookups that begin within [start_ns, end_ns)."""
    of_client = [frame for frame in frames if _is_between(frame, client)]
    return [interval for interval in dns_intervals(of_client) if start_ns <= interval.start_ns < end_ns]


def _is_between(frame: Frame, host: str) -> bool:
    packet = frame.packet
    return "IP" in packet and host in (packet["IP"].src, packet["IP"].dst)
