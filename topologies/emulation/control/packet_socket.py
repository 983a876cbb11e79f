"""Packet sockets bound to one interface, with time stamps in ns, a large buffer and promiscuous mode (packet(7))."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator

ETH_P_ALL = 0x0003  # linux/if_ether.h
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1  # linux/if_packet.h
PACKET_STATISTICS = 6
PACKET_MR_PROMISC = 1
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33  # asm-generic/socket.h
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("@ll")
NS = 1_000_000_000
SNAP_LENGTH = 262_144


def bound_socket(interface: str, receive_buffer_bytes: int) -> socket.socket:
    """Open a non-blocking packet socket on an interface of this thread's network namespace. Raises OSError."""
    # Protocol 0 receives nothing before bind(), so that no packet of another interface is captured.
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        _enlarge(tap, receive_buffer_bytes)
        tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        tap.bind((interface, ETH_P_ALL))
        membership = struct.pack("@iHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b"")
        tap.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
        tap.setblocking(False)
    except BaseException:
        tap.close()
        raise
    return tap


def _enlarge(tap: socket.socket, size_bytes: int) -> None:
    try:
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size_bytes)
    except PermissionError:
        # SO_RCVBUFFORCE is not permitted in a user namespace, where net.core.rmem_max limits the buffer.
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size_bytes)


def time_ns_of(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the time stamp of a packet in ns since 1970 UTC, from the control messages received with it."""
    seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
    return int(seconds) * NS + int(nanoseconds)


def received(
    tap: socket.socket, at_most: int, snap_length: int = SNAP_LENGTH
) -> Iterator[tuple[int, bytes, int, bool]]:
    """Yield the packets received by a packet socket: (time in ns, octets, original length, True if outgoing)."""
    buffer = bytearray(snap_length)
    for _ in range(at_most):
        # ENETDOWN is reported once when the interface goes down; the socket stays usable.
        with contextlib.suppress(OSError):
            try:
                length, ancillary, _, address = tap.recvmsg_into([buffer], 64, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            yield time_ns_of(ancillary), bytes(buffer[:length]), length, address[2] == PACKET_OUTGOING
