"""The server's data connection (server-DTP, RFC 959 section 3.2): active and passive mode, one transfer each.

                 active mode (PORT, EPRT)                     passive mode (PASV, EPSV)
    agreed on    client listens and sends its port            server listens and replies with its port
    opened       server connects, from control port - 1       client connects; the server accepts one connection,
                 (20 for 21, RFC 959 section 3.2), after      from the client's address only (RFC 2577 section 4)
                 the preliminary reply 150
    first reply  150 (about to open)                          125 if the client has connected already, else 150

In both modes the connection carries one transfer. In stream mode (RFC 959 section 3.4.1) the end of the connection is
the end of the file, so the sender of the data closes: the server after RETR and LIST, the client after STOR. Therefore
every file needs a new connection, and the sender, which closes first, keeps the port pair in TIME-WAIT: for RETR in
active mode this is the server's port 20, so SO_REUSEADDR is set.

The receiver of an upload cannot tell the end of the file from the death of the client, whose kernel closes both
connections. So before an upload replaces the old file, `is_gone` checks the control connection: if the control
connection has ended as well, the upload counts as aborted. A download needs no such check: the server sends 226 once
all octets are in the socket's buffer and the connection is shut down for writing.

If an upload fails in the server (disk full, quota), the remaining octets are read and discarded for up to LINGER_S. If
the connection were closed with unread octets, TCP would reset it, and many clients would give up before they read the
reply with the reason.

An unused data connection is closed by the next PORT or PASV, by ABOR, by REIN and at the end of the session. Every wait
has a timeout: `connect_s` for the data connection, `stall_s` for a transfer in which no octet moves. ABOR or the end of
the session completes the future `_aborted`, which ends every wait. The reply to a failed transfer is 425 if there was
no data connection, else 426 or the code for the cause (server_pi/failures.py).
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from lab7.services.connections import send_queue_octets
from lab7.services.eventlog import EventLog
from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.grammar import DataAddress
from lab7.services.ftp.limits import REFUSED_PEERS, WORKERS
from lab7.services.ftp.server_dtp.ports import candidates
from lab7.services.ftp.server_dtp.sendfile_loop import SendfileLoop, TransferLoad
from lab7.services.ftp.server_dtp.transfer import Discarder, FileSender, Transfer, Turn, end_sending
from lab7.services.ftp.server_pi.failures import Cause, Failed

# Seconds for reading and discarding the remaining octets of a failed upload, as Apache's lingering close.
LINGER_S = 2.0
# Length of the accept queue: more than the client's one connection, so that other hosts do not fill the queue.
_LISTEN_BACKLOG = 8


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Settings shared by the data connections of all sessions: ports, passive address, timeouts, worker threads."""

    loop: asyncio.AbstractEventLoop
    workers: Executor
    log: EventLog
    random: Random
    # Lowest and highest port to listen on in passive mode; None for any dynamic port.
    passive_ports: tuple[int, int] | None = None
    # Address in the reply to PASV, for a server behind NAT; None for the address of the control connection.
    passive_address: str | None = None
    # Source port in active mode; None for the control port - 1.
    data_port: int | None = None
    # Timeout in seconds of the data connection's set-up: vsftpd's accept_timeout and connect_timeout.
    connect_s: float = 60.0
    # Timeout in seconds of a transfer without an octet; vsftpd's data_connection_timeout is 300 s.
    stall_s: float = 60.0
    load: TransferLoad = field(default_factory=TransferLoad)


class DataConnection:
    """Data connection of one session, one transfer at a time.

    `on_open` is called when a client connects in passive mode.
    """

    def __init__(
        self, settings: DataSettings, local: tuple[str, int], peer_host: str, on_open: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._local_host, self._local_port = local
        self._peer_host = peer_host
        self._family = socket.AF_INET6 if ":" in peer_host else socket.AF_INET
        self._on_open: Callable[[], None] | None = on_open
        self._listener: socket.socket | None = None
        # Result of accept() in passive mode: True for the client, False after too many other hosts.
        self._accepted: asyncio.Future[bool] | None = None
        self._refused_peers = 0
        self._connection: socket.socket | None = None
        self._aborted: asyncio.Future[Cause] | None = None
        self._session_ended = False

    # Passive mode.

    def listen(self) -> tuple[str, int] | None:
        """Open a listening socket for passive mode; return (address, port) for the reply, None if no port is free."""
        self.close()
        listener = None if self._session_ended else self._bound_listener()
        if listener is None:
            return None
        self._listener = listener
        self._accepted = self._settings.loop.create_future()
        self._refused_peers = 0
        self._settings.loop.add_reader(listener.fileno(), self._accept)
        return self._settings.passive_address or self._local_host, listener.getsockname()[1]

    def _bound_listener(self) -> socket.socket | None:
        for port in candidates(self._settings.passive_ports, self._settings.random):
            listener = socket.socket(self._family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((self._local_host, port))
                listener.listen(_LISTEN_BACKLOG)
                listener.setblocking(False)
                return listener
            except OSError:
                listener.close()
        return None

    def _accept(self) -> None:
        """Accept the client's connection in passive mode; close connections from other addresses."""
        if self._listener is None or self._accepted is None:
            return
        try:
            connection, address = self._listener.accept()
        except OSError:
            # The client closed the connection before accept().
            return
        if address[0] == self._peer_host:
            connection.setblocking(False)
            self._connection = connection
            self._accepted.set_result(True)
            self._close_listener()
            if self._on_open is not None:
                self._on_open()
            return
        connection.close()
        self._refused_peers += 1
        self._settings.log.write("data_connection_refused", peer=address[0], expected=self._peer_host)
        if self._refused_peers >= REFUSED_PEERS:
            self._accepted.set_result(False)
            self._close_listener()

    # Active mode.

    async def _connect(self, target: DataAddress) -> socket.socket | None:
        own_port = self._settings.data_port if self._settings.data_port is not None else self._local_port - 1
        for port in dict.fromkeys((max(own_port, 0), 0)):
            connection = socket.socket(self._family, socket.SOCK_STREAM)
            connection.setblocking(False)
            try:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                connection.bind((self._local_host, port))
                await self._settings.loop.sock_connect(connection, (target.host, target.port))
                return connection
            except OSError as error:
                connection.close()
                if not port or error.errno not in (errno.EACCES, errno.EPERM, errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                    return None
                self._settings.log.write("data_port_not_had", port=port, reason=error.strerror)
            except asyncio.CancelledError:
                connection.close()
                raise
        return None

    # A transfer.

    async def transfer(
        self, transfer: Transfer, target: DataAddress | None, is_gone: Callable[[], bool]
    ) -> Failed | None:
        """Carry out one transfer and complete the file; return Failed (with its cause), or None on success.

        `target` is the client's address in active mode, None in passive mode. `is_gone` returns whether the control
        connection has ended; if it has, an upload counts as aborted.
        """
        aborted = self._aborted = self._settings.loop.create_future()
        if self._session_ended:
            aborted.set_result(Cause.CONNECTION_BROKEN)
        self._settings.load.transfers += 1
        try:
            failed = await self._run(transfer, target, aborted)
            if failed is None and not transfer.sends:
                # Wait two iterations of the event loop, so that ABOR or the end of the connection is handled first.
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                if is_gone():
                    failed = Failed(Cause.CONNECTION_BROKEN)
                elif aborted.done():
                    failed = Failed(aborted.result())
            if transfer.sends:
                # Abandoning a sender only closes a file, so no worker thread is needed.
                transfer.abandon()
            else:
                await self._run_in_thread(transfer.abandon if failed else transfer.finish)
        except FileError as error:
            failed = Failed(error.cause, error.detail)
        finally:
            self._settings.load.transfers -= 1
            self._aborted = None
            self.close()
        return failed

    def abort(self, cause: Cause) -> None:
        """Abort the transfer in progress, if any; transfer() then returns Failed with `cause`."""
        if self._aborted is not None and not self._aborted.done():
            self._aborted.set_result(cause)

    def end(self) -> None:
        """Abort the transfer and close all sockets, at the end of the session.

        After that, listen() and transfer() fail.
        """
        self._session_ended = True
        self.abort(Cause.CONNECTION_BROKEN)
        self.close()
        # Break the reference cycle: the callback refers to the control connection, which refers to this object.
        self._on_open = None

    def close(self) -> None:
        """Close the listening socket and the data connection.

        During a transfer, abort the transfer, which then closes them.
        """
        if self._aborted is not None:
            self.abort(Cause.ABORTED)
            return
        self._accepted = None
        self._close_listener()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._settings.loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    async def _run(
        self, transfer: Transfer, target: DataAddress | None, aborted: asyncio.Future[Cause]
    ) -> Failed | None:
        connection = await self._established(target)
        if aborted.done():
            return Failed(aborted.result())
        if connection is None:
            return Failed(Cause.NO_CONNECTION)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            cause = await self._run_steps(transfer, connection, aborted)
            if cause is not None:
                return Failed(cause)
        except FileError as error:
            if not transfer.sends:
                await self._discard(connection)
            return Failed(error.cause, error.detail)
        except ConnectionError:
            return Failed(Cause.CONNECTION_BROKEN)
        except OSError as error:
            return Failed(Cause.CONNECTION_BROKEN if error.errno == errno.ETIMEDOUT else Cause.LOCAL_ERROR)
        if transfer.sends:
            end_sending(connection)
        return None

    async def _run_steps(
        self, transfer: Transfer, connection: socket.socket, aborted: asyncio.Future[Cause]
    ) -> Cause | None:
        """Transfer all octets, a limited number at a time; return the Cause of a failure, None on success.

        Octets of a file in the page cache are sent on the event loop, all others by worker threads.
        """
        settings = self._settings
        while True:
            ended: Turn | Cause = Turn.DISK
            if isinstance(transfer, FileSender):
                ended = await SendfileLoop(settings.loop, connection, transfer, settings.load, settings.stall_s).run(
                    aborted
                )
            if isinstance(ended, Cause):
                return ended
            if ended is Turn.DONE or await self._run_in_thread(
                partial(transfer.step, connection, settings.load.transfers <= WORKERS)
            ):
                return None
            cause = await self._until_ready(connection, transfer.sends, settings.stall_s)
            if cause is not None:
                return cause

    async def _established(self, target: DataAddress | None) -> socket.socket | None:
        if target is None:
            if self._accepted is not None:
                await self._wait_for(self._accepted)
            return self._connection
        connecting = self._settings.loop.create_task(self._connect(target))
        await self._wait_for(connecting)
        if not connecting.done():
            connecting.cancel()
            await asyncio.wait({connecting})
        self._connection = None if connecting.cancelled() else connecting.result()
        return self._connection

    async def _wait_for(self, awaited: asyncio.Future[Any]) -> None:
        """Wait until the data connection is open, the transfer is aborted, or `connect_s` has passed."""
        if awaited.done():
            return
        waited = {awaited} if self._aborted is None else {awaited, self._aborted}
        await asyncio.wait(waited, timeout=self._settings.connect_s, return_when=asyncio.FIRST_COMPLETED)

    async def _discard(self, connection: socket.socket) -> None:
        """Read and discard the rest of a failed upload for up to LINGER_S.

        Closing with unread octets would reset the connection, so that the client might lose the reply with the reason.
        """
        discarder, end = Discarder(), self._settings.loop.time() + LINGER_S
        try:
            while self._settings.loop.time() < end and not await self._run_in_thread(
                lambda: discarder.step(connection)
            ):
                if await self._until_ready(connection, False, LINGER_S) is not None:
                    return
        except OSError:
            return

    async def _until_ready(self, connection: socket.socket, to_send: bool, stall_s: float) -> Cause | None:
        """Wait until the socket is ready to send or receive; return None, or the Cause of a failure.

        The Cause is the one given to abort(), or STALLED if the peer has sent or received nothing for `stall_s`
        seconds.
        """
        loop, aborted = self._settings.loop, self._aborted
        if aborted is None or aborted.done():
            return None if aborted is None else aborted.result()
        ready: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not ready.done():
                ready.set_result(None)

        descriptor = connection.fileno()
        (loop.add_writer if to_send else loop.add_reader)(descriptor, wake)
        try:
            waited: set[asyncio.Future[Any]] = {ready, aborted}
            receives = True
            while receives and not (ready.done() or aborted.done()):
                before = send_queue_octets(connection)
                await asyncio.wait(waited, timeout=stall_s, return_when=asyncio.FIRST_COMPLETED)
                # A shorter send queue shows that the peer receives, although the socket is not writable yet.
                receives = to_send and send_queue_octets(connection) < before
        finally:
            (loop.remove_writer if to_send else loop.remove_reader)(descriptor)
        if aborted.done():
            return aborted.result()
        return None if ready.done() else Cause.STALLED

    async def _run_in_thread(self, function: Callable[[], bool | None]) -> bool | None:
        return await self._settings.loop.run_in_executor(self._settings.workers, function)
