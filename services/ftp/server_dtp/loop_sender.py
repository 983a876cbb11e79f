"""The sendfile loop: one transfer's share of the event loop, for octets that need no disk access.

Whenever the socket is writable, one turn sends at most Load.turn_octets by sendfile(2). It ends when all is sent, when
a worker thread has to read from the disk, when the transfer is aborted, or when the peer reads nothing for stall_s.
"""

import asyncio
import socket
from dataclasses import dataclass

from services.ftp.limits import SOLE_TURN_OCTETS, TURN_OCTETS
from services.ftp.server_dtp.transfer import FileSender, Turn
from services.ftp.server_pi.failures import Cause


@dataclass(slots=True)
class Load:
    """The number of transfers under way."""

    transfers: int = 0

    @property
    def turn_octets(self) -> int:
        """Octets that one transfer may send in one turn."""
        return max(TURN_OCTETS, SOLE_TURN_OCTETS // max(1, self.transfers))


class Turns:
    """The turns of one transfer; run() returns Turn.DONE, Turn.DISK or the cause of a failure."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, connection: socket.socket, sender: FileSender, load: Load, stall_s: float
    ) -> None:
        self._loop, self._connection, self._sender, self._load = loop, connection, sender, load
        self._stall_s = stall_s
        self._moved_at = loop.time()
        self._ended: asyncio.Future[Turn | Cause] = loop.create_future()

    async def run(self, aborted: asyncio.Future[Cause]) -> Turn | Cause:
        """Send until the loop ends; raises OSError."""
        if aborted.done():
            return aborted.result()
        first = self._move()
        if first is not Turn.MORE:
            return first
        descriptor = self._connection.fileno()
        self._loop.add_writer(descriptor, self._take)
        aborted.add_done_callback(self._abort)
        self._watch()
        try:
            return await self._ended
        finally:
            self._watching.cancel()
            aborted.remove_done_callback(self._abort)
            self._loop.remove_writer(descriptor)

    def _move(self) -> Turn:
        return self._sender.turn(self._connection, self._load.turn_octets)

    def _take(self) -> None:
        if self._ended.done():
            return
        try:
            turn = self._move()
        except OSError as error:
            self._ended.set_exception(error)
            return
        self._moved_at = self._loop.time()
        if turn is not Turn.MORE:
            self._ended.set_result(turn)

    def _watch(self) -> None:
        """End the loop with STALLED where the peer has read nothing for `stall_s`."""
        left = self._moved_at + self._stall_s - self._loop.time()
        if left > 0:
            self._watching = self._loop.call_later(left, self._watch)
        elif not self._ended.done():
            self._ended.set_result(Cause.STALLED)

    def _abort(self, aborted: asyncio.Future[Cause]) -> None:
        if not self._ended.done():
            self._ended.set_result(aborted.result())
