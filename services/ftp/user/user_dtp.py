"""The FTP client on asyncio: the control connection, and one data connection for each transfer (user-DTP, RFC 959).

    agent = await UserAgent.connect("127.0.0.1", 2121, ClientSettings())
    await agent.login("anonymous", "guest@")
    report = await agent.retrieve("a.txt", file.write)      # calls file.write(octets) for each received piece

Passive mode: the client connects to the port in the reply to PASV or EPSV, always at the host of the control
connection. Active mode: the client listens, sends PORT or EPRT, and accepts one connection, from the server only.
"""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lab7.services.ftp.grammar import DataType
from lab7.services.ftp.limits import RECEIVE_OCTETS
from lab7.services.ftp.user import user_pi
from lab7.services.ftp.user.report import TransferReport
from lab7.services.ftp.user.user_pi import Reply, ReplyError, ReplyReader

Sink = Callable[[bytes], object]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

# Maximum number of buffered replies: a server sends at most two for each command.
_REPLIES_WAITING = 64


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Settings of an FTP client: active or passive mode, representation type, and timeout `wait_s` in seconds.

    `extended` selects EPSV and EPRT for IPv4 as well.
    """

    active: bool = False
    extended: bool = False
    data_type: DataType = DataType.IMAGE
    wait_s: float = 30.0


@dataclass(slots=True)
class _Data:
    """Data connection of the transfer in progress, with its times, and the hash and number of octets so far."""

    streams: Streams
    connected_s: float
    preliminary: Reply
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    octets: int = 0
    first_byte_s: float | None = None


class UserAgent:
    """FTP client session.

    Methods raise ReplyError for an unexpected reply, and TimeoutError after `wait_s` without one.
    """

    def __init__(
        self, streams: Streams, choices: ClientSettings, begun: float, transcript: Callable[[str], object]
    ) -> None:
        self._reader, self._writer = streams
        self._choices = choices
        self._begun = begun
        self._transcript = transcript
        self._replies = ReplyReader()
        self._waiting: list[Reply] = []
        self._type: DataType | None = None
        self.address: str = self._writer.get_extra_info("peername")[0]
        self.transfers: list[TransferReport] = []

    @classmethod
    async def connect(
        cls, host: str, port: int, choices: ClientSettings, transcript: Callable[[str], object] = lambda _: None
    ) -> "UserAgent":
        """Open the control connection; raises OSError, and TimeoutError after `wait_s`."""
        begun = asyncio.get_running_loop().time()
        async with asyncio.timeout(choices.wait_s):
            streams = await asyncio.open_connection(host, port)
        return cls(streams, choices, begun, transcript)

    def now_s(self) -> float:
        """Return the seconds since the session began."""
        return asyncio.get_running_loop().time() - self._begun

    async def greeting(self) -> Reply:
        """Wait for reply 220, the greeting, even if reply 120 (service not ready) comes first; return it."""
        return await self._final((220,))

    async def login(self, user: str, password: str, account: str = "") -> Reply:
        """Log in with USER, and with PASS and ACCT if the server requires them (RFC 959 section 5.4)."""
        reply = await self.command("USER", user, codes=(230, 331, 332))
        if reply.code == 331:
            reply = await self.command("PASS", password, codes=(202, 230, 332))
        if reply.code == 332:
            reply = await self.command("ACCT", account, codes=(202, 230))
        return reply

    async def command(self, verb: str, argument: str = "", codes: Iterable[int] = ()) -> Reply:
        """Send a command and return its final reply; raises ReplyError unless its code is in `codes` (default: 2yz)."""
        self._send(user_pi.command(verb, argument))
        return await self._final(tuple(codes))

    async def retrieve(self, path: str, sink: Sink, offset: int = 0) -> TransferReport:
        """Retrieve a file from octet `offset` on; return a TransferReport. `sink` is called with each piece."""
        return await self._receive("RETR", path, sink, offset)

    async def listing(self, verb: str, path: str, sink: Sink) -> TransferReport:
        """Retrieve a listing by LIST, NLST or MLSD; return a TransferReport. `sink` is called with each piece."""
        return await self._receive(verb, path, sink, 0)

    async def store(self, path: str, pieces: Iterator[bytes], offset: int = 0, verb: str = "STOR") -> TransferReport:
        """Store a file and return a TransferReport; `pieces` yield its octets from `offset` on."""
        command_s = self.now_s()
        async with self._data_connection(verb, path, offset) as data:
            writer = data.streams[1]
            for piece in pieces:
                data.digest.update(piece)
                data.octets += len(piece)
                writer.write(piece)
                async with asyncio.timeout(self._choices.wait_s):
                    await writer.drain()
        return await self._finish(verb, path, offset, command_s, data)

    async def quit(self) -> None:
        """Send QUIT and close the control connection."""
        await self.command("QUIT")
        self.close()

    def close(self) -> None:
        """Close the control connection."""
        self._writer.close()

    # The control connection.

    def _send(self, octets: bytes) -> None:
        line = octets.decode("utf-8", "replace").rstrip()
        self._transcript("U: PASS ..." if line.startswith("PASS ") else f"U: {line}")
        self._writer.write(octets)

    async def _final(self, codes: tuple[int, ...]) -> Reply:
        while (reply := await self._reply()).is_preliminary:
            continue
        if reply.code not in codes and (codes or not 200 <= reply.code < 300):
            raise ReplyError(reply.text)
        return reply

    async def _reply(self) -> Reply:
        while not self._waiting:
            async with asyncio.timeout(self._choices.wait_s):
                octets = await self._reader.read(RECEIVE_OCTETS)
            if not octets:
                raise ReplyError("the server closed the control connection")
            self._waiting += self._replies.feed(octets)
            if len(self._waiting) > _REPLIES_WAITING:
                raise ReplyError("the server sent more replies than the client sent commands")
        reply = self._waiting.pop(0)
        self._transcript(f"S: {reply.text}")
        return reply

    # Data connections.

    async def _receive(self, verb: str, path: str, sink: Sink, offset: int) -> TransferReport:
        command_s = self.now_s()
        async with self._data_connection(verb, path, offset) as data:
            while True:
                async with asyncio.timeout(self._choices.wait_s):
                    piece = await data.streams[0].read(RECEIVE_OCTETS)
                if not piece:
                    break
                if data.first_byte_s is None:
                    data.first_byte_s = self.now_s()
                data.octets += len(piece)
                data.digest.update(piece)
                sink(piece)
        return await self._finish(verb, path, offset, command_s, data)

    async def _finish(self, verb: str, path: str, offset: int, command_s: float, data: _Data) -> TransferReport:
        reply = await self._final((226, 250))
        writer = data.streams[1]
        report = TransferReport(
            action=verb,
            path=path,
            mode="active" if self._choices.active else "passive",
            restart_offset=offset,
            size_bytes=data.octets,
            sha256=data.digest.hexdigest(),
            command_s=command_s,
            connected_s=data.connected_s,
            first_byte_s=data.first_byte_s,
            end_s=self.now_s(),
            local_port=writer.get_extra_info("sockname")[1],
            remote_port=writer.get_extra_info("peername")[1],
            reply_codes=(data.preliminary.code, reply.code),
        )
        self.transfers.append(report)
        return report

    @asynccontextmanager
    async def _data_connection(self, verb: str, path: str, offset: int) -> AsyncIterator[_Data]:
        """Open the data connection of one transfer command for an `async with` block; close it at the end."""
        await self._set_type(DataType.ASCII if verb in ("LIST", "NLST", "MLSD") else self._choices.data_type)
        opened = self._active if self._choices.active else self._passive
        async with opened() as connected:
            if offset:
                await self.command("REST", str(offset), codes=(350,))
            self._send(user_pi.command(verb, path))
            preliminary = await self._reply()
            if not preliminary.is_preliminary:
                raise ReplyError(preliminary.text)
            streams = await connected()
            data = _Data(streams, self.now_s(), preliminary)
            try:
                yield data
            finally:
                streams[1].close()

    async def _set_type(self, data_type: DataType) -> None:
        if self._type is not data_type:
            await self.command("TYPE", data_type.value)
            self._type = data_type

    @asynccontextmanager
    async def _passive(self) -> AsyncIterator[Callable[[], Awaitable[Streams]]]:
        if self._choices.extended or ":" in self.address:
            port = user_pi.extended_port(await self.command("EPSV"))
        else:
            # The address in the reply is ignored: it may belong to another host, or be a private address behind NAT.
            port = user_pi.passive_address(await self.command("PASV")).port
        async with asyncio.timeout(self._choices.wait_s):
            streams = await asyncio.open_connection(self.address, port)

        async def connected() -> Streams:
            return streams

        try:
            yield connected
        finally:
            streams[1].close()

    @asynccontextmanager
    async def _active(self) -> AsyncIterator[Callable[[], Awaitable[Streams]]]:
        accepted: asyncio.Future[Streams] = asyncio.get_running_loop().create_future()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if accepted.done() or writer.get_extra_info("peername")[0] != self.address:
                writer.close()
            else:
                accepted.set_result((reader, writer))

        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        host = self._writer.get_extra_info("sockname")[0]
        listening = await asyncio.start_server(accept, host, 0, family=family)
        try:
            port = listening.sockets[0].getsockname()[1]
            self._send(user_pi.active_command(host, port, self._choices.extended))
            await self._final((200,))

            async def connected() -> Streams:
                async with asyncio.timeout(self._choices.wait_s):
                    return await accepted

            yield connected
        finally:
            listening.close()
