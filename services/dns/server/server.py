"""DNS server on asyncio: UDP datagrams, TCP connections, their limits, and one log line per query.

    server = DNSServer(respond, shell.log)
    await shell.open_tcp(server.stream_protocol, connections=server.connections)
    await shell.open_udp(server.datagram_protocol)

`shell` is the service's runtime (services.shell). `respond` is a lab7.services.dns.server.responder.Responder, or a
callable with its signature. RFC 1035 section 4.2. RFC 7766 sections 6.2.1.1 and 7: pipelined queries on one connection
are processed concurrently, and responses may be sent out of order, each as soon as it is ready; only the messages of a
zone transfer are sent in order (RFC 5936 section 2.2). RFC 7766 section 6.2.3: idle connections are closed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, cast

from lab7.services.connections import ConnectionLimits, ConnectionSet, Slot, Stage
from lab7.services.datagrams import DatagramProtocol, FastPath
from lab7.services.dns.codec.codes import class_to_text, rcode_to_text, type_to_text
from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.message import Message, encode
from lab7.services.dns.server.responder import Client, Response, ServerCodec
from lab7.services.eventlog import EventLog
from lab7.services.shell import Shell

Respond = Callable[[bytes, Client], Response]
Transfer = Callable[[Message, Client], Iterator[Message] | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a DNS server: numbers of connections and pending responses, timeouts in seconds."""

    # Maximum number of TCP connections: BIND's default of tcp-clients; NSD's tcp-count is 100.
    connections: int = 150
    # Idle timeout of a TCP connection in seconds: BIND's tcp-idle-timeout; RFC 7766 section 6.2.3 recommends a few.
    idle_s: float = 30.0
    # Timeout in seconds for a client that does not read its responses; as long as the idle timeout.
    write_s: float = 30.0
    # Seconds for which unsent responses are delivered after a close, as long as in the HTTP servers.
    linger_s: float = 2.0
    # Maximum number of datagrams whose response is pending; of the order of Unbound's outgoing-range.
    pending: int = 4096
    # Maximum number of pending queries per TCP connection, as in BIND; the next is read when one is answered.
    pending_per_connection: int = 23


class DNSServer:
    """UDP and TCP server that answers queries by calling `respond`, and zone transfers over TCP by calling `transfer`.

    `codec` decodes the queries for zone transfers. `fast_path`, a lookup in a response cache, is called first for each
    datagram; its result is sent if it is not None.
    """

    def __init__(
        self,
        respond: Respond,
        log: EventLog,
        transfer: Transfer | None = None,
        fast_path: FastPath | None = None,
        limits: Limits | None = None,
        codec: ServerCodec | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.codec = codec or ServerCodec()
        self.respond = respond
        self.transfer = transfer
        self.fast_path = fast_path
        self.logging = log.enabled
        self._log = log
        # RFC 7766 section 6.2.3: a server with too many connections may close connections in any order.
        connection_limits = ConnectionLimits(self.limits.connections)
        self.connections = ConnectionSet(asyncio.get_running_loop(), connection_limits, log=log)
        self._connections: set[asyncio.Task[None]] = set()
        self._pending: set[asyncio.Future[None]] = set()

    def datagram_protocol(self) -> asyncio.DatagramProtocol:
        """Return the asyncio protocol for one UDP socket."""
        return _DatagramProtocol(self)

    def stream_protocol(self, slot: Slot) -> asyncio.Protocol:
        """Return the asyncio protocol for a new TCP connection."""
        return _StreamProtocol(slot, self._connected)

    def log_query(self, response: bytes | None, client: Client, query: bytes) -> None:
        """Log one query with its response, which is None for a query that was dropped."""
        if self.logging:
            self._log.write("query", **_log_fields(query, response, client))

    def log_error(self, error: Exception) -> None:
        """Log an exception that a request handler has raised."""
        self._log.write("failed", error=f"{type(error).__name__}: {error}")

    def run(self, awaitable: Awaitable[None]) -> None:
        """Start a task for `awaitable`, which sends the response to a datagram."""
        task = asyncio.ensure_future(awaitable)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    @property
    def busy(self) -> bool:
        """True if the limit of pending responses is reached; datagrams are then dropped, and clients retry."""
        return len(self._pending) >= self.limits.pending

    async def listen(self, shell: Shell) -> None:
        """Listen for queries by TCP and UDP on the shell's addresses; raises ServiceError."""
        await shell.open_tcp(self.stream_protocol, connections=self.connections)
        await shell.open_udp(self.datagram_protocol)

    async def stop(self) -> None:
        """Cancel all connections and pending responses, and wait for their end."""
        tasks = [*self._connections, *self._pending]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _connected(self, slot: Slot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, slot, reader, writer)
        task = asyncio.ensure_future(connection.serve())
        slot.on_evict = task.cancel
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        # A callback closes it, because a task that is cancelled before its first step runs none of its code.
        task.add_done_callback(connection.close)


class _StreamProtocol(asyncio.StreamReaderProtocol):
    """Stream protocol of one TCP connection, which releases its slot in the connection limit when it is lost."""

    def __init__(
        self, slot: Slot, connected: Callable[[Slot, asyncio.StreamReader, asyncio.StreamWriter], None]
    ) -> None:
        super().__init__(asyncio.StreamReader(), lambda reader, writer: connected(slot, reader, writer))
        self._slot = slot

    def connection_lost(self, _: Exception | None) -> None:
        # A reset is treated as a close, because the event loop would log its exception as never retrieved.
        super().connection_lost(None)
        self._slot.release()


class _DatagramProtocol(DatagramProtocol):
    """Datagram protocol of one UDP socket: answers the queries that it receives."""

    def __init__(self, server: DNSServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    @property
    def fast_path(self) -> FastPath | None:
        # Queries are logged with their source address, which a fast path does not get.
        return None if self._server.logging else self._server.fast_path

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # Drop queries with source port 0, which are spoofed: a response could not be delivered.
        if addr[1] == 0:
            return
        server = self._server
        if server.fast_path is not None:
            cached = server.fast_path(data)
            if cached is not None:
                self._transport.sendto(cached, addr)
                if server.logging:
                    server.log_query(cached, Client(addr[0], addr[1]), data)
                return
        if server.busy:
            return
        client = Client(addr[0], addr[1])
        response = server.respond(data, client)
        if response is None or isinstance(response, bytes):
            self._send(response, data, client, addr)
        else:
            server.run(self._send_later(response, data, client, addr))

    async def _send_later(
        self, response: Awaitable[bytes | None], data: bytes, client: Client, addr: tuple[str, int]
    ) -> None:
        self._send(await response, data, client, addr)

    def _send(self, response: bytes | None, data: bytes, client: Client, addr: tuple[str, int]) -> None:
        if response is not None:
            self._transport.sendto(response, addr)
        self._server.log_query(response, client, data)


class _Connection:
    """Handler of the queries on one TCP connection; each response is sent as soon as it is ready."""

    def __init__(
        self, server: DNSServer, slot: Slot, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._server = server
        self._slot = slot
        self._reader = reader
        self._writer = writer
        # Length in octets of the message being received; None before its length field is read.
        self._size: int | None = None
        self._pending: set[asyncio.Task[None]] = set()
        # Lock of zone transfers, for which the order of responses is significant (RFC 7766 section 6.2.1.1).
        self._transfers = asyncio.Lock()
        host, port = (writer.get_extra_info("peername") or ("0.0.0.0", 0))[:2]
        encrypted = writer.get_extra_info("sslcontext") is not None
        self._client = Client(host, port, True, encrypted, server.limits.idle_s)

    async def serve(self) -> None:
        """Answer queries until the client closes or is too slow, or a query is dropped."""
        try:
            while (data := await self._receive()) is not None and await self._answer(data):
                while len(self._pending) >= self._server.limits.pending_per_connection:
                    await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            # A client may half-close the connection and still read the pending responses.
            while self._pending and not self._writer.transport.is_closing():
                await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
        except (TimeoutError, OSError):
            return

    def close(self, _: "asyncio.Task[None]") -> None:
        """Close the connection; called when the task that serves it has ended."""
        for task in self._pending:
            task.cancel()
        self._writer.close()
        # A connection with unsent data is aborted after linger_s, so that a slow client does not keep it open.
        asyncio.get_running_loop().call_later(self._server.limits.linger_s, self._writer.transport.abort)

    async def _receive(self) -> bytes | None:
        """Return the next query, None at the end of the stream; raises TimeoutError on an idle connection."""
        while True:
            try:
                async with asyncio.timeout(self._server.limits.idle_s):
                    return await self._read()
            except TimeoutError:
                # A connection with a pending response is not idle, so it has no timeout.
                if not self._pending:
                    raise

    async def _read(self) -> bytes | None:
        try:
            # RFC 1035 section 4.2.2: two octets of length before each message.
            if self._size is None:
                self._size = int.from_bytes(await self._reader.readexactly(2), "big")
            data = await self._reader.readexactly(self._size)
        except asyncio.IncompleteReadError:
            return None
        self._size = None
        return data

    async def _answer(self, data: bytes) -> bool:
        """Answer one query, at once or in a task; return False if it is dropped, and the connection must be closed."""
        self._slot.complete(Stage.ACTIVE)
        transfer = self._transfer(data)
        if transfer is not None:
            self._run(self._send_transfer(*transfer, data))
            return True
        response = self._server.respond(data, self._client)
        if response is None:
            self._server.log_query(None, self._client, data)
            return False
        if isinstance(response, bytes):
            await self._send(response, data)
            self._settle()
        else:
            self._run(self._send_later(response, data))
        return True

    def _run(self, answering: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(answering)
        self._pending.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._pending.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The client has disconnected or does not read, so its pending responses are discarded.
            self._writer.transport.abort()
        if isinstance(error, Exception) and not isinstance(error, (OSError, TimeoutError)):
            self._server.log_error(error)
        self._settle()

    def _settle(self) -> None:
        if not self._pending:
            self._slot.complete(Stage.IDLE)

    async def _send_later(self, response: Awaitable[bytes | None], data: bytes) -> None:
        octets = await response
        if octets is None:
            self._server.log_query(None, self._client, data)
            self._writer.close()
        else:
            await self._send(octets, data)

    async def _send_transfer(self, query: Message, transfer: Iterator[Message], data: bytes) -> None:
        async with self._transfers:
            for message in transfer:
                octets = encode(message)
                await self._send(octets if query.signer is None else query.signer.sign(octets), data)

    def _transfer(self, data: bytes) -> tuple[Message, Iterator[Message]] | None:
        """Return (query, messages of the response) if a message is a query for a zone transfer.

        Returns None for any other query.
        """
        query = self._server.codec.decode(data, self._client) if self._server.transfer is not None else None
        if self._server.transfer is None or not isinstance(query, Message):
            return None
        transfer = self._server.transfer(query, self._client)
        return None if transfer is None else (query, transfer)

    async def _send(self, response: bytes, data: bytes) -> None:
        # After a reset by the client, uvloop's write() raises RuntimeError, which would be logged as an internal error.
        if self._writer.transport.is_closing():
            raise ConnectionResetError("connection closed by the client before the response")
        self._writer.write(len(response).to_bytes(2, "big") + response)
        self._server.log_query(response, self._client, data)
        async with asyncio.timeout(self._server.limits.write_s):
            await self._writer.drain()


def _log_fields(query: bytes, response: bytes | None, client: Client) -> dict[str, object]:
    """Return the log fields of a query and its response; for a malformed query, the client and the error."""
    host = f"[{client.host}]" if ":" in client.host else client.host
    fields: dict[str, object] = {"peer": f"{host}:{client.port}", "over": "tcp" if client.over_tcp else "udp"}
    try:
        question = Message.from_wire(query).question
        if question is not None:
            fields |= {"qname": str(question.name), "qtype": type_to_text(question.rtype)}
            fields |= {"qclass": class_to_text(question.rclass)}
        if response is None:
            return fields | {"rcode": None}
        reply = Message.from_wire(response)
    except WireError as error:
        return fields | {"error": error.detail, "size": 0 if response is None else len(response)}
    counts = {"answers": len(reply.answers), "size": len(response)}
    return fields | {"rcode": rcode_to_text(reply.rcode), "aa": reply.aa, "tc": reply.tc, **counts}
