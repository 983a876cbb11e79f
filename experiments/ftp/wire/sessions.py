"""Captured FTP sessions at one interface: commands with replies on the control connection, and data connections.

Replies answer commands in order; each command gets any preliminary replies (1yz) and a final one (RFC 959 section 5.4).
The endpoint of a data connection is announced on the control connection: by PORT or EPRT, or in the reply to PASV or
EPSV (RFC 2428). A connection to this endpoint belongs to the next transfer command. Not supported are the default data
port without PORT (RFC 1123 section 4.1.2.5 has clients send PORT for every transfer), and block mode, in which one data
connection serves several transfers. After AUTH TLS with reply 234 the control connection is encrypted (RFC 4217 section
4) and not parsed further.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from lab7.experiments.ftp.wire.grammar import Command, FtpGrammarError, Reply, read_commands, read_replies
from lab7.experiments.harness.judge.dialogue import Dialogue, DialogueTraffic, Exchange, valid_lines
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, Direction, Endpoint, connections
from lab7.experiments.harness.judge.reassembly import Stream

CONTROL_PORT, DATA_PORT = 21, 20
TO_SERVER = ("STOR", "STOU", "APPE")
TO_CLIENT = ("RETR", "LIST", "NLST", "MLSD")
TRANSFERS = (*TO_SERVER, *TO_CLIENT)
# Final reply codes after a successful transfer (RFC 959 section 5.4).
DONE = (226, 250)
# HOST_PORT matches h1,h2,h3,h4,p1,p2 of PORT and 227; parentheses are optional (RFC 1123 section 4.1.2.6).
HOST_PORT = re.compile(rb"(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3}),(\d{1,3})")
# EXTENDED matches |protocol|address|port| of EPRT and 229, with any delimiter (RFC 2428 sections 2 and 3).
EXTENDED = re.compile(rb"([!-~])([12]?)\1([0-9A-Fa-f:.]*)\1(\d{1,5})\1")
# Reply code 234 to AUTH: the security data exchange is complete (RFC 2228 section 4.1.1).
AUTH_DONE = 234
Mode = Literal["active", "passive"]


@dataclass(frozen=True)
class FtpExchange(Exchange[Command, Reply]):
    """FTP command with all its replies, preliminary ones (1yz) included."""

    @property
    def code(self) -> int:
        """Return the code of the final reply; 0 if none was captured."""
        return self.final.code if self.final is not None else 0

    @property
    def codes(self) -> tuple[int, ...]:
        """Return the codes of all replies to the command, in order; empty if none was captured."""
        return tuple(reply.code for reply in self.replies)

    @property
    def outcome(self) -> str:
        """Return the codes of all replies as text, such as `150 226`, or "no reply"."""
        return " ".join(map(str, self.codes)) or "no reply"


@dataclass(frozen=True)
class Announcement:
    """Endpoint that PORT, EPRT, PASV or EPSV announces for the next data connection, and the command with its reply."""

    mode: Mode
    endpoint: Endpoint
    exchange: FtpExchange


@dataclass(frozen=True)
class Transfer:
    """FTP transfer: the command with its replies, the announced endpoint, the data connection (None: not opened)."""

    exchange: FtpExchange
    announced: Announcement | None
    connection: Connection | None
    server: str

    @property
    def verb(self) -> str:
        """Return the verb of the transfer command, such as RETR."""
        return self.exchange.command.verb

    @property
    def name(self) -> str:
        """Return the path name in the transfer command, as text."""
        return self.exchange.command.argument.decode(errors="replace")

    @property
    def base_name(self) -> str:
        """Return the last component of the path name."""
        return self.name.rpartition("/")[2]

    @property
    def done(self) -> bool:
        """Return True if the final reply reports a successful transfer (226 or 250)."""
        return self.exchange.code in DONE

    @property
    def direction(self) -> Direction | None:
        """Return the direction of the data connection that carries the data; None if there is no connection."""
        if self.connection is None:
            return None
        opened_by_server = self.connection.client.address == self.server
        from_server = self.verb in TO_CLIENT
        return self.connection.from_client if opened_by_server == from_server else self.connection.from_server

    @property
    def stream(self) -> Stream:
        """Return the reassembled octets of the file or listing on the data connection; empty if it was not opened."""
        return self.direction.stream if self.direction is not None else Stream(b"", (), whole=True)


@dataclass(frozen=True)
class FtpSession(Dialogue[FtpExchange, tuple[Reply, ...]]):
    """FTP session: one control connection with its commands and replies, and the transfers.

    `spare` are data connections to an announced endpoint that no transfer used.
    """

    transfers: tuple[Transfer, ...] = ()
    spare: tuple[Connection, ...] = ()

    @property
    def connections(self) -> list[Connection]:
        """Return the control connection of the session, followed by all its data connections."""
        carrying = [transfer.connection for transfer in self.transfers if transfer.connection is not None]
        return [self.connection, *carrying, *self.spare]

    @property
    def replies(self) -> list[Reply]:
        """Return all replies of the server in order, its greeting (220) included."""
        return [*self.greeting, *(reply for exchange in self.exchanges for reply in exchange.replies)]


@dataclass(frozen=True)
class FtpTraffic(DialogueTraffic[FtpSession]):
    """FTP sessions captured at one interface; `others` are all TCP connections that are not control connections."""

    session_name = "FTP control connection"
    connection_name = "control connection"

    @property
    def transfers(self) -> list[Transfer]:
        """Return the transfers of all sessions in one list, session by session."""
        return [transfer for session in self.sessions for transfer in session.transfers]


def ftp_traffic(captured: CaptureFile, interface: str, port: int = CONTROL_PORT) -> FtpTraffic:
    """Return the FTP sessions captured at an interface whose control connection opened during the capture.

    `port` is the server's control port. Raises KeyError if the interface was not captured.
    """
    every = connections(captured.at(interface))
    free = [connection for connection in every if connection.server.port != port]
    sessions = [_session(connection, free) for connection in every if connection.server.port == port]
    return FtpTraffic(tuple(sessions), tuple(free), captured.dropped(interface))


@dataclass
class _SessionParser:
    """State of the session parser: latest announced endpoint, transfers so far, connections without a transfer."""

    control: Connection
    free: list[Connection]
    announced: Announcement | None = None
    transfers: list[Transfer] = field(default_factory=list)
    spare: list[Connection] = field(default_factory=list)

    def record(self, exchange: FtpExchange) -> None:
        """Add a command with its replies: store the announced endpoint, or pair a transfer with its connection."""
        found = _announcement(exchange, self.control.server.address)
        if found is not None:
            self.finish()
            self.announced = found
        elif exchange.command.verb in TRANSFERS:
            last, self.announced = self.announced, None
            made = self._connection(last) if last is not None else None
            self.transfers.append(Transfer(exchange, last, made, self.control.server.address))

    def finish(self) -> None:
        """Record a connection to the latest announced endpoint as spare, if no transfer has used it."""
        if self.announced is not None and (left := self._connection(self.announced)) is not None:
            self.spare.append(left)
        self.announced = None

    def _connection(self, announced: Announcement) -> Connection | None:
        """Return the first connection to an announced endpoint that was opened after the announcement, or None."""
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
    wrong = (wrong_command or wrong_reply) if encrypted is None else None
    problem = _order(exchanges, rest if encrypted is None else []) if wrong is None else str(wrong)
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
    """Return True if a command is AUTH TLS and was accepted (RFC 4217 section 4; older names: TLS-C, TLS-P, SSL)."""
    mechanism = exchange.command.argument.upper()
    return exchange.verb == "AUTH" and exchange.code == AUTH_DONE and mechanism.startswith((b"TLS", b"SSL"))


def _until_final(replies: Sequence[Reply]) -> tuple[list[Reply], list[Reply]]:
    """Divide replies into two lists: up to and including the first final reply, and all later ones."""
    for place, one in enumerate(replies):
        if not one.preliminary:
            return list(replies[: place + 1]), list(replies[place + 1 :])
    return list(replies), []


def _order(exchanges: Sequence[FtpExchange], left: Sequence[Reply]) -> str | None:
    """Return a text on the first reply that is out of order, or None if there is none.

    A reply must follow its command; only 421 may be unsolicited (RFC 959 section 5.4).
    """
    for exchange in exchanges:
        if exchange.final is not None and exchange.final.last_ns < exchange.command.first_ns:
            return f"the reply in frame {exchange.final.frame} precedes its command in frame {exchange.command.frame}"
    unasked = [one for one in left if one.code != 421]
    return f"the reply in frame {unasked[0].frame} answers no command" if unasked else None


def named_port(command: Command) -> Endpoint | None:
    """Return the endpoint in a PORT or EPRT command; None for any other command, or a malformed argument."""
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
        # RFC 2428 section 3: reply 229 has no address; the data connection goes to the control connection's address.
        return Announcement("passive", Endpoint(server, int(found[4])), exchange)
    return None


def _endpoint(found: re.Match[bytes]) -> Endpoint:
    numbers = [int(group) for group in found.groups()]
    return Endpoint(".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5])
