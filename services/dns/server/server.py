"""A DNS server on asyncio: datagrams, connections, their limits, and one log line a query.

    server = DNSServer(respond, shell.log, shell.wall_clock)
    await shell.open_tcp(server.stream_protocol, connections=server.connections)
    await shell.open_udp(server.datagram_protocol)

`respond` is a services.dns.server.responder.Responder or anything of its form. RFC 1035 section 4.2, RFC 7766 (several
queries on a connection, answered in the order they came; idle connections are closed; no limit that a resolver meets
in earnest).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import cast

from services.connections import ConnectionLimits, Stage
from services.dns.codec.codes import class_to_text, rcode_to_text, type_to_text
from services.dns.codec.errors import WireError
from services.dns.codec.message import Message
from services.dns.codec.truncation import encode
from services.dns.server.responder import Client, Response, accept
from services.eventlog import EventLog
from services.listener import Connections, Slot

# RFC 768: a length of two octets.
DATAGRAM_OCTETS_MAX = 65_535

Respond = Callable[[bytes, Client], Response]
Transfer = Callable[[Message, Client], Iterator[Message] | None]
Shortcut = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gives its clients: counts and seconds."""

    # BIND's tcp-clients default is 150, NSD's tcp-count 100.
    connections: int = 150
    # RFC 7766 section 6.2.3 asks for seconds; BIND's tcp-idle-timeout is 30 s.
    idle_s: float = 30.0
    # A client that does not read its answers: as long as one that does not ask.
    write_s: float = 30.0
    # For the last answer; HTTP servers wait as long.
    linger_s: float = 2.0
    # Queries that wait for an awaited answer; unbound's outgoing-range is of this order.
    pending: int = 4096


class DNSServer:
    """Serves `respond` on datagrams and connections, and `transfer`, if given, on connections.

    `shortcut`, if given, is asked first about each datagram; what it returns, if not None, is the response.
    """

    def __init__(
        self,
        respond: Respond,
        log: EventLog,
        transfer: Transfer | None = None,
        shortcut: Shortcut | None = None,
        bounds: Limits | None = None,
    ) -> None:
        self.limits = bounds or Limits()
        self.respond = respond
        self.transfer = transfer
        self.shortcut = shortcut
        self.logging = log.enabled
        self._log = log
        # RFC 7766 section 6.2.3: a server that has too many connections closes them in an order of its own.
        limits = ConnectionLimits(self.limits.connections)
        self.connections = Connections(asyncio.get_running_loop(), limits, log=log)
        self._connections: set[asyncio.Task[None]] = set()
        self._pending: set[asyncio.Future[None]] = set()

    def datagram_protocol(self) -> asyncio.DatagramProtocol:
        """Return the protocol for one socket."""
        return _Datagrams(self)

    def stream_protocol(self, slot: Slot) -> asyncio.Protocol:
        """Return the protocol for a new connection."""
        return _Stream(slot, self._connected)

    def note(self, data: bytes | None, client: Client, query: bytes) -> None:
        """Log one query and what became of it."""
        if self.logging:
            self._log.write("query", **_described(query, data, client))

    def failed(self, error: Exception) -> None:
        """Log what a handler raised."""
        self._log.write("failed", error=f"{type(error).__name__}: {error}")

    def later(self, awaited: Awaitable[None]) -> None:
        """Run what a datagram's answer waits for."""
        task = asyncio.ensure_future(awaited)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    @property
    def busy(self) -> bool:
        """Whether as many answers are waited for as may be; a datagram is dropped then, and the client asks again."""
        return len(self._pending) >= self.limits.pending

    async def stop(self) -> None:
        """End every connection and every answer that is waited for."""
        ending = [*self._connections, *self._pending]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _connected(self, slot: Slot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_Connection(self, slot, reader, writer).serve())
        slot.on_evict = task.cancel
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)


class _Stream(asyncio.StreamReaderProtocol):
    """The streams of one connection, whose place is free once it is lost."""

    def __init__(
        self, slot: Slot, connected: Callable[[Slot, asyncio.StreamReader, asyncio.StreamWriter], None]
    ) -> None:
        super().__init__(asyncio.StreamReader(), lambda reader, writer: connected(slot, reader, writer))
        self._slot = slot

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._slot.release()


class _Datagrams(asyncio.DatagramProtocol):
    """One socket's queries."""

    def __init__(self, server: DNSServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        # asyncio's own transport takes 256 KiB of memory for each datagram and gives it back, which the allocator
        # does by system calls at a third of the speed; no datagram is longer than this.
        if hasattr(transport, "max_size"):
            setattr(transport, "max_size", DATAGRAM_OCTETS_MAX)  # noqa: B010

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # Nobody listens on port 0: whoever writes it as a source wants the answer to go astray.
        if addr[1] == 0:
            return
        server = self._server
        if server.shortcut is not None:
            known = server.shortcut(data)
            if known is not None:
                self._transport.sendto(known, addr)
                if server.logging:
                    server.note(known, Client(addr[0], addr[1]), data)
                return
        if server.busy:
            return
        client = Client(addr[0], addr[1])
        answer = server.respond(data, client)
        if answer is None or isinstance(answer, bytes):
            self._send(answer, data, client, addr)
        else:
            server.later(self._send_later(answer, data, client, addr))

    async def _send_later(
        self, answer: Awaitable[bytes | None], data: bytes, client: Client, addr: tuple[str, int]
    ) -> None:
        self._send(await answer, data, client, addr)

    def _send(self, answer: bytes | None, data: bytes, client: Client, addr: tuple[str, int]) -> None:
        if answer is not None:
            self._transport.sendto(answer, addr)
        self._server.note(answer, client, data)


class _Connection:
    """One connection's queries, answered one after the other."""

    def __init__(
        self, server: DNSServer, slot: Slot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._slot = slot
        self._reader = reader
        self._writer = writer
        host, port = (writer.get_extra_info("peername") or ("0.0.0.0", 0))[:2]
        self._client = Client(host, port, over_tcp=True)

    async def serve(self) -> None:
        """Answer until the client ends, stalls, or sends what has no place in a stream."""
        try:
            while True:
                async with asyncio.timeout(self._server.limits.idle_s):
                    # RFC 1035 section 4.2.2: two octets of length before each message.
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                    data = await self._reader.readexactly(size)
                self._slot.complete(Stage.ACTIVE)
                if not await self._answer(data):
                    break
                self._slot.complete(Stage.IDLE)
        except (asyncio.IncompleteReadError, TimeoutError, OSError):
            pass
        finally:
            self._writer.close()
            # What the client does not read must not keep the connection.
            asyncio.get_running_loop().call_later(self._server.limits.linger_s, self._writer.transport.abort)

    async def _answer(self, data: bytes) -> bool:
        """Answer one query; False when the connection is of no more use."""
        transfer = self._transfer(data)
        if transfer is not None:
            for message in transfer:
                await self._send(encode(message), data)
            return True
        answer = self._server.respond(data, self._client)
        if answer is not None and not isinstance(answer, bytes):
            answer = await answer
        if answer is None:
            self._server.note(None, self._client, data)
            return False
        await self._send(answer, data)
        return True

    def _transfer(self, data: bytes) -> Iterator[Message] | None:
        query = accept(data) if self._server.transfer is not None else None
        if self._server.transfer is None or not isinstance(query, Message):
            return None
        return self._server.transfer(query, self._client)

    async def _send(self, answer: bytes, data: bytes) -> None:
        # A client may reset the connection while its answer is waited for. What a transport does with octets after that
        # differs: asyncio's drops them, uvloop's raises RuntimeError, which would pass for a fault of this program.
        if self._writer.transport.is_closing():
            raise ConnectionResetError("the client closed the connection before its answer")
        self._writer.write(len(answer).to_bytes(2, "big") + answer)
        self._server.note(answer, self._client, data)
        async with asyncio.timeout(self._server.limits.write_s):
            await self._writer.drain()


def _described(query: bytes, answer: bytes | None, client: Client) -> dict[str, object]:
    """Return what the log says of a query; of one that cannot be read only who sent it and what it got."""
    host = f"[{client.host}]" if ":" in client.host else client.host
    known: dict[str, object] = {"peer": f"{host}:{client.port}", "over": "tcp" if client.over_tcp else "udp"}
    try:
        question = Message.from_wire(query).question
        if question is not None:
            known |= {"qname": str(question.name), "qtype": type_to_text(question.rtype)}
            known |= {"qclass": class_to_text(question.rclass)}
        if answer is None:
            return known | {"rcode": None}
        reply = Message.from_wire(answer)
    except WireError as error:
        return known | {"error": error.detail, "size": 0 if answer is None else len(answer)}
    counts = {"answers": len(reply.answers), "size": len(answer)}
    return known | {"rcode": rcode_to_text(reply.rcode), "aa": reply.aa, "tc": reply.tc, **counts}
