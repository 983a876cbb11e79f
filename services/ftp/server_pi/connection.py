"""Control connection of the FTP server on asyncio: does the I/O for a sans-IO session (session.py).

The connection passes received octets to the session and carries out the session's actions. The session takes all
decisions of the protocol; the connection is responsible for backpressure, deadlines and the log. Blocking file
operations run in threads.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar, cast

from lab7.services.connections import Slot, Stage, acknowledge
from lab7.services.ftp.accounts import Account, check_credential
from lab7.services.ftp.files.jailed_tree import FileError
from lab7.services.ftp.files.paths import format_path
from lab7.services.ftp.files.user_files import UserFiles
from lab7.services.ftp.server_dtp.data_connection import DataConnection
from lab7.services.ftp.server_dtp.open_transfer import execute_request, open_transfer
from lab7.services.ftp.server_dtp.transfer import Transfer
from lab7.services.ftp.server_pi import actions
from lab7.services.ftp.server_pi.commands import server_pi
from lab7.services.ftp.server_pi.context import ServerContext
from lab7.services.ftp.server_pi.failures import Cause, Failed
from lab7.services.ftp.server_pi.session import ConnectionInfo, ServerSession

Value = TypeVar("Value")


class ControlConnection(asyncio.Protocol):
    """Asyncio protocol of one control connection: passes octets to the sans-IO session and carries out its actions."""

    def __init__(self, context: ServerContext, slot: Slot) -> None:
        self._context = context
        self._slot = slot
        self._session: ServerSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._account: Account | None = None
        self._files: UserFiles | None = None
        self._transfer: Transfer | None = None
        self._open_request: actions.Opening | None = None
        self._write_paused = self._ended = self._lost = self._slowed = False
        self._commands_seen = 0
        self._commands_timed = 0
        self.deadline = context.now() + context.limits.login_s

    # Methods that asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        # RFC 959 section 4.1: urgent octets (Synch) are decoded in line, at their place in the stream.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = (transport.get_extra_info("peername") or ("?", 0))[:2]
        local = (transport.get_extra_info("sockname") or ("?", 0))[:2]
        self._peer = f"{peer[0]}:{peer[1]}"
        self._slot.attach(self)
        self._session = server_pi(ConnectionInfo(peer[0], local[0], peer[1]))
        self._data = DataConnection(self._context.data_settings, local, peer[0], self._data_opened)
        self._log("session")
        self._perform(self._session.greeting(self._context.is_ready))

    def data_received(self, data: bytes) -> None:
        if self._session is None:
            return
        actions_to_perform = self._session.receive(data)
        self._perform(actions_to_perform)
        if not actions_to_perform:
            # Acknowledge a partial command at once: the client may wait for the TCP ACK before it sends more.
            acknowledge(self._transport)

    def eof_received(self) -> bool:
        self._ended = True
        if self._session is None:
            return False
        if self._transfer is not None and not self._session.is_leaving:
            self._data.abort(Cause.CONNECTION_BROKEN)
        return self._task is not None or self._session.has_work

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lost = True
        if self._session is not None:
            self._session.end("")
            self._data.end()
            if self._task is None:
                self._abandon_transfer()
            self._log("session_end")
        self._slot.release()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._update_reading()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._resume()

    # Methods that the server and its ConnectionSet call.

    def ready(self) -> None:
        """Send the greeting 220, once the server is ready."""
        if self._session is not None and not self._lost:
            # The login deadline begins now that the server is ready, because the client had to wait until now.
            self.deadline = self._context.now() + self._context.limits.login_s
            self._perform(self._session.ready())

    def check_deadline(self, now: float) -> None:
        """End the session after its idle or login timeout.

        Resume it if it was throttled because of too many commands.
        """
        if self._slowed:
            self._slowed = False
            self._commands_seen = self._session.commands if self._session is not None else 0
            self._resume()
        elif self._session is not None:
            self._commands_seen = self._session.commands
        if self._transport.is_closing():
            if now > self.deadline:
                self._transport.abort()
        elif self._session is not None and self._session.is_busy and self._session.is_logged_in:
            self.deadline = now + self._context.limits.idle_s
        elif now > self.deadline:
            self._end("Idle timeout.")

    def stop(self) -> None:
        """End the session, because the server stops."""
        self._end("The server is shutting down.")

    def abort(self) -> None:
        """Close the control connection at once, and discard unsent octets."""
        self._transport.abort()

    def evict(self) -> None:
        """End the session with reply 421 to make room for a new connection."""
        self._end("Too many users; try again later.")

    def _end(self, reason: str) -> None:
        if self._session is None:
            return
        self._log("session_ended_by_server", reason=reason)
        if self._transfer is not None:
            self._data.abort(Cause.CONNECTION_BROKEN)
        self._perform(self._session.end(reason))

    # Actions.

    def _update_deadline(self, session: ServerSession) -> None:
        """Extend the idle deadline after a command of a logged-in user; the login deadline is never extended."""
        if session.commands == self._commands_timed and not session.is_busy:
            return
        self._commands_timed = session.commands
        if not session.is_logged_in:
            self._slot.stage = Stage.OPENING
            return
        self.deadline = self._context.now() + self._context.limits.idle_s
        is_known = self._account is not None and not self._account.anonymous
        # An idle anonymous session may be evicted like one without a login, since an anonymous login costs nothing.
        self._slot.complete(Stage.ACTIVE if is_known or session.is_busy else Stage.IDLE)

    def _resume(self) -> None:
        if self._session is not None and not self._lost and not self._is_paused:
            self._perform(self._session.resume())

    @property
    def _is_paused(self) -> bool:
        return self._write_paused or self._slowed

    def _perform(self, actions_to_perform: list[actions.Action]) -> None:
        for action in actions_to_perform:
            if isinstance(action, actions.Send):
                if not self._transport.is_closing():
                    self._transport.write(action.octets)
            elif isinstance(action, actions.LogEvent):
                self._log(action.event, **action.values)
            elif isinstance(action, actions.Close):
                self.deadline = self._context.now() + self._context.limits.linger_s
                self._transport.close()
            elif isinstance(action, actions.CloseData):
                self._data.close()
            elif isinstance(action, actions.AbortTransfer):
                self._data.abort(Cause.ABORTED)
            elif isinstance(action, actions.LogOut):
                if self._account is not None:
                    self.deadline = self._context.now() + self._context.limits.login_s
                self._account = self._files = None
            else:
                self._task = self._slot.start(self._answer(action))
                self._task.add_done_callback(self._answered)
        self._update_reading()

    def _update_reading(self) -> None:
        """Pause or resume reading according to the buffers, after the session's actions have been carried out.

        Schedule buffered commands, or close the connection if the client has closed its side and no command is left.
        """
        session = self._session
        if session is None or self._transport.is_closing():
            return
        self._update_deadline(session)
        if session.commands - self._commands_seen > self._context.commands_per_sweep and not self._slowed:
            self._slowed = True
            self._log("flood", commands=session.commands)
        if self._is_paused or session.is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
        if session.has_work:
            self._context.loop.call_soon(self._resume)
        elif self._ended and self._task is None:
            self._transport.close()

    async def _answer(self, request: actions.Request) -> None:
        try:
            result = await self._carry_out(request)
        except FileError as error:
            result = Failed(error.cause, error.detail)
        except OSError as error:
            result = Failed(Cause.LOCAL_ERROR, f"Local error in processing: {error.strerror}.")
        self._task = None
        session = self._session
        if session is not None:
            # The idle time starts with the reply.
            self._commands_timed = -1
            self._perform(session.resolved(result))
        if self._lost and self._task is None:
            self._abandon_transfer()

    def _answered(self, task: asyncio.Task[None]) -> None:
        """Handle the end of the task of an I/O request; report an unexpected exception in it and abort the session."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._transport.abort()
            self._context.loop.call_exception_handler({"message": "the FTP command failed", "exception": error})

    async def _carry_out(self, request: actions.Request) -> actions.Result:
        if isinstance(request, actions.StartTransfer):
            return await self._run_transfer(request)
        if isinstance(request, actions.OpenRead | actions.OpenWrite | actions.OpenListing):
            return await self._open(request)
        if isinstance(request, actions.OpenPassive):
            found = self._data.listen()
            return Failed(Cause.NO_CONNECTION, "No port is free.") if found is None else actions.Listening(*found)
        if isinstance(request, actions.Pause):
            await asyncio.sleep(self._context.limits.wrong_password_s)
            return actions.Done()
        if isinstance(request, actions.Authenticate):
            return await self._authenticate(request)
        files = self._current_files()
        return await self._run_in_thread(lambda: execute_request(files, request, self._context.wall_clock()))

    async def _authenticate(self, request: actions.Authenticate) -> actions.Result:
        found = self._context.accounts.find(request.user)
        result = await self._run_in_thread(lambda: check_credential(found, request))
        if found is not None and isinstance(result, actions.Admitted) and result.next_credential is None:
            self._account, self._files = found, self._context.user_files[found.name]
        return result

    async def _open(self, request: actions.Opening) -> actions.Result:
        files, now = self._current_files(), self._context.wall_clock()
        self._open_request = request
        self._transfer, result = await self._run_in_thread(lambda: open_transfer(files, request, now))
        return result

    async def _run_transfer(self, request: actions.StartTransfer) -> actions.Result:
        transfer, begun = self._transfer, self._context.now()
        if transfer is None:
            raise RuntimeError("no transfer is open")
        failed = await self._data.transfer(transfer, request.target, self._is_gone)
        self._transfer = None
        outcome = "complete" if failed is None else failed.cause.name.lower()
        self._log_transfer(transfer, outcome, "passive" if request.target is None else "active", begun)
        return actions.TransferComplete(transfer.octets, getattr(transfer, "remark", "")) if failed is None else failed

    def _is_gone(self) -> bool:
        leaving = self._session is not None and self._session.is_leaving
        return self._lost or (self._ended and not leaving)

    def _current_files(self) -> UserFiles:
        if self._files is None:
            raise FileError(Cause.DENIED)
        return self._files

    def _abandon_transfer(self) -> None:
        transfer, self._transfer = self._transfer, None
        if transfer is not None:
            self._context.data_settings.workers.submit(transfer.abandon)

    def _data_opened(self) -> None:
        if self._session is not None:
            self._session.data_is_open = True

    async def _run_in_thread(self, function: Callable[[], Value]) -> Value:
        return await self._context.loop.run_in_executor(self._context.data_settings.workers, function)

    # The log.

    def _log(self, event: str, **values: object) -> None:
        if self._context.log.enabled:
            self._context.log.write(event, peer=self._peer, **values)

    def _log_transfer(self, transfer: Transfer, outcome: str, mode: str, begun: float) -> None:
        request = self._open_request
        if request is None or not self._context.log.enabled:
            return
        duration_s = round(self._context.now() - begun, 6)
        kind = type(request).__name__
        self._log(
            "transfer",
            action=kind,
            path=format_path(request.path),
            mode=mode,
            size_bytes=transfer.octets,
            duration_s=duration_s,
            outcome=outcome,
        )
