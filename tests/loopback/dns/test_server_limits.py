"""DNS server: connection limits, timeouts, and handlers that wait or fail."""

import asyncio
import io
import json
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import dns.message

from services.connections import Listener
from services.dns.codec.codes import Rcode
from services.dns.codec.message import Message
from services.dns.server.responder import Client, Handler, Responder
from services.dns.server.server import DNSServer, Limits
from services.eventlog import EventLog
from tests.loopback.dns.authority import HOST, PATIENCE_S, framed

QUERY = dns.message.make_query("www.example.com", "A", id=1).to_wire()
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


def refusing(query: Message, _: Client) -> Message:
    return query.reply(Rcode.REFUSED)


def with_server(
    handler: Handler,
    bounds: Limits,
    body: Callable[[Connect], Coroutine[Any, Any, None]],
    log: io.StringIO | None = None,
) -> None:
    async def run() -> None:
        events = EventLog(log, time.time)
        server = DNSServer(Responder(handler), events, limits=bounds)
        server.respond = Responder(handler, on_error=server.log_error)
        bound = socket.create_server((HOST, 0))
        bound.setblocking(False)
        port = bound.getsockname()[1]
        listening = Listener(asyncio.get_running_loop(), bound, server.stream_protocol, server.connections)
        async with asyncio.timeout(PATIENCE_S):
            await body(lambda: asyncio.open_connection(HOST, port))
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
