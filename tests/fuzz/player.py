"""Player of sessions: connects to a service and does what the steps of a session say, within bounded time."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tests.fuzz import script
from tests.fuzz.script import Session, Step

HOST = "127.0.0.1"
# Bounds in seconds: of a session; of a wait for a reply; of the silence that ends one; of a pause; of a blocked write.
SESSION_S = 4.0
REPLY_S = 0.4
QUIET_S = 0.02
PAUSE_S = 0.005
WRITE_S = 1.0
# The octets of replies that are kept, for the port of a data connection and the end of a reply.
KEPT = 4096
_PORT_227 = re.compile(rb"227 [^\r\n(]*\(?(?:\d+,){4}(\d+),(\d+)")
_PORT_229 = re.compile(rb"229 [^\r\n(]*\(\|\|\|(\d+)\|\)")


@dataclass
class Player:
    """The connection of one session to a service at `port`, from `source`."""

    session: Session
    port: int
    source: str
    # The values of the names that steps may hold, such as %id%.
    values: Mapping[bytes, bytes]
    # What ends a complete reply, where the protocol shows it: such a reply ends a wait at once.
    reply_end: re.Pattern[bytes] | None = None
    replies: bytes = b""
    _waited: bool = False
    _ended: bool = False
    _tcp: socket.socket | None = None
    _udp: socket.socket | None = None
    _data: socket.socket | None = None
    _listening: socket.socket | None = None
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def play(self) -> None:
        """Do the steps; a connection that the service ends ends the session."""
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(SESSION_S):
                    if any(step.verb != script.DATAGRAM for step in self.session if step.verb in script.WITH_OCTETS):
                        await self._connect()
                    for step in self.session:
                        await self._do(step)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for made in (self._tcp, self._udp, self._data, self._listening):
                if made is not None:
                    made.close()

    async def _connect(self) -> None:
        self._tcp = await self._connected(self.port)
        self._tasks.append(asyncio.create_task(self._read(self._tcp)))

    async def _connected(self, port: int) -> socket.socket:
        made = socket.socket()
        made.setblocking(False)
        try:
            made.bind((self.source, 0))
            async with asyncio.timeout(WRITE_S * 5):
                await asyncio.get_running_loop().sock_connect(made, (HOST, port))
        except BaseException:
            made.close()
            raise
        return made

    async def _read(self, made: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while octets := await loop.sock_recv(made, 65_536):
                if made is not self._data:
                    self.replies = (self.replies + octets)[-KEPT:]
                    self._arrived.set()
        if made is self._tcp:
            self._ended = True
            self._arrived.set()

    async def _do(self, step: Step) -> None:
        match step.verb:
            case script.SEND if self._tcp is not None:
                self.replies = b""
                self._waited = False
                self._arrived.clear()
                await self._write(self._tcp, self._filled(step.octets))
            case script.DATAGRAM:
                self._send_datagram(self._filled(step.octets)[:65_000])
            case script.WAIT:
                await self._wait()
            case script.PAUSE:
                await asyncio.sleep(PAUSE_S)
            case script.HALF_CLOSE if self._tcp is not None:
                self._tcp.shutdown(socket.SHUT_WR)
            case script.RESET if self._tcp is not None:
                self._reset(self._tcp)
                self._tcp = None
                raise ConnectionResetError
            case script.DEAF if self._tasks:
                self._tasks[0].cancel()
            case _:
                await self._do_data(step)

    async def _write(self, made: socket.socket, octets: bytes) -> None:
        async with asyncio.timeout(WRITE_S):
            await asyncio.get_running_loop().sock_sendall(made, octets)

    async def _wait(self) -> None:
        """Wait for a reply, once for what was sent; a second wait is a short one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_S if self._waited else REPLY_S):
                self._waited = True
                while not self.replies and not self._ended:
                    self._arrived.clear()
                    await self._arrived.wait()
                while not self._ended and (self.reply_end is None or not self.reply_end.search(self.replies)):
                    self._arrived.clear()
                    async with asyncio.timeout(QUIET_S):
                        await self._arrived.wait()

    def _filled(self, octets: bytes) -> bytes:
        if b"%" in octets:
            for name, value in self.values.items():
                octets = octets.replace(name, value)
            if b"%length%" in octets:
                octets = octets.replace(b"%length%", b"%d" % len(octets.partition(b"\r\n\r\n")[2]))
        return octets

    def _send_datagram(self, octets: bytes) -> None:
        if self._udp is None:
            self._udp = socket.socket(type=socket.SOCK_DGRAM)
            self._udp.setblocking(False)
            self._udp.bind((self.source, 0))
            self._udp.connect((HOST, self.port))
            self._tasks.append(asyncio.create_task(self._read_datagrams(self._udp)))
        with suppress(BlockingIOError):
            self._udp.send(octets)

    async def _read_datagrams(self, made: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(OSError):
                self.replies = await loop.sock_recv(made, 65_536)
                self._arrived.set()

    # The data connection of FTP.

    async def _do_data(self, step: Step) -> None:
        loop = asyncio.get_running_loop()
        if step.verb == script.PASSIVE:
            found = _PORT_227.search(self.replies) or _PORT_229.search(self.replies)
            if found is not None:
                numbers = [int(number) for number in found.groups()]
                self._close_data()
                self._data = await self._connected(numbers[0] if len(numbers) == 1 else 256 * numbers[0] + numbers[1])
                self._tasks.append(asyncio.create_task(self._read(self._data)))
        elif step.verb == script.ACTIVE and self._tcp is not None:
            self._listening = self._listening or socket.create_server((self.source, 0))
            self._listening.setblocking(False)
            port = self._listening.getsockname()[1]
            host = self.source.replace(".", ",")
            await self._write(self._tcp, f"PORT {host},{port // 256},{port % 256}\r\n".encode())
            self._tasks.append(asyncio.create_task(self._accept(self._listening)))
        elif step.verb == script.DATA and self._data is not None:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(WRITE_S):
                    await loop.sock_sendall(self._data, self._filled(step.octets))
        elif step.verb == script.DATA_CLOSE:
            self._close_data()
        elif step.verb == script.DATA_RESET and self._data is not None:
            self._reset(self._data)
            self._data = None

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            made, _ = await loop.sock_accept(listening)
            self._close_data()
            self._data = made
            await self._read(made)

    def _close_data(self) -> None:
        if self._data is not None:
            asyncio.get_running_loop().remove_reader(self._data)
            self._data.close()
            self._data = None

    @staticmethod
    def _reset(made: socket.socket) -> None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        asyncio.get_running_loop().remove_reader(made)
        made.close()


def id_of(number: int) -> bytes:
    """Return the value of %id%: four digits, so that lengths stay."""
    return b"%04d" % (number % 10_000)


def answers_of(session: Sequence[Step]) -> list[bytes]:
    """Return what the peer behind the service says to the requests of a session, in order."""
    return [step.octets for step in session if step.verb == script.ANSWER]
