"""Client of raw octets: sends given octets to a server over TCP or UDP, and does not parse the responses.

The program reads one JSON request a line from standard input (see lab7.experiments.harness.driver_process), with octets
in hexadecimal:

    {"address": "10.7.1.1", "port": 80, "send": ["474554...", ...]}
        one TCP connection: sends the elements of `send` one by one; after each it reads until the server is silent for
        `quiet_s` seconds or closes
    {"address": "10.0.1.1", "port": 53, "datagrams": ["0001...", ...]}
        one UDP socket: as with TCP, for each datagram; silence is QUIET_S seconds

A TCP request may set `quiet_s` (default: QUIET_S), and every request `wait_s`, a pause in seconds before it. The
response has the number of octets received, `received`. A malformed response causes no delay, since no length is parsed
from it. If a server sends without end, reading stops after EXCHANGE_S seconds or RECEIVED_MAX octets.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import Any

from lab7.experiments.harness.driver_process import serve

CONNECT_S = 10.0
QUIET_S = 3.0
EXCHANGE_S = 60.0
RECEIVED_MAX = 1 << 20
BLOCK = 1 << 16


def _exchange(request: dict[str, Any]) -> int:
    received = 0
    with socket.create_connection((request["address"], request["port"]), CONNECT_S) as connection:
        for text in request["send"]:
            connection.sendall(bytes.fromhex(text))
            got, closed = _read(connection, RECEIVED_MAX - received, request.get("quiet_s", QUIET_S))
            received += got
            if closed or received >= RECEIVED_MAX:
                break
    return received


def _datagrams(request: dict[str, Any]) -> int:
    received = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((request["address"], request["port"]))
        for text in request["datagrams"]:
            with suppress(ConnectionRefusedError):
                client.send(bytes.fromhex(text))
                received += _read(client, RECEIVED_MAX)[0]
    return received


def _read(connection: socket.socket, limit: int, quiet_s: float = QUIET_S) -> tuple[int, bool]:
    """Read until the server is silent or closes the connection, or a limit is reached.

    Return (number of octets read, True if the server has closed a TCP connection).
    """
    connection.settimeout(quiet_s)
    received, until_s = 0, time.monotonic() + EXCHANGE_S
    with suppress(TimeoutError):
        while received < limit and time.monotonic() < until_s:
            block = connection.recv(BLOCK)
            if not block:
                return received, connection.type == socket.SOCK_STREAM
            received += len(block)
    return received, False


def _handle(request: dict[str, Any]) -> dict[str, Any]:
    time.sleep(request.get("wait_s", 0))
    return {"received": _datagrams(request) if "datagrams" in request else _exchange(request)}


def main(_argv: list[str]) -> int:
    """Carry out the JSON requests on standard input, one per line, until its end; return the exit code."""
    return serve(_handle, errors=(OSError,))
