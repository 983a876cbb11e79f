"""Set-up of interfaces by ioctl: link state and offload, as `ip link set up` and `ethtool -K` do.

Running a program for every interface would take most of the time in which a network starts. Sources: netdevice(7)
(struct ifreq), linux/if.h, linux/ethtool.h (commands and structures), linux/sockios.h.
"""

import ctypes
import fcntl
import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process import namespaces

SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCETHTOOL = 0x8913, 0x8914, 0x8946
IFREQ_FLAGS, IFREQ_POINTER = struct.Struct("@16sH22x"), struct.Struct("@16sP16x")
IFF_UP, IFF_NOARP = 0x1, 0x80
GET_SET_INFO, GET_STRINGS, SET_FEATURES = 0x37, 0x1B, 0x3B
FEATURES, NAME_BYTES, BLOCK_BITS = 4, 32, 32  # ETH_SS_FEATURES, ETH_GSTRING_LEN
# Kernel names of the offload features that ethtool(8) calls tx, rx, sg, tso, gso and gro.
OFF = re.compile(rb"tx-checksum-.*|rx-checksum|tx-scatter-gather.*|tx-tcp.*|tx-generic-segmentation|rx-gro")


def bring_up(interface: str, pid: int = 0, *, arp: bool = True) -> None:
    """Bring up an interface in the network namespace of process `pid` (0: this one's). Raises EmulationError."""
    wanted = IFF_UP if arp else IFF_UP | IFF_NOARP
    with _socket_of(interface, pid) as sock:
        name = interface.encode()
        flags = IFREQ_FLAGS.unpack(fcntl.ioctl(sock, SIOCGIFFLAGS, IFREQ_FLAGS.pack(name, 0)))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, IFREQ_FLAGS.pack(name, flags | wanted))


def switch_off(sock: socket.socket, interface: str) -> None:
    """Turn the offloads of an interface off, so that captures show frames as they are on the wire.

    Segmentation and checksums are then computed by the sender. The interface is in the network namespace of the socket.
    Raises EmulationError.
    """
    try:
        names = _feature_names(sock, interface)
        _ethtool(sock, interface, struct.pack("=II", SET_FEATURES, _blocks(names)) + requests(names))
    except OSError as error:
        raise _failure(interface, error) from error


@contextmanager
def _socket_of(interface: str, pid: int) -> Iterator[socket.socket]:
    try:
        with namespaces.within_network(pid), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            yield sock
    except OSError as error:
        raise _failure(interface, error) from error


def _failure(interface: str, error: OSError) -> EmulationError:
    return EmulationError(f"the interface {interface} could not be set up ({error.strerror})")


def requests(names: list[bytes]) -> bytes:
    """Encode ioctl requests that turn offload features off, as arrays of struct ethtool_set_features_block.

    Each structure has 32 features.
    """
    mask = sum(1 << place for place, name in enumerate(names) if OFF.fullmatch(name))
    blocks = [(mask >> (BLOCK_BITS * block)) & 0xFFFFFFFF for block in range(_blocks(names))]
    return b"".join(struct.pack("=II", wanted, 0) for wanted in blocks)


def _blocks(names: list[bytes]) -> int:
    return -(-len(names) // BLOCK_BITS)


def _feature_names(sock: socket.socket, interface: str) -> list[bytes]:
    """Return the names of offload features in the order of the kernel; they are the same for every interface."""
    if not _names:
        info = _ethtool(sock, interface, struct.pack("=IIQI", GET_SET_INFO, 0, 1 << FEATURES, 0))
        count = struct.unpack_from("=I", info, 16)[0]
        command = struct.pack("=III", GET_STRINGS, FEATURES, count) + bytes(count * NAME_BYTES)
        strings = _ethtool(sock, interface, command)[12:]
        _names.extend(
            strings[place : place + NAME_BYTES].split(b"\0")[0] for place in range(0, len(strings), NAME_BYTES)
        )
    return _names


_names: list[bytes] = []


def _ethtool(sock: socket.socket, interface: str, command: bytes) -> bytes:
    buffer = ctypes.create_string_buffer(command, len(command))
    fcntl.ioctl(sock, SIOCETHTOOL, IFREQ_POINTER.pack(interface.encode(), ctypes.addressof(buffer)))
    return buffer.raw
