"""FTP sessions at one interface: the dialogue on the control connection, and the data connections.

RFC 959: replies answer commands in order (section 5.4), each with preliminary replies (1yz) and a final one. The
endpoint of a data connection is announced on the control connection, by PORT or in the reply to PASV (EPRT and EPSV,
RFC 2428); the connection to that endpoint belongs to the transfer that follows. Left out: the default data port without
PORT (RFC 1123 section 4.1.2.12 has user agents send PORT for every transfer), and block mode, in which one data
connection serves several transfers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from experiments.ftp.wire.grammar import Command, FtpGrammarError, Reply, read_commands, read_replies
from experiments.harness.judge.dialogue import Dialogue, DialogueTraffic, Exchange, valid_lines
from experiments.harness.judge.frames import CaptureFile, Connection, Direction, Endpoint, connections
from experiments.harness.judge.reassembly import Stream

CONTROL_PORT, DATA_PORT = 21, 20
TO_SERVER = ("STOR", "STOU", "APPE")
TO_CLIENT = ("RETR", "LIST", "NLST", "MLSD")
TRANSFERS = (*TO_SERVER, *TO_CLIENT)
# RFC 959 section 5.4: the final replies of a transfer that succeeded.
DONE = (226, 250)
# h1,h2,h3,h4,p1,p2; RFC 1123 section 4.1.2.6: the parentheses around it are optional.
HOST_PORT = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
# RFC 2428 sections 2 and 3: |protocol|address|port|, any one printable character as delimiter.
EXTENDED = re.compile(rb"([!-~])([12]?)\1([0-9A-Fa-f:.]*)\1(\d{1,5})\1")
# RFC 2228 section 4.1.1: the security data exchange is complete.
AUTH_DONE = 234
Mode = Literal["active", "passive"]


@dataclass(frozen=True)
class FtpExchange(Exchange[Command, Reply]):
    """A command and its replies."""

    @property
    def code(self) -> int:
        """The code of the final reply, 0 without one."""
        return self.final.code if self.final is not None else 0

    @property
    def codes(self) -> tuple[int, ...]:
        """The codes of all replies, in order."""
        return tuple(reply.code for reply in self.replies)

    @property
    def outcome(self) -> str:
        """The codes of all replies."""
        return " ".join(map(str, self.codes)) or "no reply"


@dataclass(frozen=True)
class Announcement:
    """The endpoint of the next data connection, and the exchange that announced it."""

    mode: Mode
    endpoint: Endpoint
    exchange: FtpExchange


@dataclass(frozen=True)
class Transfer:
    """A transfer command, the announcement of its data connection, and that connection (None: not opened)."""

    exchange: FtpExchange
    announced: Announcement | None
    connection: Connection | None
    server: str

    @property
    def verb(self) -> str:
        """The transfer command's verb."""
        return self.exchange.command.verb

    @property
    def name(self) -> str:
        """The argument of the command."""
        return self.exchange.command.argument.decode(errors="replace")

    @property
    def base_name(self) -> str:
        """The last component of the name."""
        return self.name.rpartition("/")[2]

    @property
    def done(self) -> bool:
        """True if the server reported success."""
        return self.exchange.code in DONE

    @property
    def direction(self) -> Direction | None:
        """The direction of the data connection that carries the data."""
        if self.connection is None:
            return None
        opened_by_server = self.connection.client.address == self.server
        from_server = self.verb in TO_CLIENT
        return self.connection.from_client if opened_by_server == from_server else self.connection.from_server

    @property
    def stream(self) -> Stream:
        """The captured data."""
        return self.direction.stream if self.direction is not None else Stream(b"", (), whole=True)


@dataclass(frozen=True)
class FtpSession(Dialogue[FtpExchange, tuple[Reply, ...]]):
    """A session on a control connection, and its transfers.

    `spare`: announced connections that served no transfer.
    """

    transfers: tuple[Transfer, ...] = ()
    spare: tuple[Connection, ...] = ()

    @property
    def connections(self) -> list[Connection]:
        """The control connection and every data connection."""
        carrying = [transfer.connection for transfer in self.transfers if transfer.connection is not None]
        return [self.connection, *carrying, *self.spare]

    @property
    def replies(self) -> list[Reply]:
        """All replies of the server, in order."""
        return [*self.greeting, *(reply for exchange in self.exchanges for reply in exchange.replies)]


@dataclass(frozen=True)
class FtpTraffic(DialogueTraffic[FtpSession]):
    """The FTP sessions at one interface, and other connections, data connections among them."""

    session_name = "FTP control connection"
    connection_name = "control connection"

    @property
    def transfers(self) -> list[Transfer]:
        """The transfers of all sessions."""
        return [transfer for session in self.sessions for transfer in session.transfers]


def ftp_traffic(captured: CaptureFile, interface: str, port: int = CONTROL_PORT) -> FtpTraffic:
    """Return the FTP sessions with this control port that began while `interface` was captured.

    Raises KeyError if the capture has no such interface.
    """
    every = connections(captured.at(interface))
    free = [connection for connection in every if connection.server.port != port]
    sessions = [_session(connection, free) for connection in every if connection.server.port == port]
    return FtpTraffic(tuple(sessions), tuple(free), captured.dropped(interface))


@dataclass
class _SessionParser:
    """Parser state while the exchanges of a session are iterated."""

    control: Connection
    free: list[Connection]
    announced: Announcement | None = None
    transfers: list[Transfer] = field(default_factory=list)
    spare: list[Connection] = field(default_factory=list)

    def record(self, exchange: FtpExchange) -> None:
        """Record an announcement, or a transfer with its connection."""
        found = _announcement(exchange, self.control.server.address)
        if found is not None:
            self.finish()
            self.announced = found
        elif exchange.command.verb in TRANSFERS:
            last, self.announced = self.announced, None
            made = self._connection(last) if last is not None else None
            self.transfers.append(Transfer(exchange, last, made, self.control.server.address))

    def finish(self) -> None:
        """Record the announced connection as spare, if no transfer used it."""
        if self.announced is not None and (left := self._connection(self.announced)) is not None:
            self.spare.append(left)
        self.announced = None

    def _connection(self, announced: Announcement) -> Connection | None:
        """Return the first connection to the announced endpoint opened after the announcement."""
        said = announced.exchange.command if announced.mode == "active" else announced.exchange.final
        assert said is not None
        for place, one in enumerate(self.free):
            if one.server == announced.endpoint and one.syn.frame > said.frame:
                return self.free.pop(place)
        return None


def _session(control: Connection, free: list[Connection]) -> FtpSession:
    commands, wrong_command = valid_lines(read_commands(control.from_client.stream), FtpGrammarError)
    replies, wrong_reply = valid_lines(read_replies(control.from_server.stream), FtpGrammarError)
    greeting, rest = _until_final(replies)
    exchanges: list[FtpExchange] = []
    encrypted = None
    reading = _SessionParser(control, free)
    for command in commands:
        said, rest = _until_final(rest)
        final = said[-1] if said and not said[-1].preliminary else None
        exchanges.append(FtpExchange(command, final, tuple(one for one in said if one.preliminary)))
        reading.record(exchanges[-1])
        if _starts_tls(exchanges[-1]):
            encrypted = exchanges[-1].frames[-1]
            break
    reading.finish()
    if encrypted is None and (wrong := wrong_command or wrong_reply):
        return FtpSession(control, (), (), problem=str(wrong))
    problem = _order(exchanges, rest if encrypted is None else [])
    return FtpSession(
        control,
        tuple(greeting),
        tuple(exchanges),
        problem,
        tuple(reading.transfers),
        tuple(reading.spare),
        encrypted=encrypted,
    )


def _starts_tls(exchange: FtpExchange) -> bool:
    """Return True if TLS follows the reply (RFC 4217 section 4; TLS-C, TLS-P and SSL are its older names)."""
    mechanism = exchange.command.argument.upper()
    return exchange.verb == "AUTH" and exchange.code == AUTH_DONE and mechanism.startswith((b"TLS", b"SSL"))


def _until_final(replies: Sequence[Reply]) -> tuple[list[Reply], list[Reply]]:
    """Return the replies up to the first final one, and the rest."""
    for place, one in enumerate(replies):
        if not one.preliminary:
            return list(replies[: place + 1]), list(replies[place + 1 :])
    return list(replies), []


def _order(exchanges: Sequence[FtpExchange], left: Sequence[Reply]) -> str | None:
    """Return a violation of the order of replies (RFC 959 section 5.4: a reply follows its command; only 421 may be
    unsolicited).
    """
    for exchange in exchanges:
        if exchange.final is not None and exchange.final.last_ns < exchange.command.first_ns:
            return f"the reply in frame {exchange.final.frame} precedes its command in frame {exchange.command.frame}"
    unasked = [one for one in left if one.code != 421]
    return f"the reply in frame {unasked[0].frame} answers nothing" if unasked else None


def named_port(command: Command) -> Endpoint | None:
    """Parse the endpoint in PORT or EPRT; None for another command, or a malformed argument."""
    if command.verb == "PORT" and (found := HOST_PORT.fullmatch(command.argument)) is not None:
        return _endpoint(found)
    if command.verb == "EPRT" and (found := EXTENDED.fullmatch(command.argument)) is not None:
        return Endpoint(found[3].decode(), int(found[4]))
    return None


def _announcement(exchange: FtpExchange, server: str) -> Announcement | None:
    verb = exchange.command.verb
    if exchange.final is None or exchange.final.code >= 300:
        return None
    if (place := named_port(exchange.command)) is not None:
        return Announcement("active", place, exchange)
    if verb == "PASV" and (found := HOST_PORT.search(exchange.final.message)) is not None:
        return Announcement("passive", _endpoint(found), exchange)
    if verb == "EPSV" and (found := EXTENDED.search(exchange.final.message)) is not None:
        # RFC 2428 section 3: the address is that of the control connection.
        return Announcement("passive", Endpoint(server, int(found[4])), exchange)
    return None


def _endpoint(found: re.Match[bytes]) -> Endpoint:
    numbers = [int(group) for group in found.groups()]
    return Endpoint(".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5])
