"""Captured dialogues of line-based protocols (SMTP, POP3, IMAP, FTP control): lines, exchanges, sessions.

    C: USER ann<CRLF>                                    command line: a Request
    S: 331 Please give the password.<CRLF>               its reply; both together are an Exchange
    C: PASS secret<CRLF>
    S: 230 Logged in.<CRLF>

Each protocol's grammar parses the two streams of a connection into lines; the protocol's session parser pairs command
and reply lines into exchanges. The types here hold the parts that all these protocols have in common: the frames of a
line, a request with its replies, a connection with its exchanges in order, and the sessions at one interface, from
which claims about a protocol are decided (`verdict.Traffic`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Generic, Self, TypeVar

from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.harness.judge.reassembly import Piece
from lab7.experiments.harness.judge.verdict import Contradiction


@dataclass(frozen=True)
class Line:
    """Command or reply line of a line-based protocol, with the frames and times of the octets that carried it.

    `octets` include continuation lines and literals (RFC 3501 section 4.3).
    """

    octets: bytes
    pieces: tuple[Piece, ...]

    @property
    def frame(self) -> int:
        """Return the number of the frame that carried the line's last octet."""
        return self.pieces[-1].frame

    @property
    def first_ns(self) -> int:
        """Return the arrival time in ns of the line's first octet."""
        return self.pieces[0].time_ns

    @property
    def last_ns(self) -> int:
        """Return the latest arrival time in ns of any octet of the line, even if a retransmitted octet arrived last."""
        return max(piece.time_ns for piece in self.pieces)

    @property
    def text(self) -> str:
        """Return the first physical line, decoded for evidence texts."""
        return self.octets.partition(b"\r\n")[0].decode(errors="replace")


@dataclass(frozen=True)
class Request(Line):
    """Command line of the client, to which the server replies; `verb` is in capitals."""

    verb: str


L = TypeVar("L", bound=Line)


def valid_lines(lines: Iterable[L], violation: type[ValueError]) -> tuple[list[L], ValueError | None]:
    """Return (lines before the first violation of the grammar, exception for this violation or None).

    After the reply that starts TLS, the octets are not lines and violate every grammar; callers ignore that violation.
    """
    found: list[L] = []
    try:
        for line in lines:
            found.append(line)
    except violation as error:
        return found, error
    return found, None


Q = TypeVar("Q", bound=Request)
R = TypeVar("R", bound=Line)


@dataclass(frozen=True)
class Exchange(Generic[Q, R]):
    """Command with its replies: the final reply (None: not captured), and preliminary replies before it."""

    command: Q
    final: R | None
    preliminary: tuple[R, ...] = ()

    @property
    def verb(self) -> str:
        """Return the verb of the command, in capitals."""
        return self.command.verb

    @property
    def replies(self) -> tuple[R, ...]:
        """Return all replies to the command, preliminary ones first."""
        return (*self.preliminary, *([self.final] if self.final is not None else []))

    @property
    def frames(self) -> list[int]:
        """Return the numbers of the frames with the end of the command and of the final reply."""
        return [self.command.frame, *([self.final.frame] if self.final is not None else [])]

    @property
    def first_ns(self) -> int | None:
        """Return the arrival time in ns of the first octet of the replies; None if no reply was captured."""
        return min((reply.first_ns for reply in self.replies), default=None)

    @property
    def octets(self) -> int:
        """Return the number of octets of the command and the replies to it."""
        return len(self.command.octets) + sum(len(reply.octets) for reply in self.replies)

    @property
    def outcome(self) -> str:
        """Return the text of the final reply, or "no reply"."""
        return self.final.text if self.final is not None else "no reply"

    @property
    def text(self) -> str:
        """Return command and outcome, as `COMMAND - OUTCOME`, for evidence texts."""
        return f"{self.command.text} - {self.outcome}"

    @property
    def described(self) -> str:
        """Return a clause about the command and its reply for evidence texts, such as `'NOOP' gets '200 NOOP ok.'`."""
        outcome = "no reply" if self.final is None else repr(self.final.text)
        return f"{self.command.text!r} gets {outcome}"


def early_reply(exchanges: Iterable[Exchange[Any, Any]]) -> str | None:
    """Return a clause about the first final reply that precedes the end of its command; None if there is none."""
    for exchange in exchanges:
        if exchange.final is not None and exchange.final.last_ns < exchange.command.last_ns:
            return f"the reply in frame {exchange.final.frame} precedes its command in frame {exchange.command.frame}"
    return None


E = TypeVar("E", bound=Exchange[Any, Any])
# Type of a greeting: one reply, None without one, or a tuple for FTP, whose greeting may have preliminary replies.
G = TypeVar("G")


@dataclass(frozen=True)
class Dialogue(Generic[E, G]):
    """Session of a line-based protocol: connection, greeting, and exchanges in order.

    `problem`: the first violation of the grammar, if any. `encrypted`: the frame of the reply that starts TLS (to
    STARTTLS, STLS or AUTH TLS), if any. The exchanges are those before the violation or this reply.
    """

    connection: Connection
    greeting: G
    exchanges: tuple[E, ...]
    problem: str | None = None
    encrypted: int | None = field(default=None, kw_only=True)

    def exchanges_of(self, *verbs: str) -> list[E]:
        """Return the exchanges whose command has one of these verbs, in order."""
        return [exchange for exchange in self.exchanges if exchange.verb in verbs]

    @property
    def frame(self) -> int:
        """Return the number of the frame with the connection's SYN."""
        return self.connection.syn.frame

    @property
    def connections(self) -> list[Connection]:
        """Return the TCP connections of the session; for FTP, including the data connections."""
        return [self.connection]


D = TypeVar("D", bound=Dialogue[Any, Any])


@dataclass(frozen=True)
class DialogueTraffic(Generic[D]):
    """Captured sessions of one protocol at one interface, in the order of their SYNs, as evidence for a claim.

    `others`: all other TCP connections at the interface; `dropped`: number of packets that the capture dropped.
    """

    sessions: tuple[D, ...]
    others: tuple[Connection, ...] = ()
    dropped: int = 0

    # Terms for a session and for its connection in evidence texts, which each protocol's subclass sets.
    session_name: ClassVar[str]
    connection_name: ClassVar[str] = "connection"

    @classmethod
    def at(
        cls, captured: CaptureFile, interface: str, ports: Collection[int], read_session: Callable[[Connection], D]
    ) -> Self:
        """Return the traffic at one interface: the sessions with these server ports, and all other connections.

        A session's SYN must be in the capture. Connections that were not established are among `others`. Raises
        KeyError if the capture has no such interface.
        """
        sessions, others = list[Connection](), list[Connection]()
        for connection in connections(captured.at(interface)):
            (sessions if connection.server.port in ports and connection.established else others).append(connection)
        return cls(tuple(map(read_session, sessions)), tuple(others), captured.dropped(interface))

    def select(self, predicate: Callable[[Connection], bool]) -> Self:
        """Return the traffic reduced to the TCP connections that satisfy a predicate."""
        return replace(
            self,
            sessions=tuple(session for session in self.sessions if predicate(session.connection)),
            others=tuple(connection for connection in self.others if predicate(connection)),
        )

    def between(self, start_ns: int, end_ns: int) -> Self:
        """Return the traffic reduced to the connections whose SYN is within [start_ns, end_ns)."""
        return self.select(lambda connection: start_ns <= connection.syn.time_ns < end_ns)

    @property
    def absence(self) -> str | None:
        """Return a clause that reports the absence of sessions; None if at least one was captured."""
        return None if self.sessions else f"no {self.session_name} in the capture"

    @property
    def gap(self) -> str | None:
        """Return a clause about the first session that is encrypted or incompletely captured; None if there is none."""
        for session in self.sessions:
            if session.encrypted is not None:
                opened = f"the {self.connection_name} opened in frame {session.frame}"
                return f"{opened} is encrypted after frame {session.encrypted}"
        for connection in (connection for session in self.sessions for connection in session.connections):
            if not connection.whole:
                return f"the capture of the connection opened in frame {connection.syn.frame} is incomplete"
        return None

    @property
    def violation(self) -> Contradiction | None:
        """Return a Contradiction for the first violation of the protocol's grammar; None if there is none."""
        for session in self.sessions:
            if session.problem is not None:
                return Contradiction(
                    f"On the {self.connection_name} opened in frame {session.frame}: {session.problem}.", session.frame
                )
        return None
