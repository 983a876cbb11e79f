"""UDP endpoint of a service: an asyncio datagram transport that receives datagrams in batches.

    endpoint = DatagramEndpoint(loop, bound_socket, protocol)    # protocol: an asyncio.DatagramProtocol

Each time the socket becomes readable, the endpoint receives up to BATCH_DATAGRAMS datagrams; asyncio's own transport
receives one per iteration of the event loop. Datagrams of the protocol are sent at once. While the socket's send buffer
is full, up to UNSENT_MAX datagrams are queued, and further datagrams are dropped, as by a router with a full queue. If
the protocol has a fast path (class DatagramProtocol), a batch is received by one system call and its replies are sent
by another, on systems with recvmmsg(2) and sendmmsg(2). Left out: connected sockets.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

from lab7.services.datagram_batch import DATAGRAM_OCTETS_MAX, DatagramBatch, has_batches

FastPath = Callable[[bytes], bytes | None]

# Maximum number of datagrams received before the event loop serves other sockets; libuv's limit is 32.
BATCH_DATAGRAMS = 64
# Maximum number of datagrams that wait for room in the send buffer.
UNSENT_MAX = 4_096


class DatagramProtocol(asyncio.DatagramProtocol):
    """Interface of an asyncio datagram protocol with a fast path: a function from a datagram to its reply, or None.

    A datagram for which the fast path (such as a response cache) returns None is passed to datagram_received().
    """

    @property
    def fast_path(self) -> FastPath | None:
        """The function that returns the replies to the next batch of datagrams; None without a fast path."""
        return None


class DatagramEndpoint(asyncio.DatagramTransport):
    """Datagram transport of asyncio on one bound, unconnected UDP socket; owns the socket and closes it in close()."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, bound: socket.socket, protocol: asyncio.DatagramProtocol
    ) -> None:
        super().__init__({"socket": bound, "sockname": bound.getsockname()})
        bound.setblocking(False)
        self._loop = loop
        self._socket = bound
        self._protocol = protocol
        self._unsent: deque[tuple[bytes, Any]] = deque()
        self._is_closing = False
        self._batch: DatagramBatch | None = None
        self._fast_paths = protocol if isinstance(protocol, DatagramProtocol) and has_batches(bound) else None
        protocol.connection_made(self)
        loop.add_reader(bound.fileno(), self._receive)

    def sendto(self, data: Any, addr: Any = None) -> None:
        """Send a datagram to an address; queue the datagram while the socket's send buffer is full."""
        if self._is_closing:
            return
        if not self._unsent:
            try:
                self._socket.sendto(data, addr)
                return
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._send_unsent)
            except OSError as error:
                self._protocol.error_received(error)
                return
        if len(self._unsent) < UNSENT_MAX:
            self._unsent.append((bytes(data), addr))

    def is_closing(self) -> bool:
        """Return whether the endpoint is closed or closing."""
        return self._is_closing

    def close(self) -> None:
        """Stop receiving, drop unsent datagrams, and close the socket."""
        if self._is_closing:
            return
        self._is_closing = True
        self._unsent.clear()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """Close the endpoint as close() does: there is no other way to close a UDP socket."""
        self.close()

    def _receive(self) -> None:
        fast_path = None if self._fast_paths is None else self._fast_paths.fast_path
        if fast_path is None:
            self._receive_singly()
        else:
            self._receive_batch(fast_path)

    def _receive_singly(self) -> None:
        receive, received = self._socket.recvfrom, self._protocol.datagram_received
        for _ in range(BATCH_DATAGRAMS):
            try:
                data, address = receive(DATAGRAM_OCTETS_MAX)
            except BlockingIOError:
                return
            except OSError as error:
                self._protocol.error_received(error)
                return
            received(data, address)
            if self._is_closing:
                return

    def _receive_batch(self, fast_path: FastPath) -> None:
        if self._batch is None:
            self._batch = DatagramBatch(BATCH_DATAGRAMS)
        batch, fileno = self._batch, self._socket.fileno()
        try:
            unanswered = batch.receive(fileno, fast_path)
        except BlockingIOError:
            return
        except OSError as error:
            self._protocol.error_received(error)
            return
        for reply, address in batch.send(fileno, self._protocol.error_received):
            self.sendto(reply, address)
        for number in unanswered:
            self._protocol.datagram_received(batch.datagram(number), batch.address(number))
            if self._is_closing:
                return

    def _send_unsent(self) -> None:
        while self._unsent:
            data, address = self._unsent[0]
            try:
                self._socket.sendto(data, address)
            except BlockingIOError:
                return
            except OSError as error:
                self._protocol.error_received(error)
            self._unsent.popleft()
        self._loop.remove_writer(self._socket.fileno())
