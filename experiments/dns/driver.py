"""A DNS client that stays up and asks whenever it is told to, so that no question pays for a new process.

Run in a host: READY, then for each line `SERVER NAME TYPE [BUFSIZE]` on the standard input one JSON line: rcode,
answers [[name, type, ttl, value]], transport, began_ns and ended_ns (CLOCK_REALTIME, the capture's clock), or
{"error": ...}. It asks as a stub does (RFC 1034 section 5.3.1): recursion desired, by UDP, and again by TCP when the
answer is truncated (RFC 7766 section 5).
"""

from __future__ import annotations

import gc
import json
import secrets
import socket
import sys
import time
from typing import Any

from services.dns.codec.codes import type_from_text, type_to_text
from services.dns.codec.errors import DNSError
from services.dns.codec.message import EDNS, Message, Question
from services.dns.codec.name import Name

PORT = 53
TIMEOUT_S = 10.0
BUFFER_BYTES = 1232


def _receive(sock: socket.socket, size_bytes: int) -> bytes:
    data = b""
    while len(data) < size_bytes:
        piece = sock.recv(size_bytes - len(data))
        if not piece:
            raise OSError("the server closed the connection")
        data += piece
    return data


def _by_udp(server: str, query: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.connect((server, PORT))
        sock.send(query)
        while True:
            data = sock.recv(65535)
            if data[:2] == query[:2]:
                return data


def _by_tcp(server: str, query: bytes) -> bytes:
    with socket.create_connection((server, PORT), TIMEOUT_S) as sock:
        # RFC 1035 section 4.2.2: two octets of length go before the message.
        sock.sendall(len(query).to_bytes(2, "big") + query)
        return _receive(sock, int.from_bytes(_receive(sock, 2), "big"))


def ask(server: str, name: str, rtype: str, buffer_bytes: int = BUFFER_BYTES) -> dict[str, Any]:
    """Ask one question and return what came. Raises OSError, DNSError."""
    question = Question(Name.from_text(name), type_from_text(rtype))
    edns = EDNS(udp_size=buffer_bytes) if buffer_bytes else None
    query = Message(id=secrets.randbits(16), rd=True, questions=(question,), edns=edns).to_wire()
    transport, response = "udp", Message.from_wire(_by_udp(server, query))
    if response.tc:
        transport, response = "tcp", Message.from_wire(_by_tcp(server, query))
    answers = [[str(one.name), type_to_text(one.rtype), one.ttl, one.rdata.to_text()] for one in response.answers]
    return {"rcode": int(response.rcode), "answers": answers, "transport": transport}


def _answer(line: str) -> dict[str, Any]:
    server, name, rtype, *rest = line.split()
    began_ns = time.time_ns()
    try:
        found = ask(server, name, rtype, int(rest[0]) if rest else BUFFER_BYTES)
    except (OSError, DNSError, ValueError) as error:
        found = {"error": str(error) or type(error).__name__}
    return {**found, "began_ns": began_ns, "ended_ns": time.time_ns()}


def main(_argv: list[str]) -> int:
    """Ask until the standard input ends."""
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(_answer(line)), flush=True)
    return 0
