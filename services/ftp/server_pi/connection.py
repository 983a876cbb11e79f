"""The server's control connection on asyncio: octets to the session, and its actions to files and data connection.

Takes no decision of the protocol. Owns back-pressure, deadlines and the log; blocking file actions run in threads.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import TypeVar, cast

from services.connection_table import Stage
from services.connections import Slot
from services.ftp.accounts import Account, admit
from services.ftp.files.jailed_tree import FileError
from services.ftp.files.paths import shown
from services.ftp.files.user_files import Home
from services.ftp.server_dtp.data_connection import DataConnection
from services.ftp.server_dtp.open_transfer import carry_out, open_transfer
from services.ftp.server_dtp.transfer import Mover
from services.ftp.server_pi import actions
from services.ftp.server_pi.commands import server_pi
from services.ftp.server_pi.context import ServerContext
from services.ftp.server_pi.failures import Cause, Failed
from services.ftp.server_pi.session import ServerSession, Surroundings

Value = TypeVar("Value")


class ControlConnection(asyncio.Protocol):
    """The control connection of one session."""

    def __init__(self, context: ServerContext, slot: Slot) -> None:
        self._context = context
        self._slot = slot
        self._session: ServerSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._account: Account | None = None
        self._home: Home | None = None
        self._mover: Mover | None = None
        self._opening: actions.Opening | None = None
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
        self._session = server_pi(Surroundings(peer[0], local[0], peer[1]))
        self._data = DataConnection(self._context.plan, local, peer[0], self._data_opened)
        self._log("session")
        self._do(self._session.greeting(self._context.is_ready))

    def data_received(self, data: bytes) -> None:
        if self._session is None:
            return
        self._do(self._session.receive(data))

    def eof_received(self) -> bool:
        self._ended = True
        if self._session is None:
            return False
        if self._mover is not None and not self._session.is_leaving:
            self._data.abort(Cause.CONNECTION_BROKEN)
        return self._task is not None or self._session.has_work

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._lost = True
        if self._session is not None:
            self._session.end("")
            if self._mover is not None:
                self._data.abort(Cause.CONNECTION_BROKEN)
            self._data.close()
            if self._task is None:
                self._drop_opened()
            self._log("session_end")
        self._slot.release()

    def pause_writing(self) -> None:
        self._write_paused = True
        self._settle()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._go_on()

    # Methods that the server and its ConnectionSet call.

    def ready(self) -> None:
        """Greet the client with 220, now that the server can be used."""
        if self._session is not None and not self._lost:
            # Up to here the client has waited for the server, not the server for the client.
            self.deadline = self._context.now() + self._context.limits.login_s
            self._do(self._session.ready())

    def check_deadline(self, now: float) -> None:
        """End a session that was idle for too long, and resume one that was throttled."""
        if self._slowed:
            self._slowed = False
            self._commands_seen = self._session.commands if self._session is not None else 0
            self._go_on()
        elif self._session is not None:
            self._commands_seen = self._session.commands
        if self._transport.is_closing():
            if now > self.deadline:
                self._transport.abort()
        elif self._session is not None and self._session.is_busy and self._session.is_logged_in:
            self.deadline = now + self._context.limits.idle_s
        elif now > self.deadline:
            self._end("You were idle for too long.")

    def stop(self) -> None:
        """End the session, because the server stops."""
        self._end("The server stops.")

    def abort(self) -> None:
        """Close at once, and discard unsent octets."""
        self._transport.abort()

    def evict(self) -> None:
        """End the session, because another connection takes the place of this one."""
        self._end("Too many users are connected; try again later.")

    def _end(self, reason: str) -> None:
        if self._session is None:
            return
        self._log("session_ended_by_server", reason=reason)
        if self._mover is not None:
            self._data.abort(Cause.CONNECTION_BROKEN)
        self._do(self._session.end(reason))

    # Actions.

    def _time(self, session: ServerSession) -> None:
        """Set the deadline of the next command where one has arrived; the deadline of the login is never extended."""
        if session.commands == self._commands_timed and not session.is_busy:
            return
        self._commands_timed = session.commands
        if not session.is_logged_in:
            self._slot.stage = Stage.OPENING
            return
        self.deadline = self._context.now() + self._context.limits.idle_s
        is_known = self._account is not None and not self._account.anonymous
        # An anonymous login costs an attacker nothing, so it does not protect an idle session from eviction.
        self._slot.complete(Stage.ACTIVE if is_known or session.is_busy else Stage.IDLE)

    def _go_on(self) -> None:
        if self._session is not None and not self._lost and not self._held:
            self._do(self._session.go_on())

    @property
    def _held(self) -> bool:
        return self._write_paused or self._slowed

    def _do(self, wanted: list[actions.Action]) -> None:
        for action in wanted:
            if isinstance(action, actions.Send):
                if not self._transport.is_closing():
                    self._transport.write(action.octets)
            elif isinstance(action, actions.Note):
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
                self._account = self._home = None
            else:
                self._task = self._slot.start(self._answer(action))
                self._task.add_done_callback(self._answered)
        self._settle()

    def _settle(self) -> None:
        """Pause or resume reading, schedule buffered commands, and close after the client's end."""
        session = self._session
        if session is None or self._transport.is_closing():
            return
        self._time(session)
        if session.commands - self._commands_seen > self._context.commands_per_sweep and not self._slowed:
            self._slowed = True
            self._log("flood", commands=session.commands)
        if self._held or session.is_full:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
        if session.has_work:
            self._context.loop.call_soon(self._go_on)
        elif self._ended and self._task is None:
            self._transport.close()

    async def _answer(self, ask: actions.Ask) -> None:
        try:
            result = await self._result(ask)
        except FileError as error:
            result = Failed(error.cause, error.detail)
        except OSError as error:
            result = Failed(Cause.LOCAL_ERROR, f"A local error came up: {error.strerror}.")
        self._task = None
        session = self._session
        if session is not None:
            # The idle time starts with the reply.
            self._commands_timed = -1
            self._do(session.resolved(result))
        if self._lost and self._task is None:
            self._drop_opened()

    def _answered(self, task: asyncio.Task[None]) -> None:
        """Abort the session on an exception of a command, and report it."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._transport.abort()
            self._context.loop.call_exception_handler({"message": "an FTP command failed", "exception": error})

    async def _result(self, ask: actions.Ask) -> actions.Result:
        if isinstance(ask, actions.Move):
            return await self._move(ask)
        if isinstance(ask, actions.OpenRead | actions.OpenWrite | actions.OpenListing):
            return await self._open(ask)
        if isinstance(ask, actions.OpenPassive):
            found = self._data.listen()
            return Failed(Cause.NO_CONNECTION, "No port is free.") if found is None else actions.Listening(*found)
        if isinstance(ask, actions.Pause):
            await asyncio.sleep(self._context.limits.wrong_password_s)
            return actions.Done()
        if isinstance(ask, actions.Authenticate):
            return await self._authenticate(ask)
        home = self._entered()
        return await self._work(lambda: carry_out(home, ask, self._context.wall_clock()))

    async def _authenticate(self, ask: actions.Authenticate) -> actions.Result:
        found = self._context.accounts.find(ask.user)
        result = await self._work(lambda: admit(found, ask))
        if found is not None and isinstance(result, actions.Admitted) and result.wants is None:
            self._account, self._home = found, self._context.homes[found.name]
        return result

    async def _open(self, ask: actions.Opening) -> actions.Result:
        home, now = self._entered(), self._context.wall_clock()
        self._opening = ask
        self._mover, result = await self._work(lambda: open_transfer(home, ask, now))
        return result

    async def _move(self, ask: actions.Move) -> actions.Result:
        mover, begun = self._mover, self._context.now()
        if mover is None:
            raise RuntimeError("no transfer is open")
        failed = await self._data.transfer(mover, ask.target, self._is_gone)
        self._mover = None
        outcome = "complete" if failed is None else failed.cause.name.lower()
        self._log_transfer(mover, outcome, "passive" if ask.target is None else "active", begun)
        return actions.Moved(mover.octets, getattr(mover, "remark", "")) if failed is None else failed

    def _is_gone(self) -> bool:
        leaving = self._session is not None and self._session.is_leaving
        return self._lost or (self._ended and not leaving)

    def _entered(self) -> Home:
        if self._home is None:
            raise FileError(Cause.DENIED)
        return self._home

    def _drop_opened(self) -> None:
        mover, self._mover = self._mover, None
        if mover is not None:
            self._context.plan.workers.submit(mover.give_up)

    def _data_opened(self) -> None:
        if self._session is not None:
            self._session.data_is_open = True

    async def _work(self, function: Callable[[], Value]) -> Value:
        return await self._context.loop.run_in_executor(self._context.plan.workers, function)

    # The log.

    def _log(self, event: str, **values: object) -> None:
        if self._context.log.enabled:
            self._context.log.write(event, peer=self._peer, **values)

    def _log_transfer(self, mover: Mover, outcome: str, mode: str, begun: float) -> None:
        what = self._opening
        if what is None or not self._context.log.enabled:
            return
        duration_s = round(self._context.now() - begun, 6)
        kind = type(what).__name__
        self._log(
            "transfer",
            action=kind,
            path=shown(what.path),
            mode=mode,
            size_bytes=mover.octets,
            duration_s=duration_s,
            outcome=outcome,
        )
