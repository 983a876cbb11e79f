"""Captures of a student's HTTP server without a network: its functions run on a connection of recorded octets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.programs.http_cases import Case
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.http.lab import ORIGIN_ADDRESS
from tests.core.experiments.harness.wire import Tcp, Wire

SILENCE_MS = 3000.0
# A server that answers without end is cut off here, as by a client that resets the connection.
PACKETS_MAX = 5_000


class IdleError(Exception):
    """The client has nothing more to send."""


@dataclass
class Peer:
    """The server's end of a connection: `recv` takes the client's octets, and all that happens goes on the wire."""

    tcp: Tcp
    sends: list[bytes]
    closed: bool = False
    begun: bool = field(default=False)

    def recv(self, _size: int) -> bytes:
        if not self.sends:
            raise IdleError
        self.tcp.wire.after(SILENCE_MS if self.begun else 1)
        self.begun = True
        octets = self.sends.pop(0)
        self.tcp.client("PA", octets)
        self.tcp.wire.after(10)
        return octets

    def sendall(self, octets: bytes) -> None:
        if len(self.tcp.wire.packets) > PACKETS_MAX:
            raise ConnectionResetError("the server does not stop sending")
        for at in range(0, len(octets), 1400):
            self.tcp.server("PA", octets[at : at + 1400])
        self.tcp.wire.after(1)

    def close(self) -> None:
        self.closed = True
        self.tcp.server("FA")


def capture_of(program: str, cases: Sequence[Case], root: Path, folder: Path) -> CaptureFile:
    """Return the capture of all cases with a server's source, whose last line starts it."""
    scope: dict[str, Any] = {"__name__": "server"}
    exec(program[: program.rindex("main()")], scope)
    wire = Wire()
    for number, case in enumerate(cases):
        tcp = Tcp(wire, 40000 + number, client_address="10.7.0.1", server_address=ORIGIN_ADDRESS).open(10)
        peer = Peer(tcp, list(case.sends))
        try:
            scope["serve"](peer, root)
        except IdleError:
            pass
        except Exception:
            # A thread that dies leaves its socket to the garbage collector, which closes it.
            peer.close()
        wire.after(SILENCE_MS if not peer.closed else 1)
        tcp.client("FA")
        wire.after(1)
        if not peer.closed:
            tcp.server("FA")
        wire.after(10)
    return wire.capture(folder)
