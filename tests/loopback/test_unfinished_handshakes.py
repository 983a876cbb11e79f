"""TLS handshakes that fail or are never finished leave no objects that wait for the garbage collector."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import gc
import socket
import ssl
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

from lab7.services.connections import ConnectionLimits, ConnectionSet, Listener, Slot
from lab7.services.tls import self_signed_context
from tests.loopback.crowd import HOST

# Half a ClientHello, a ClientHello of two octets, and no TLS at all.
OPENINGS = {
    "half": b"\x16\x03\x01\x02\x00",
    "short": b"\x16\x03\x01\x00\x02\x01\x00",
    "plain": b"GET / HTTP/1.1\r\n",
}
CLIENTS = 3


class _Protocol(asyncio.Protocol):
    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._slot.release()


async def _fail_handshakes(opening: bytes, context: ssl.SSLContext, made: list[weakref.ref[Any]]) -> None:
    loop = asyncio.get_running_loop()
    connections = ConnectionSet(loop, ConnectionLimits(100))
    listening = socket.create_server((HOST, 0))
    listening.setblocking(False)

    def protocol(slot: Slot) -> asyncio.Protocol:
        new = _Protocol(slot)
        made.append(weakref.ref(new))
        return new

    listener = Listener(loop, listening, protocol, connections, context, 20.0)
    for _ in range(CLIENTS):
        with socket.create_connection(listening.getsockname()) as client:
            client.send(opening)
            await asyncio.sleep(0.02)
    async with asyncio.timeout(20.0):
        while len(connections.table) or len(made) < CLIENTS:
            await asyncio.sleep(0.01)
    listener.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("opening", OPENINGS)
def test_a_failed_handshake_leaves_nothing_to_the_garbage_collector(
    opening: str, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    context = self_signed_context(["localhost"])
    made: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_fail_handshakes(OPENINGS[opening], context, made))
            left = [found for found in gc.get_objects() if isinstance(found, asyncio.sslproto.SSLProtocol)]
            assert (len(made), [ref for ref in made if ref() is not None], left) == (CLIENTS, [], [])
    finally:
        gc.enable()
