"""Rtnetlink messages in place of commands of ip(8), to set up a host by one socket of its network namespace.

Running `ip` once per host would take most of the time in which a large network starts. These forms of commands of ip(8)
are translated; messages() returns None if a line has any other form, and `ip -batch` runs the lines instead:

    link set dev INTERFACE [address MAC] [state] up
    address add|replace ADDRESS/LENGTH [brd +] dev INTERFACE [nodad]
    route replace default|PREFIX via ADDRESS
    neigh replace ADDRESS lladdr MAC dev INTERFACE

Sources: rtnetlink(7), netlink(7), netdevice(7) (struct ifreq), linux/rtnetlink.h, linux/if_addr.h, linux/neighbour.h.
"""

import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from ipaddress import IPv4Interface, ip_address, ip_interface, ip_network

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process import namespaces

HEADER, ERROR, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=i"), struct.Struct("=HH")
LINK, ADDRESS = struct.Struct("=BxHiII"), struct.Struct("=BBBBi")
ROUTE, NEIGHBOUR = struct.Struct("=BBBBBBBBI"), struct.Struct("=BxxxiHBB")
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 1, 4, 0x100, 0x200, 0x400
SIOCGIFINDEX, IFREQ_INDEX = 0x8933, struct.Struct("@16si20x")
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH = 16, 18, 20, 24, 28
IFF_UP = 1
IFLA_ADDRESS, IFLA_TXQLEN, IFLA_OPERSTATE, IFLA_CARRIER = 1, 13, 16, 33
IF_OPER_UNKNOWN, IF_OPER_UP = 0, 6
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST = 1, 2, 4
IFA_F_NODAD = 2
RTA_DST, RTA_GATEWAY = 1, 5
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1
NDA_DST, NDA_LLADDR = 1, 2
NUD_PERMANENT = 0x80
# Length of the longest IPv4 prefix with a broadcast address (RFC 3021 section 2.1).
BROADCAST_LENGTH_MAX = 30
# Octets that are sent at once: within the default socket buffer of netlink(7).
BATCH_BYTES = 64 * 1024
REPLY_BYTES = 256 * 1024

# Placeholder for the interface index in messages that many hosts share; larger than any real index.
ANY = 0x7FFF_FFFE
MARK = ANY.to_bytes(4, sys.byteorder)
# Interface index of a name in the network namespace of this thread.
Index = Callable[[str], int]


def message(kind: int, flags: int, body: bytes) -> bytes:
    """Return an rtnetlink request of a type with its header and payload.

    The kernel replies only if the request fails.
    """
    return HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 0, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """Return a netlink attribute, padded to a multiple of 4 octets."""
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def translated(line: str, index: Index) -> bytes | None:
    """Translate a line of `ip -batch` to an rtnetlink message; return None if its form is not supported."""
    match line.split():
        case ["link", "set", "dev", name, "up"]:
            return message(RTM_NEWLINK, 0, LINK.pack(socket.AF_UNSPEC, 0, index(name), IFF_UP, IFF_UP))
        case ["link", "set", "dev", name, "address", mac, "state", "up"]:
            operational = attribute(IFLA_ADDRESS, _mac(mac)) + attribute(IFLA_OPERSTATE, bytes([IF_OPER_UP]))
            return message(RTM_NEWLINK, 0, LINK.pack(socket.AF_UNSPEC, 0, index(name), 0, 0) + operational)
        case ["address", "add" | "replace" as how, address, *rest]:
            return _address(how, address, rest, index)
        case ["route", "replace", destination, "via", gateway]:
            return _route(destination, gateway)
        case ["neigh", "replace", address, "lladdr", mac, "dev", name]:
            return neighbour(address, mac, index(name))
    return None


def _address(how: str, address: str, rest: list[str], index: Index) -> bytes | None:
    broadcast = rest[:2] == ["brd", "+"]
    match rest[2:] if broadcast else rest:
        case ["dev", name]:
            flags = 0
        case ["dev", name, "nodad"]:
            flags = IFA_F_NODAD
        case _:
            return None
    given = ip_interface(address)
    body = ADDRESS.pack(_family(given.version), given.network.prefixlen, flags, 0, index(name))
    body += attribute(IFA_LOCAL, given.ip.packed) + attribute(IFA_ADDRESS, given.ip.packed)
    if broadcast and isinstance(given, IPv4Interface) and given.network.prefixlen <= BROADCAST_LENGTH_MAX:
        body += attribute(IFA_BROADCAST, given.network.broadcast_address.packed)
    return message(RTM_NEWADDR, NLM_F_CREATE | (NLM_F_EXCL if how == "add" else NLM_F_REPLACE), body)


def _route(destination: str, gateway: str) -> bytes | None:
    via = ip_address(gateway)
    whole = "0.0.0.0/0" if via.version == 4 else "::/0"
    target = ip_network(whole if destination == "default" else destination)
    if target.version != via.version:
        return None
    body = ROUTE.pack(_family(via.version), target.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, 0, RTN_UNICAST, 0)
    body += attribute(RTA_DST, target.network_address.packed) if target.prefixlen else b""
    return message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body + attribute(RTA_GATEWAY, via.packed))


def neighbour(address: str, mac: str, index: int) -> bytes:
    """Return the rtnetlink message that adds a permanent neighbour entry."""
    to = ip_address(address)
    body = NEIGHBOUR.pack(_family(to.version), index, NUD_PERMANENT, 0, 0)
    body += attribute(NDA_DST, to.packed) + attribute(NDA_LLADDR, _mac(mac))
    return message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def messages(lines: Sequence[str], index: Index) -> list[bytes] | None:
    """Translate lines of `ip -batch` to rtnetlink messages; return None if the form of any line is not supported."""
    found: list[bytes] = []
    for line in lines:
        try:
            made = translated(line, index)
        except (ValueError, OSError):
            made = None
        if made is None:
            return None
        found.append(made)
    return found


def send(sock: socket.socket, requests: Sequence[bytes], words: Sequence[str], interface: int = 0) -> None:
    """Send requests in order on a netlink socket. Raises EmulationError for the first request that the kernel refuses.

    words: description of each request, for error messages; interface: index of the interface, written into the requests
    in place of the placeholder ANY.
    """
    number = interface.to_bytes(4, sys.byteorder)
    first = 0
    while first < len(requests):
        last, size = first, 0
        while last < len(requests) and size < BATCH_BYTES:
            size += len(requests[last])
            last += 1
        # The acknowledgement of the last request shows that the kernel has read all requests of the batch.
        batch = b"".join([*requests[first : last - 1], _acknowledged(requests[last - 1])])
        sock.send(batch.replace(MARK, number) if interface else batch)
        if (refused := _await_reply(sock)) is not None:
            code, request = refused
            refused_body = request[HEADER.size :].replace(number, MARK) if interface else request[HEADER.size :]
            places = [place for place in range(first, last) if requests[place][HEADER.size :] == refused_body]
            line = words[places[0]] if places else "a message of rtnetlink"
            raise EmulationError(f"the kernel refused a command ({os.strerror(code)}): {line}")
        first = last


def _acknowledged(request: bytes) -> bytes:
    length, kind, flags, number, port = HEADER.unpack_from(request)
    return HEADER.pack(length, kind, flags | NLM_F_ACK, number, port) + request[HEADER.size :]


def _await_reply(sock: socket.socket) -> tuple[int, bytes] | None:
    """Read the kernel's reply to a batch of requests; return (error number, refused request), None for success."""
    reply = sock.recv(REPLY_BYTES)
    code = ERROR.unpack_from(reply, HEADER.size)[0]
    return (-code, reply[HEADER.size + ERROR.size :]) if code else None


def index_of(sock: socket.socket, name: str) -> int:
    """Return the index of an interface in the network namespace of a socket. Raises OSError."""
    return IFREQ_INDEX.unpack(fcntl.ioctl(sock, SIOCGIFINDEX, IFREQ_INDEX.pack(name.encode(), 0)))[1]  # type: ignore[no-any-return]


def set_queue_length(sock: socket.socket, name: str, frames: int) -> None:
    """Set the length of an interface's transmit queue. Raises OSError.

    Unlike SIOCSIFTXQLEN, rtnetlink needs no privilege outside of the user namespace that the network belongs to.
    """
    body = LINK.pack(socket.AF_UNSPEC, 0, index_of(sock, name), 0, 0)
    body += attribute(IFLA_TXQLEN, frames.to_bytes(4, sys.byteorder))
    sock.send(_acknowledged(message(RTM_NEWLINK, 0, body)))
    if (refused := _await_reply(sock)) is not None:
        raise OSError(refused[0], os.strerror(refused[0]))


def is_settled(sock: socket.socket, index: int) -> bool:
    """Return whether the kernel has updated an interface's operational state to its carrier.

    RFC 2863 section 3.1.14.
    """
    sock.send(message(RTM_GETLINK, 0, LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)))
    reply = sock.recv(REPLY_BYTES)
    states: dict[int, int] = {}
    place = HEADER.size + LINK.size
    while place + ATTRIBUTE.size <= len(reply):
        length, kind = ATTRIBUTE.unpack_from(reply, place)
        if kind in (IFLA_OPERSTATE, IFLA_CARRIER):
            states[kind] = reply[place + ATTRIBUTE.size]
        place += max(4, -(-length // 4) * 4)
    return not states.get(IFLA_CARRIER) or states.get(IFLA_OPERSTATE) in (IF_OPER_UNKNOWN, IF_OPER_UP)


def open_in(pid: int) -> socket.socket:
    """Return a netlink socket in the network namespace of process `pid` (0: this process)."""
    with namespaces.within_network(pid):
        return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
