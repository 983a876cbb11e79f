"""A server of the Time protocol (RFC 868), by UDP and by TCP: the shell around time_core.

$ python3 docs/examples/time/time_server.py --port 3737
READY time 127.0.0.1:3737 [::1]:3737
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import cast

import time_core

from lab7.services.connections import Slot
from lab7.services.shell import Shell, add_common_flags, run_service

DEFAULT_PORT = 37  # RFC 868


class _Datagrams(asyncio.DatagramProtocol):
    """By UDP: one datagram in, one out."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = time_core.answer(data, self._shell.wall_clock())
        if reply is not None:
            self._transport.sendto(reply, addr)
        self._shell.log.write("datagram", peer=f"{addr[0]}:{addr[1]}", answered=reply is not None)


class _Connection(asyncio.Protocol):
    """By TCP: to be connected is the question; the server answers and closes."""

    def __init__(self, shell: Shell, slot: Slot) -> None:
        self._shell = shell
        self._slot = slot

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        writing = cast(asyncio.Transport, transport)
        writing.write(time_core.encode(self._shell.wall_clock()))
        # Closed behind the four octets; they fit any socket's buffer, so there is nothing to wait for.
        writing.close()
        host, port = writing.get_extra_info("peername")[:2]
        self._shell.log.write("connection", peer=f"{host}:{port}")

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._slot.release()


def main(argv: list[str]) -> int:
    """Run the server until SIGTERM; returns its exit status."""
    parser = argparse.ArgumentParser(prog="time_server.py", description="Tell the time by RFC 868.")
    add_common_flags(parser, DEFAULT_PORT)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        await shell.open_udp(lambda: _Datagrams(shell))
        await shell.open_tcp(lambda slot: _Connection(shell, slot))

        async def finish() -> None:
            """No connection outlives its answer."""

        return finish

    return run_service("time", parser.parse_args(argv), start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
