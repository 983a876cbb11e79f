"""DNS server: connection limits, timeouts, pipelined queries, and handlers that wait or fail."""

import asyncio
import io
import json
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any, Protocol

import dns.message

from lab7.services.connections import Listener
from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.message import Message, Record
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import A
from lab7.services.dns.server.responder import Client, Handled, Handler, Responder
from lab7.services.dns.server.server import DNSServer, Limits, Transfer
from lab7.services.eventlog import EventLog
from tests.loopback.dns.authority import HOST, PATIENCE_S, framed

QUERY = dns.message.make_query("www.example.com", "A", id=1).to_wire()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Connect(Protocol):
    """Opens a connection to the server, from an address."""

    def __call__(self, source: str = HOST) -> Awaitable[Streams]: ...


def refusing(query: Message, _: Client) -> Message:
    return query.reply(Rcode.REFUSED)


def with_server(
    handler: Handler,
    bounds: Limits,
    body: Callable[[Connect], Coroutine[Any, Any, None]],
    log: io.StringIO | None = None,
    transfer: Transfer | None = None,
) -> None:
    async def run() -> None:
        events = EventLog(log, time.time)
        server = DNSServer(Responder(handler), events, transfer, limits=bounds)
        server.respond = Responder(handler, on_error=server.log_error)
        bound = socket.create_server((HOST, 0))
        bound.setblocking(False)
        port = bound.getsockname()[1]
        listening = Listener(asyncio.get_running_loop(), bound, server.stream_protocol, server.connections)
        async with asyncio.timeout(PATIENCE_S):
            await body(lambda source=HOST: asyncio.open_connection(HOST, port, local_addr=(source, 0)))
        listening.close()
        await server.stop()

    asyncio.run(run())


async def ask(streams: Streams, query: bytes = QUERY) -> Message:
    reader, writer = streams
    writer.write(framed(query))
    return Message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))


def test_a_connection_that_is_idle_is_closed() -> None:
    async def body(connect: Connect) -> None:
        reader, writer = await connect()
        assert (await ask((reader, writer))).rcode == Rcode.REFUSED
        writer.write(framed(QUERY)[:5])
        assert await reader.read() == b""
        writer.close()

    with_server(refusing, Limits(idle_s=0.05), body)


def test_beyond_the_connection_limit_the_longest_idle_makes_room() -> None:
    async def body(connect: Connect) -> None:
        first, second = await connect(), await connect()
        await ask(first)
        await ask(second)
        third = await connect()
        assert (await ask(third)).rcode == Rcode.REFUSED
        assert await first[0].read() == b""
        assert (await ask(second)).rcode == Rcode.REFUSED
        for _, writer in (first, second, third):
            writer.close()

    with_server(refusing, Limits(connections=2), body)


def test_beyond_the_connection_limit_with_none_idle_a_connection_is_refused() -> None:
    async def waiting(query: Message, _: Client) -> Message | None:
        await asyncio.Event().wait()
        return query.reply(Rcode.NOERROR)

    async def body(connect: Connect) -> None:
        first, second = await connect(), await connect()
        for _, writer in (first, second):
            writer.write(framed(QUERY))
        third = await connect()
        assert await third[0].read() == b""
        for reader, writer in (first, second, third):
            assert reader is third[0] or not reader.at_eof()
            writer.close()

    with_server(waiting, Limits(connections=2), body)


def test_a_handler_that_waits_is_waited_for_and_one_that_fails_is_servfail() -> None:
    log = io.StringIO()

    async def waiting(query: Message, client: Client) -> Message | None:
        assert client.over_tcp
        await asyncio.sleep(0)
        if query.id == 2:
            raise RuntimeError("no")
        return query.reply(Rcode.NXDOMAIN)

    async def body(connect: Connect) -> None:
        streams = await connect()
        assert (await ask(streams)).rcode == Rcode.NXDOMAIN
        assert (await ask(streams, b"\x00\x02" + QUERY[2:])).rcode == Rcode.SERVFAIL
        streams[1].close()

    with_server(waiting, Limits(), body, log)
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["query", "failed", "query"]
    assert events[1]["error"] == "RuntimeError: no"


class Slow:
    """Handler that answers at once but for odd ids, for which it waits until `release`."""

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.waiting = 0

    def __call__(self, query: Message, _: Client) -> Handled:
        return self._later(query) if query.id % 2 else query.reply()

    async def _later(self, query: Message) -> Message:
        self.waiting += 1
        await self.release.wait()
        return query.reply()


def numbered(*ids: int) -> bytes:
    return framed(*(number.to_bytes(2, "big") + QUERY[2:] for number in ids))


async def read_id(reader: asyncio.StreamReader) -> int:
    return Message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))).id


def test_pipelined_queries_are_answered_as_responses_become_ready() -> None:
    """RFC 7766 section 6.2.1.1."""
    slow = Slow()

    async def body(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(numbered(1, 2, 3, 4))
        assert [await read_id(reader) for _ in range(2)] == [2, 4]
        slow.release.set()
        assert {await read_id(reader) for _ in range(2)} == {1, 3}
        writer.close()

    with_server(slow, Limits(), body)


def test_a_response_that_is_pending_outlives_the_idle_timeout_and_the_end_of_queries() -> None:
    slow = Slow()

    async def body(connect: Connect) -> None:
        reader, writer = await connect()
        # The second query is incomplete when the idle timeout ends, several times.
        writer.write(numbered(1) + numbered(2)[:7])
        await asyncio.sleep(0.2)
        writer.write(numbered(2)[7:])
        writer.write_eof()
        assert await read_id(reader) == 2
        slow.release.set()
        assert await read_id(reader) == 1
        assert await reader.read() == b""
        writer.close()

    with_server(slow, Limits(idle_s=0.05), body)


def test_the_pending_queries_of_a_connection_are_bounded() -> None:
    slow = Slow()

    async def body(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(numbered(1, 3, 5, 7, 9, 2))
        while slow.waiting < 3:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert slow.waiting == 3
        # Another connection is served meanwhile.
        other = await connect()
        assert (await ask(other, numbered(4)[2:])).id == 4
        slow.release.set()
        assert {await read_id(reader) for _ in range(6)} == {1, 3, 5, 7, 9, 2}
        writer.close()
        other[1].close()

    with_server(slow, Limits(pending_per_connection=3), body)


def test_the_messages_of_zone_transfers_keep_their_order() -> None:
    """RFC 5936 section 2.2; other responses may come between them."""

    def transfer(query: Message, _: Client) -> Iterator[Message] | None:
        if query.id < 100:
            return None
        records = (Record(Name((b"n",)), RRType.A, RRClass.IN, number, A(IPv4Address(number))) for number in range(200))
        return (replace(query.reply(), answers=(record,) * 100) for record in records)

    async def body(connect: Connect) -> None:
        reader, writer = await connect()
        writer.write(numbered(1, 101, 102, 2))
        seen: dict[int, list[int]] = {}
        for _ in range(401):
            message = Message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")))
            seen.setdefault(message.id, []).extend(record.ttl for record in message.answers[:1])
        assert set(seen) == {101, 102, 2}
        assert seen[101] == seen[102] == list(range(200))
        writer.close()

    with_server(Slow(), Limits(), body, transfer=transfer)


def test_200_silent_connections_of_one_client_shut_out_no_other_client() -> None:
    async def body(connect: Connect) -> None:
        silent = [await connect() for _ in range(200)]
        # A connection that is refused ends with no response.
        other = await connect("127.0.0.2")
        assert (await ask(other)).rcode == Rcode.REFUSED
        for _, writer in (*silent, other):
            writer.close()

    with_server(refusing, Limits(), body)


def test_datagrams_over_the_pending_limit_are_dropped() -> None:
    async def run() -> None:
        release = asyncio.Event()

        async def waiting(query: Message, _: Client) -> Message:
            await release.wait()
            return query.reply()

        server = DNSServer(Responder(waiting), EventLog(None, time.time), limits=Limits(pending=2))
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(server.datagram_protocol, (HOST, 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.setblocking(False)
            peer.connect(transport.get_extra_info("sockname"))
            for number in (1, 2, 3):
                peer.send(number.to_bytes(2, "big") + QUERY[2:])
            while not server.busy:
                await asyncio.sleep(0)
            # The third arrives in this iteration of the loop or a later one: it is dropped either way.
            for _ in range(10):
                await asyncio.sleep(0)
            release.set()
            async with asyncio.timeout(PATIENCE_S):
                found = [await loop.sock_recv(peer, 512) for _ in range(2)]
                assert sorted(one[:2] for one in found) == [b"\x00\x01", b"\x00\x02"]
                peer.send(b"\x00\x04" + QUERY[2:])
                assert (await loop.sock_recv(peer, 512))[:2] == b"\x00\x04"
        transport.close()
        await server.stop()

    asyncio.run(run())
