"""Decomposition of the duration of an FTP session into terms, from packets captured at the client.

    control_handshake  SYN of the control connection sent   to  SYN-ACK received
    dialogue           SYN-ACK received                     to  the greeting received
                       a command not listed below sent      to  its reply received
    announcement       PORT or PASV sent                    to  its reply received
    data_handshake     passive mode: SYN sent               to  SYN-ACK received
                       active mode: SYN-ACK sent            to  ACK received
    request            transfer command sent                to  first octet of its data received
    transmission       first octet of its data received     to  last octet
    confirmation       last octet received                  to  the final reply

The duration is the time from the first SYN to the final reply to the last transfer; later commands (QUIT) are not part
of it. If several of these intervals overlap, the overlap counts for one term, the first of: transmission,
data_handshake, confirmation, request, announcement, dialogue, control_handshake. For example, a handshake that the
server begins in response to RETR is data_handshake, not request. Time that no interval covers is the client's own
processing, the term `residual`. The terms therefore sum to the total exactly. For uploads, request ends with the first
octet that the client sends.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab7.experiments.ftp.wire.sessions import FtpExchange, FtpSession, Transfer
from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, sum_up

# Terms of a session's duration in order of priority: time in overlapping intervals counts for the first term.
FTP_TERMS = (
    "transmission",
    "data_handshake",
    "confirmation",
    "request",
    "announcement",
    "dialogue",
    "control_handshake",
)


def decompose_session(session: FtpSession) -> Decomposition:
    """Divide the duration of an FTP session into FTP_TERMS. Raises ValueError if no transfer succeeded."""
    start_ns, end_ns = span_of(session)
    intervals = [
        *_dialogue(session),
        *(each for transfer in session.transfers for each in _of_transfer(transfer, session)),
    ]
    return sum_up(intervals, start_ns, end_ns, FTP_TERMS)


def span_of(session: FtpSession) -> tuple[int, int]:
    """Return start and end of an FTP session in ns: its first SYN, and the final reply to its last successful transfer.

    Raises ValueError if no transfer succeeded.
    """
    ends = [
        transfer.exchange.final.last_ns
        for transfer in session.transfers
        if transfer.done and transfer.exchange.final is not None
    ]
    if not ends:
        raise ValueError("a session without a transfer has no duration")
    return session.connection.syn.time_ns, max(ends)


def segment_sizes(session: FtpSession) -> tuple[list[int], list[int]]:
    """Return the sizes in octets of all segments up to the last transfer's end.

    The result has one list for the control connection and one for all data connections.
    """
    _, end_ns = span_of(session)
    # Leave out commands that the client sends right after the last reply, which are not part of the session's time.
    control = [len(segment.payload) for segment in session.connection.from_client.segments if segment.time_ns < end_ns]
    control += [
        len(segment.payload) for segment in session.connection.from_server.segments if segment.time_ns <= end_ns
    ]
    ways = [transfer.direction for transfer in session.transfers if transfer.done and transfer.direction is not None]
    return control, [len(segment.payload) for way in ways for segment in way.segments]


def other_commands(session: FtpSession) -> list[FtpExchange]:
    """Return the commands, with replies, that neither transfer data nor announce an endpoint, such as USER and TYPE."""
    theirs = [transfer.exchange for transfer in session.transfers]
    theirs += [transfer.announced.exchange for transfer in session.transfers if transfer.announced is not None]
    last = max((session.exchanges.index(transfer.exchange) for transfer in session.transfers), default=0)
    return [exchange for exchange in session.exchanges[:last] if not any(exchange is their for their in theirs)]


def _dialogue(session: FtpSession) -> Iterator[Interval]:
    answer = session.connection.from_server.syn
    if answer is not None:
        yield Interval("control_handshake", session.connection.syn.time_ns, answer.time_ns)
        if session.greeting:
            yield Interval("dialogue", answer.time_ns, session.greeting[-1].last_ns)
    for command in other_commands(session):
        if command.final is not None:
            yield Interval("dialogue", command.command.last_ns, command.final.last_ns)


def _of_transfer(transfer: Transfer, session: FtpSession) -> Iterator[Interval]:
    asked = transfer.exchange.command
    if transfer.announced is not None and transfer.announced.exchange.final is not None:
        said = transfer.announced.exchange
        assert said.final is not None
        yield Interval("announcement", said.command.last_ns, said.final.last_ns)
    yield from _handshake(transfer, session)
    pieces = transfer.stream.pieces
    final = transfer.exchange.final
    if pieces:
        first, last = min(piece.time_ns for piece in pieces), max(piece.time_ns for piece in pieces)
        yield Interval("request", asked.last_ns, first)
        yield Interval("transmission", first, last)
        if final is not None:
            yield Interval("confirmation", last, final.last_ns)
    elif final is not None:
        yield Interval("request", asked.last_ns, final.last_ns)


def _handshake(transfer: Transfer, session: FtpSession) -> Iterator[Interval]:
    """Yield the time interval of a data connection's handshake at the client, if captured.

    The interval is from SYN to SYN-ACK in passive mode, and from SYN-ACK to ACK in active mode.
    """
    made = transfer.connection
    if made is None:
        return
    begun, ended = made.from_client.syn, made.from_server.syn
    if made.client.address == session.connection.server.address:
        begun, ended = made.from_server.syn, made.from_client.first_ack
    if begun is not None and ended is not None:
        yield Interval("data_handshake", begun.time_ns, ended.time_ns)
