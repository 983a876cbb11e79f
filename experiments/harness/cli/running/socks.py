"""SOCKS version 5 (RFC 1928): server side of the negotiation, for CONNECT without authentication.

Left out: BIND, UDP ASSOCIATE and authentication.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv6Address

VERSION, NO_AUTHENTICATION, NONE_ACCEPTABLE, CONNECT = 5, 0, 0xFF, 1
IPV4, NAME, IPV6 = 1, 3, 4
# RFC 1928 section 6.
SUCCEEDED, UNREACHABLE, COMMAND_UNKNOWN, TYPE_UNKNOWN = 0, 4, 7, 8


class SocksError(Exception):
    """Error for a SOCKS client that does not use SOCKS 5, or that requests a command other than CONNECT."""


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[str, int]:
    """Negotiate with a SOCKS client; return (address or name, port) of its CONNECT request. Raises SocksError."""
    version, methods = await reader.readexactly(2)
    offered = await reader.readexactly(methods)
    if version != VERSION or NO_AUTHENTICATION not in offered:
        writer.write(bytes([VERSION, NONE_ACCEPTABLE]))
        raise SocksError("no SOCKS 5 without authentication")
    writer.write(bytes([VERSION, NO_AUTHENTICATION]))
    version, command, _, kind = await reader.readexactly(4)
    if version != VERSION or command != CONNECT:
        writer.write(reply(COMMAND_UNKNOWN))
        raise SocksError("no CONNECT")
    if kind == IPV4:
        address = socket.inet_ntoa(await reader.readexactly(4))
    elif kind == IPV6:
        address = str(IPv6Address(await reader.readexactly(16)))
    elif kind == NAME:
        (length,) = await reader.readexactly(1)
        address = (await reader.readexactly(length)).decode("ascii", "replace")
    else:
        writer.write(reply(TYPE_UNKNOWN))
        raise SocksError("no known type of address")
    return address, int.from_bytes(await reader.readexactly(2), "big")


def reply(code: int) -> bytes:
    """Return a SOCKS reply with an all-zero bound address, which clients of CONNECT do not use."""
    return bytes([VERSION, code, 0, IPV4]) + bytes(6)
