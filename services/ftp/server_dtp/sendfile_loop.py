"""Transmission of a file by sendfile(2) on the event loop, as long as its octets can be read without disk access.

Whenever the socket is writable, the loop sends at most TransferLoad.turn_octets octets, so that other transfers get
their turn. It ends when the whole file is sent, the transfer is aborted, or the peer has read nothing for `stall_s`
seconds. It also ends when the next octets are not in the page cache; a worker thread then reads them from the disk.
"""

import asyncio
import socket
from dataclasses import dataclass

from lab7.services.connections import send_queue_octets
from lab7.services.ftp.limits import SOLE_TURN_OCTETS, TURN_OCTETS
from lab7.services.ftp.server_dtp.transfer import FileSender, Turn
from lab7.services.ftp.server_pi.failures import Cause


@dataclass(slots=True)
class TransferLoad:
    """Number of transfers in progress on the event loop; the more transfers, the fewer octets each sends per turn."""

    transfers: int = 0

    @property
    def turn_octets(self) -> int:
        """Maximum number of octets that one transfer sends at a time, before the event loop serves another transfer."""
        return max(TURN_OCTETS, SOLE_TURN_OCTETS // max(1, self.transfers))


class SendfileLoop:
    """Sender of one file by sendfile(2) on the event loop: sends some octets whenever the socket is writable."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        sender: FileSender,
        load: TransferLoad,
        stall_s: float,
    ) -> None:
        self._loop, self._connection, self._sender, self._load = loop, connection, sender, load
        self._stall_s = stall_s
        self._sent_at = loop.time()
        self._queued_octets = -1
        self._ended: asyncio.Future[Turn | Cause] = loop.create_future()

    async def run(self, aborted: asyncio.Future[Cause]) -> Turn | Cause:
        """Send octets of the file as long as no disk access is needed.

        Return Turn.DONE at the end of the file, Turn.DISK when the disk must be read, or the Cause of a failure. Raises
        OSError.
        """
        if aborted.done():
            return aborted.result()
        first = self._send()
        if first is not Turn.MORE:
            return first
        descriptor = self._connection.fileno()
        self._loop.add_writer(descriptor, self._on_writable)
        aborted.add_done_callback(self._abort)
        self._check_stall()
        try:
            return await self._ended
        finally:
            self._stall_timer.cancel()
            aborted.remove_done_callback(self._abort)
            self._loop.remove_writer(descriptor)

    def _send(self) -> Turn:
        return self._sender.turn(self._connection, self._load.turn_octets)

    def _on_writable(self) -> None:
        if self._ended.done():
            return
        try:
            turn = self._send()
        except OSError as error:
            self._ended.set_exception(error)
            return
        self._sent_at = self._loop.time()
        self._queued_octets = send_queue_octets(self._connection)
        if turn is not Turn.MORE:
            self._ended.set_result(turn)

    def _check_stall(self) -> None:
        """End the transfer with Cause.STALLED if the peer has read nothing for `stall_s` seconds.

        Otherwise, schedule the next check.
        """
        remaining_s = self._sent_at + self._stall_s - self._loop.time()
        if remaining_s > 0:
            self._stall_timer = self._loop.call_later(remaining_s, self._check_stall)
            return
        # A socket is writable only when much of the send queue is free, so the queue's length shows if the peer reads.
        before, self._queued_octets = self._queued_octets, send_queue_octets(self._connection)
        if self._queued_octets != before:
            self._stall_timer = self._loop.call_later(self._stall_s, self._check_stall)
        elif not self._ended.done():
            self._ended.set_result(Cause.STALLED)

    def _abort(self, aborted: asyncio.Future[Cause]) -> None:
        if not self._ended.done():
            self._ended.set_result(aborted.result())
