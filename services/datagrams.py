"""UDP endpoint of a service: an asyncio datagram transport that receives datagrams in batches.

    endpoint = DatagramEndpoint(loop, bound_socket, protocol)    # protocol: an asyncio.DatagramProtocol

Each time the socket becomes readable, the endpoint receives up to BATCH_DATAGRAMS datagrams, whereas asyncio's own
transport receives one per iteration of the event loop. The protocol's datagrams are sent at once. While the socket's
send buffer is full, up to UNSENT_MAX datagrams are queued; further datagrams are dropped, as a full router queue drops
them. Left out: connected sockets.

A protocol with a fast path (DatagramProtocol) has batches received and answered by one system call each, recvmmsg(2)
and sendmmsg(2), where the system has these calls (DatagramBatch):

    batch = DatagramBatch(64)
    for number in batch.receive(fileno, response_cache.get):
        answer(batch.datagram(number), batch.address(number))
    batch.send(fileno, on_error)

Python's socket module has neither call, so that they are called in the C library through ctypes. A reply is sent to the
address as received, which is decoded only for those datagrams whose address() is called.
"""

import asyncio
import ctypes
import mmap
import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

FastPath = Callable[[bytes], bytes | None]

# Maximum number of datagrams received before the event loop serves other sockets; libuv's limit is 32.
BATCH_DATAGRAMS = 64
# Maximum number of datagrams that wait for room in the send buffer.
UNSENT_MAX = 4_096
# Maximum size of a UDP datagram in octets (RFC 768: a length field of 16 bits).
DATAGRAM_OCTETS_MAX = 65_535

# Octets between the receive buffers of two datagrams. Memory is used only for those pages that a datagram reaches.
_RECEIVE_OCTETS = 1 << 16
# Octets of all replies of a batch: 1,232 each, the largest response over UDP that DNS servers send by default.
_REPLY_OCTETS = 1_232
# Octets of a struct sockaddr_in6, the longer of the two.
_ADDRESS_OCTETS = 28
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


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


class _IoVec(ctypes.Structure):
    """Struct iovec (readv(2)): one buffer."""

    _fields_ = (("base", ctypes.c_void_p), ("octets", ctypes.c_size_t))


class _MessageHeader(ctypes.Structure):
    """Struct msghdr (recvmsg(2)): address and buffers of one datagram."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("address_octets", ctypes.c_uint32),
        ("buffers", ctypes.c_void_p),
        ("buffer_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_octets", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """Struct mmsghdr (recvmmsg(2)): a datagram, and its size in octets once it is received or sent."""

    _fields_ = (("header", _MessageHeader), ("octets", ctypes.c_uint))


# Octets of a struct mmsghdr in words of size_t, for the first field of each, the address.
_HEADER_WORDS = ctypes.sizeof(_Message) // ctypes.sizeof(ctypes.c_size_t)

_libc: Any = ctypes.CDLL(None, use_errno=True)


def has_batches(bound: socket.socket) -> bool:
    """Tell whether DatagramBatch can be used with a socket: UDP, on a system with recvmmsg(2) and sendmmsg(2)."""
    return bound.family in _FAMILIES and hasattr(_libc, "recvmmsg") and hasattr(_libc, "sendmmsg")


class DatagramBatch:
    """Buffers for at most `count` datagrams received on a UDP socket by one system call, and for the replies."""

    def __init__(self, count: int) -> None:
        self._count = ctypes.c_uint(count)
        self._received = mmap.mmap(-1, count * _RECEIVE_OCTETS)
        self._replies = mmap.mmap(-1, count * _REPLY_OCTETS)
        self._addresses = mmap.mmap(-1, count * _ADDRESS_OCTETS)
        self._receive_buffers = (_IoVec * count)()
        self._reply_buffers = (_IoVec * count)()
        self._receive_messages = (_Message * count)()
        self._reply_messages = (_Message * count)()
        self._first_address, self._first_reply = _address(self._addresses), _address(self._replies)
        received = _address(self._received)
        for number in range(count):
            self._receive_buffers[number] = _IoVec(received + number * _RECEIVE_OCTETS, _RECEIVE_OCTETS)
            for messages, buffers in (
                (self._receive_messages, self._receive_buffers),
                (self._reply_messages, self._reply_buffers),
            ):
                header = messages[number].header
                header.address = self._first_address + number * _ADDRESS_OCTETS
                header.address_octets = _ADDRESS_OCTETS
                header.buffers, header.buffer_count = ctypes.addressof(buffers[number]), 1
        # Numbers of the datagrams that have a reply.
        self._replied: list[int] = []
        # The fields that change with each datagram, as arrays: access to them is faster than to ctypes structures.
        sizes = memoryview(self._receive_messages).cast("B").cast("I")
        self._sizes = sizes[_Message.octets.offset // sizes.itemsize :: ctypes.sizeof(_Message) // sizes.itemsize]
        self._buffer_fields = memoryview(self._reply_buffers).cast("B").cast("P")
        self._reply_fields = memoryview(self._reply_messages).cast("B").cast("P")

    def receive(self, fileno: int, fast_path: Callable[[bytes], bytes | None]) -> list[int]:
        """Receive the datagrams that have arrived, and prepare the replies that `fast_path` (a function) returns.

        Returns the numbers of the datagrams without a reply, because `fast_path` returned None or the batch has no room
        for the reply. Raises BlockingIOError if no datagram has arrived, and OSError.
        """
        count = _checked(_libc.recvmmsg(fileno, self._receive_messages, self._count, socket.MSG_DONTWAIT, None))
        # One loop on local names, because the cost of a datagram is that of its bytecode.
        received, sizes, replies, room = self._received, self._sizes, self._replies, len(self._replies)
        buffer_fields, reply_fields = self._buffer_fields, self._reply_fields
        first_address, first_reply = self._first_address, self._first_reply
        replied, unanswered = list[int](), list[int]()
        begin, place = 0, 0
        for number in range(count):
            at = number * _RECEIVE_OCTETS
            reply = fast_path(received[at : at + sizes[number]])
            if reply is None or begin + len(reply) > room:
                unanswered.append(number)
                continue
            end = begin + len(reply)
            replies[begin:end] = reply
            reply_fields[place * _HEADER_WORDS] = first_address + number * _ADDRESS_OCTETS
            buffer_fields[2 * place] = first_reply + begin
            buffer_fields[2 * place + 1] = end - begin
            replied.append(number)
            begin = end
            place += 1
        self._replied = replied
        return unanswered

    def datagram(self, number: int) -> bytes:
        """Return the octets of the received datagram with this number in the batch."""
        begin = number * _RECEIVE_OCTETS
        return self._received[begin : begin + self._sizes[number]]

    def address(self, number: int) -> tuple[Any, ...]:
        """Return the source address of the received datagram with this number, in the form of socket.recvfrom()."""
        begin = number * _ADDRESS_OCTETS
        octets = self._addresses[begin : begin + _ADDRESS_OCTETS]
        family, port = int.from_bytes(octets[:2], sys.byteorder), int.from_bytes(octets[2:4], "big")
        if family == socket.AF_INET:
            return socket.inet_ntop(socket.AF_INET, octets[4:8]), port
        flow, scope = int.from_bytes(octets[4:8], "big"), int.from_bytes(octets[24:28], sys.byteorder)
        return socket.inet_ntop(socket.AF_INET6, octets[8:24]), port, flow, scope

    def send(self, fileno: int, on_error: Callable[[OSError], object]) -> list[tuple[bytes, tuple[Any, ...]]]:
        """Send the prepared replies; return (reply, address) of those for which the socket's send buffer has no room.

        `on_error` is called with the error of each reply that cannot be sent; further replies are sent nevertheless.
        """
        sent, count = 0, len(self._replied)
        while sent < count:
            first = self._reply_messages if sent == 0 else ctypes.byref(self._reply_messages[sent])
            try:
                sent += _checked(_libc.sendmmsg(fileno, first, count - sent, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return [self._unsent(place) for place in range(sent, count)]
            except OSError as error:
                # The first of the remaining replies is the one that failed (sendmmsg(2)).
                on_error(error)
                sent += 1
        return []

    def _unsent(self, place: int) -> tuple[bytes, tuple[Any, ...]]:
        begin = self._buffer_fields[2 * place] - self._first_reply
        octets = self._replies[begin : begin + self._buffer_fields[2 * place + 1]]
        return octets, self.address(self._replied[place])


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
