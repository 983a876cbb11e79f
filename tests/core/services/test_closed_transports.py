"""Servers of line protocols between abort() and connection_lost(): no operation on a transport that is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.services.test_acknowledge import Wire, ftp, smtp


class ClosedWire(Wire):
    """A transport that raises RuntimeError once it is aborted, as uvloop's does."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def abort(self) -> None:
        """Be closed from now on."""
        self.is_aborted = True

    def is_closing(self) -> bool:
        """Return True once it is aborted."""
        return self.is_aborted

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take octets while it is open."""
        self._require_open()
        super().write(data)

    def can_write_eof(self) -> bool:
        """Return True while it is open."""
        self._require_open()
        return True

    def write_eof(self) -> None:
        """Do nothing while it is open."""
        self._require_open()

    def _require_open(self) -> None:
        if self.is_aborted:
            raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")


@pytest.mark.parametrize("end", ["stop", "evict", "deadline"])
@pytest.mark.parametrize("make", [smtp, ftp])
def test_a_connection_that_was_aborted_can_be_ended(
    tmp_path: Path, make: Callable[[Path], asyncio.Protocol], end: str
) -> None:
    async def inside() -> None:
        connection: Any = make(tmp_path)
        wire = ClosedWire()
        connection.connection_made(wire)
        await asyncio.sleep(0.05)
        wire.abort()
        if end == "deadline":
            connection.check_deadline(connection.deadline + 1)
        else:
            getattr(connection, end)()
        await asyncio.sleep(0.05)
        connection.connection_lost(None)
        await asyncio.sleep(0.05)

    asyncio.run(inside())
