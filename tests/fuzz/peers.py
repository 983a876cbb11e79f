"""Peers behind a fuzzed service, which send the answers of its sessions: an origin, a name server, a mail exchanger."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import dns.flags
import dns.message
import dns.rrset

# Addresses of the peer behind a service, and of the root server whose answers are never fuzzed.
PEER_HOST, ROOT_HOST = "127.77.0.1", "127.77.0.2"
# Seconds until a peer closes a connection on which nothing has arrived.
SILENCE_S = 1.0
# Octets of a request that a peer reads, and of a line.
REQUEST_OCTETS = 1 << 16
# An answer with this first octet is sent as it is, without the id and the question of the query.
RAW = b"!"
_HTTP_ID = re.compile(rb"s(\d{4})")
_DEFAULT_HTTP = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nCache-Control: max-age=1\r\n\r\nok"

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class Answers:
    """The answers that are left of each session under way, by the session's %id%."""

    left: dict[bytes, list[bytes]] = field(default_factory=dict)

    def next(self, found: re.Match[bytes] | None) -> bytes | None:
        """Return the next answer of the session that a request names; None where it has no more, or names none."""
        queue = self.left.get(found[1], []) if found else []
        return queue.pop(0) if queue else None


async def _serve_origin(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        answer = answers.next(_HTTP_ID.search(head))
        answer = _DEFAULT_HTTP if answer is None else answer
        writer.write(answer)
        await writer.drain()
        if b"Content-Length" not in answer and b"chunked" not in answer:
            return


async def _serve_exchanger(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speak SMTP; from RCPT on, say what the recipient's session says."""
    recipient: re.Match[bytes] | None = None
    in_data = False
    writer.write(b"220 next.example ESMTP\r\n")
    while line := await reader.readline():
        if in_data and line != b".\r\n":
            continue
        verb = line[:4].upper()
        if verb == b"RCPT":
            recipient = _HTTP_ID.search(line)
        default = {
            b"EHLO": b"250-next.example\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
            b"DATA": b"354 go on\r\n",
        }.get(verb, b"250 ok\r\n")
        answer = answers.next(recipient)
        answer = default if answer is None else answer
        in_data = verb == b"DATA" and answer.startswith(b"354")
        writer.write(answer)
        await writer.drain()
        if verb == b"QUIT":
            return


def dns_reply(answers: Answers, query: bytes) -> bytes | None:
    """Return the reply to a query: the session's next answer with the query's id and question, or one of this zone."""
    question = query[12:]
    name_end = question.find(b"\0") + 1
    answer = answers.next(re.search(rb"\x05s(\d{4})", query.lower()))
    if answer is None:
        return _default_dns(query)
    if answer.startswith(RAW):
        return answer[1:]
    at = answer[12 : 12 + name_end]
    if name_end and at.lower() == question[:name_end].lower():
        # The case of the name in the query is part of the question (draft-vixie-dnsext-dns0x20).
        answer = answer[:12] + question[:name_end] + answer[12 + name_end :]
    return query[:2] + answer[2:]


def root_reply(query: bytes) -> bytes | None:
    """Return the reply of a root server that delegates `test.` to the fuzzed name server, and has all else itself."""
    name = query[12:].partition(b"\0")[0].lower()
    if not name.endswith(b"\x04test"):
        return _default_dns(query)
    reply = dns.message.make_response(dns.message.from_wire(query))
    reply.authority.append(dns.rrset.from_text("test.", 3600, "IN", "NS", "ns.test."))
    reply.additional.append(dns.rrset.from_text("ns.test.", 3600, "IN", "A", PEER_HOST))
    return reply.to_wire()


def _default_dns(query: bytes) -> bytes | None:
    try:
        asked = dns.message.from_wire(query)
        reply = dns.message.make_response(asked)
    except Exception:
        return None
    reply.flags |= dns.flags.AA
    question = asked.question[0]
    if question.rdtype == dns.rdatatype.A:
        reply.answer.append(dns.rrset.from_text(question.name, 1, "IN", "A", "192.0.2.1"))
    else:
        reply.authority.append(dns.rrset.from_text(".", 60, "IN", "SOA", "ns. host. 1 3600 600 86400 1"))
    return reply.to_wire()


async def _serve_names(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        length = int.from_bytes(await reader.readexactly(2), "big")
        query = await reader.readexactly(length)
        reply = dns_reply(answers, query)
        if reply is not None:
            # The length wraps around for a reply that is longer than one can be.
            writer.write((len(reply) & 0xFFFF).to_bytes(2, "big") + reply)
            await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, reply: Callable[[bytes], bytes | None]) -> None:
        self._reply = reply

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own transport is no subclass of DatagramTransport.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = self._reply(data)
        if reply is not None:
            self._transport.sendto(reply[:65_000], addr)


KINDS: dict[str, Callable[[Answers, asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]] = {
    "origin": _serve_origin,
    "names": _serve_names,
    "exchanger": _serve_exchanger,
}


def free_port(address: str = "127.0.0.1") -> int:
    """Return a port that is free for TCP and UDP."""
    while True:
        with socket.create_server((address, 0)) as first, socket.socket(type=socket.SOCK_DGRAM) as second:
            port = int(first.getsockname()[1])
            with suppress(OSError):
                second.bind((address, port))
                return port


class Peer:
    """A peer on a port of its own; close() ends its connections too."""

    def __init__(self, kind: str, answers: Answers, address: str, port: int) -> None:
        self._kind, self._answers = kind, answers
        self._address, self._port = address, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._datagrams: list[asyncio.BaseTransport] = []

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._talk, self._address, self._port, limit=REQUEST_OCTETS)
        if self._kind == "names":
            loop = asyncio.get_running_loop()
            for address, reply in ((self._address, partial(dns_reply, self._answers)), (ROOT_HOST, root_reply)):
                transport, _ = await loop.create_datagram_endpoint(
                    partial(_Datagrams, reply), local_addr=(address, self._port)
                )
                self._datagrams.append(transport)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        # A cancelled conversation is one whose run has ended.
        with suppress(OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            async with asyncio.timeout(SILENCE_S):
                await KINDS[self._kind](self._answers, reader, writer)
        self._writers.discard(writer)
        writer.close()

    async def close(self) -> None:
        """Close the port and all connections."""
        self._server.close()
        for transport in self._datagrams:
            transport.close()
        for writer in list(self._writers):
            writer.close()
