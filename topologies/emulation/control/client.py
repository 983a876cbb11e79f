"""Client of a running network's control server: sends requests over a Unix socket and returns the replies.

The reply to some requests carries open sockets: a packet socket on an interface, or a TCP connection from a host.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab7 import topologies
from lab7.topologies.emulation.control import registry
from lab7.topologies.emulation.control.channel import Channel, ClosedError, close_all
from lab7.topologies.emulation.control.protocol import REPLY_MAX_BYTES, VERSION
from lab7.topologies.emulation.errors import ArgumentError, EmulationError

# Seconds until a network that is being started, or that restarts a service, has to answer.
ANSWER_TIMEOUT_S = 120.0
CONTROL_NAME_HINT = "`lab7 ps` lists the networks that are up"


class NotUpError(ArgumentError):
    """Error for a network that is not running."""


def connected(name: str) -> Channel:
    """Return a connection to the control socket of a running network. Raises NotUpError and MachineError."""
    connection = registry.connect(name)
    if connection is None:
        up = registry.names()
        others = f", but {', '.join(up)}" if up else ""
        # A topology of lab7 has its own name by default.
        known = name.isidentifier() and (Path(topologies.__path__[0]) / f"{name}.py").is_file()
        start = f"lab7 up {name}" if known else f"lab7 up TOPOLOGY --name {name}"
        raise NotUpError(f"no network {name} is up{others}: {CONTROL_NAME_HINT}, and `{start}` starts one")
    return Channel(connection, REPLY_MAX_BYTES)


def send_request(channel: Channel, operation: str, descriptors: Sequence[int] = (), **fields: Any) -> None:
    """Send a request to the control server.

    An error in sending is ignored, since an error reply can be read nevertheless. A server that refuses a connection
    sends an error reply and closes the connection at once.
    """
    with contextlib.suppress(ClosedError):
        channel.send({"version": VERSION, "op": operation, **fields}, descriptors, ANSWER_TIMEOUT_S)


def receive_reply(channel: Channel, timeout_s: float | None = ANSWER_TIMEOUT_S) -> tuple[dict[str, Any], list[int]]:
    """Return the reply of the control server and its file descriptors.

    Raises EmulationError with the text of an error reply.
    """
    try:
        reply, descriptors = channel.receive(timeout_s)
    except TimeoutError:
        raise EmulationError(f"the network did not answer within {timeout_s:g} s") from None
    if "error" in reply:
        close_all(descriptors)
        raise (ArgumentError if reply.get("argument") else EmulationError)(str(reply["error"]))
    return reply, descriptors


def ask(name: str, operation: str, timeout_s: float = ANSWER_TIMEOUT_S, **fields: Any) -> dict[str, Any]:
    """Send one request to a network and return the reply. Raises EmulationError."""
    with connected(name) as channel:
        send_request(channel, operation, **fields)
        reply, descriptors = receive_reply(channel, timeout_s)
        close_all(descriptors)
        return reply


def open_taps(name: str, interfaces: Sequence[str]) -> list[socket.socket]:
    """Return a packet socket on each of these interfaces of a running network. Raises EmulationError."""
    with connected(name) as channel:
        send_request(channel, "taps", ends=list(interfaces))
        found: list[socket.socket] = []
        more = True
        while more:
            reply, descriptors = receive_reply(channel)
            found += [socket.socket(fileno=descriptor) for descriptor in descriptors]
            more = bool(reply["more"])
        return found


def open_connection(name: str, host: str, address: str, port: int) -> socket.socket:
    """Return a TCP connection from a host of a running network to an address and port. Raises EmulationError."""
    with connected(name) as channel:
        send_request(channel, "connect", host=host, address=address, port=port)
        _, descriptors = receive_reply(channel)
        return socket.socket(fileno=descriptors[0])
