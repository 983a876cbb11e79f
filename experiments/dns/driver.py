"""DNS stub resolver program of the experiments, which sends one query for each line of its input.

The program is started on a host, reads commands in JSON, one a line, and prints a reply to each:

    {"server": "10.53.0.1", "name": "www.example.com", "rtype": "A"}
    {"rcode": 0, "answers": [["www.example.com.", "A", 300, "10.1.0.1"]], "transport": "udp", "began_ns": ..., ...}

The optional `buffer_bytes` in a command is the UDP payload size of EDNS (0: no EDNS); `dnssec` sets the DO bit (RFC
3225). The program sends queries with RD set (RFC 1034 section 5.3.1) over UDP, and repeats a query over TCP if the
response is truncated (RFC 7766 section 5).
"""

from __future__ import annotations

import secrets
import socket
from typing import Any

from lab7.experiments.harness.driver_process import RequestError, serve
from lab7.services.dns.codec.codes import type_from_text, type_to_text
from lab7.services.dns.codec.errors import DNSError
from lab7.services.dns.codec.message import EDNS, Message, Question
from lab7.services.dns.codec.name import Name

PORT = 53
TIMEOUT_S = 10.0
# Time-out in s after a response that does not match the query.
AFTER_RESPONSE_S = 1.0
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
        wrong = b""
        while True:
            try:
                data = sock.recv(65535)
            except TimeoutError:
                if wrong:
                    sent, got = int.from_bytes(query[:2], "big"), int.from_bytes(wrong[:2], "big")
                    raise OSError(f"the response has the ID {got:#06x}, the query {sent:#06x}") from None
                raise
            if data[:2] == query[:2]:
                return data
            # Wait only AFTER_RESPONSE_S for another response, since a second response of a faulty server is rare.
            wrong = data
            sock.settimeout(AFTER_RESPONSE_S)


def _by_tcp(server: str, query: bytes) -> bytes:
    with socket.create_connection((server, PORT), TIMEOUT_S) as sock:
        # RFC 1035 section 4.2.2: over TCP, a two-octet length precedes each message.
        sock.sendall(len(query).to_bytes(2, "big") + query)
        return _receive(sock, int.from_bytes(_receive(sock, 2), "big"))


def query(server: str, name: str, rtype: str, buffer_bytes: int = BUFFER_BYTES, dnssec: bool = False) -> dict[str, Any]:
    """Send one query to a server; return RCODE, records and transport of the response.

    Raises OSError, DNSError, ValueError.
    """
    question = Question(Name.from_text(name), type_from_text(rtype))
    edns = EDNS(udp_size=buffer_bytes, do=dnssec) if buffer_bytes else None
    message = Message(id=secrets.randbits(16), rd=True, questions=(question,), edns=edns).to_wire()
    transport, response = "udp", Message.from_wire(_by_udp(server, message))
    if response.tc:
        transport, response = "tcp", Message.from_wire(_by_tcp(server, message))
    answers = [[str(one.name), type_to_text(one.rtype), one.ttl, one.rdata.to_text()] for one in response.answers]
    return {"rcode": int(response.rcode), "answers": answers, "transport": transport}


def _handle(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return query(**request)
    except (OSError, DNSError, ValueError) as error:
        raise RequestError(str(error) or type(error).__name__) from error


def main(_argv: list[str]) -> int:
    """Send one query for each line of the standard input, until its end; return the exit code."""
    return serve(_handle)
