"""UDP endpoint of a service: batches of datagrams, a full send buffer, errors and the end."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab7.services.datagrams import BATCH_DATAGRAMS, UNSENT_MAX, DatagramEndpoint

HOST = "127.0.0.1"
COUNT = 3 * BATCH_DATAGRAMS
MORE_THAN_FIT = 2000


class Echo(asyncio.DatagramProtocol):
    """Protocol that sends each datagram back, and records errors and the end."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.received: list[bytes] = []
        self.is_lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)
        self.transport.sendto(data, addr)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = exc is None


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        yield server


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(count)]


def test_datagrams_that_came_at_once_are_answered_in_order(bound: socket.socket) -> None:
    async def run() -> None:
        protocol = Echo()
        endpoint = DatagramEndpoint(asyncio.get_running_loop(), bound, protocol)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(bound.getsockname())
            for datagram in numbered(COUNT):
                client.send(datagram)
            await until(lambda: len(protocol.received) == COUNT)
            client.settimeout(5)
            assert [client.recv(100) for _ in range(COUNT)] == numbered(COUNT)
        endpoint.close()

    asyncio.run(run())


def test_the_loop_serves_other_sockets_between_two_batches(bound: socket.socket) -> None:
    async def run() -> None:
        protocol = Echo()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(bound.getsockname())
            for datagram in numbered(COUNT):
                client.send(datagram)
            endpoint = DatagramEndpoint(asyncio.get_running_loop(), bound, protocol)
            await until(lambda: protocol.received)
            assert len(protocol.received) == BATCH_DATAGRAMS
        endpoint.close()

    asyncio.run(run())


def test_datagrams_wait_for_room_in_the_send_buffer(tmp_path: Path) -> None:
    async def run() -> None:
        # A Unix datagram socket takes net.unix.max_dgram_qlen datagrams (10 by default), then send() would block.
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
        ):
            server.bind(str(tmp_path / "server"))
            client.bind(str(tmp_path / "client"))
            client.setblocking(False)
            protocol = Echo()
            endpoint = DatagramEndpoint(asyncio.get_running_loop(), server, protocol)
            for datagram in numbered(MORE_THAN_FIT):
                endpoint.sendto(datagram, str(tmp_path / "client"))
            async with asyncio.timeout(5):
                received = [await asyncio.get_running_loop().sock_recv(client, 100) for _ in range(MORE_THAN_FIT)]
            assert received == numbered(MORE_THAN_FIT)
            assert protocol.errors == []
            endpoint.close()

    asyncio.run(run())


def test_datagrams_beyond_the_bound_are_dropped(tmp_path: Path) -> None:
    async def run() -> None:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client,
        ):
            server.bind(str(tmp_path / "server"))
            client.bind(str(tmp_path / "client"))
            client.settimeout(0.2)
            endpoint = DatagramEndpoint(asyncio.get_running_loop(), server, Echo())
            for datagram in numbered(3 * UNSENT_MAX):
                endpoint.sendto(datagram, str(tmp_path / "client"))
            received = 0
            while received <= 3 * UNSENT_MAX:
                try:
                    client.recv(100)
                except TimeoutError:
                    break
                received += 1
                # The endpoint sends when its loop runs.
                await asyncio.sleep(0)
            assert UNSENT_MAX <= received < 2 * UNSENT_MAX
            endpoint.close()

    asyncio.run(run())


def test_an_error_of_one_datagram_is_told_and_the_next_is_sent(bound: socket.socket) -> None:
    async def run() -> None:
        protocol = Echo()
        endpoint = DatagramEndpoint(asyncio.get_running_loop(), bound, protocol)
        endpoint.sendto(bytes(70_000), (HOST, 9))
        assert [type(error) for error in protocol.errors] == [OSError]
        endpoint.sendto(b"hello", bound.getsockname())
        await until(lambda: protocol.received)
        endpoint.close()

    asyncio.run(run())


def test_a_closed_endpoint_neither_receives_nor_sends(bound: socket.socket) -> None:
    async def run() -> None:
        protocol = Echo()
        endpoint = DatagramEndpoint(asyncio.get_running_loop(), bound, protocol)
        address = bound.getsockname()
        endpoint.close()
        endpoint.sendto(b"late", address)
        await until(lambda: protocol.is_lost)
        assert endpoint.is_closing()
        assert bound.fileno() == -1
        assert protocol.received == []

    asyncio.run(run())
