"""UDP endpoint of a service: batches of datagrams, a full send buffer, errors and the end."""

import asyncio
import ctypes
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab7.services import datagrams
from lab7.services.datagrams import BATCH_DATAGRAMS, UNSENT_MAX, DatagramEndpoint, DatagramProtocol, FastPath

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


class Answering(Echo, DatagramProtocol):
    """Protocol whose fast path replies in upper case to what begins with "s", and with 70,000 octets to "long"."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[Any] = []

    @property
    def fast_path(self) -> FastPath:
        return lambda data: bytes(70_000) if data == b"long" else data.upper() if data.startswith(b"s") else None

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.sources.append(addr)
        super().datagram_received(data, addr)


def exchange(bound: socket.socket, datagrams: list[bytes], replies: int) -> tuple[Answering, list[bytes], Any]:
    """Send datagrams before the endpoint receives; return its protocol, the replies and the client's address."""

    async def run() -> tuple[Answering, list[bytes], Any]:
        protocol = Answering()
        with socket.socket(bound.family, socket.SOCK_DGRAM) as client:
            client.connect(bound.getsockname())
            client.setblocking(False)
            for datagram in datagrams:
                client.send(datagram)
            endpoint = DatagramEndpoint(asyncio.get_running_loop(), bound, protocol)
            async with asyncio.timeout(5):
                received = [await asyncio.get_running_loop().sock_recv(client, 100) for _ in range(replies)]
            endpoint.close()
            return protocol, received, client.getsockname()

    return asyncio.run(run())


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


def test_a_fast_path_answers_whole_batches(bound: socket.socket) -> None:
    datagrams = [b"s%d" % number for number in range(COUNT)]
    protocol, replies, _ = exchange(bound, datagrams, COUNT)
    assert replies == [datagram.upper() for datagram in datagrams]
    assert protocol.received == []


def test_what_the_fast_path_does_not_answer_is_received_with_its_address(bound: socket.socket) -> None:
    protocol, replies, client = exchange(bound, [b"s", b"x", b"", b"s2", b"x" * 60], 5)
    assert sorted(replies) == sorted([b"S", b"S2", b"x", b"", b"x" * 60])
    assert protocol.received == [b"x", b"", b"x" * 60]
    assert protocol.sources == [client] * 3


def test_a_fast_path_over_ipv6() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(("::1", 0))
        protocol, replies, client = exchange(server, [b"s", b"x"], 2)
    assert replies == [b"S", b"x"]
    assert protocol.sources == [client]


def test_a_reply_that_cannot_be_sent_does_not_stop_the_others(bound: socket.socket) -> None:
    protocol, replies, _ = exchange(bound, [b"s1", b"long", b"s2"], 2)
    assert replies == [b"S1", b"S2"]
    assert [error.errno for error in protocol.errors if isinstance(error, OSError)] == [errno.EMSGSIZE]


def test_replies_wait_for_room_in_the_send_buffer(bound: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullAfterOne:
        """C library whose sendmmsg() sends one datagram, and has no room for the next ones."""

        def __init__(self) -> None:
            self.recvmmsg = libc.recvmmsg
            self.calls = 0

        def sendmmsg(self, fileno: int, messages: Any, _: int, flags: int) -> int:
            self.calls += 1
            if self.calls == 1:
                return int(libc.sendmmsg(fileno, messages, 1, flags))
            ctypes.set_errno(errno.EAGAIN)
            return -1

    libc = datagrams._libc
    monkeypatch.setattr(datagrams, "_libc", FullAfterOne())
    protocol, replies, _ = exchange(bound, [b"s1", b"s2", b"s3"], 3)
    assert replies == [b"S1", b"S2", b"S3"]
    assert protocol.errors == []


@pytest.mark.parametrize("kind", [asyncio.DatagramProtocol, DatagramProtocol])
def test_an_error_of_the_protocol_is_none_of_the_socket(
    kind: type[asyncio.DatagramProtocol], bound: socket.socket
) -> None:
    class Failing(kind):  # type: ignore[misc, valid-type]
        """Protocol whose handler of datagrams raises an OSError, as a full disk does."""

        fast_path = staticmethod(lambda _: None)

        def datagram_received(self, *_: Any) -> None:
            raise OSError(errno.ENOSPC, "no space left")

        def error_received(self, exc: Exception) -> None:
            told.append(exc)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context["exception"]))
        endpoint = DatagramEndpoint(asyncio.get_running_loop(), bound, Failing())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", bound.getsockname())
            await until(lambda: raised or told)
        endpoint.close()

    raised, told = list[Exception](), list[Exception]()
    asyncio.run(run())
    assert [type(error) for error in raised] == [OSError]
    assert told == []
