"""Client connection of the POP3 and IMAP servers: transfers octets, enforces time-outs, starts TLS.

Protocol decisions are the session's. Reading pauses while a session's outputs are sent, so that a client that sends
ahead fills its own buffers; a client that does not read is disconnected after a time-out.
"""

import asyncio
from typing import cast

from services.connection_table import Stage, paid_deadline
from services.connections import Slot
from services.mail.access.context import ServerContext
from services.mail.access.requests import Challenge, LogIn, Output, Outputs, Session

# Output is buffered up to this size before it is written.
FLUSH_OCTETS = 65_536
# Input is buffered up to this size; beyond it reading pauses.
INBOX_OCTETS = 262_144
# Time slice of a session before others are scheduled.
TURN_S = 0.01


class Connection(asyncio.Protocol):
    """Connection that drives one session."""

    def __init__(self, context: ServerContext, session: Session, slot: Slot) -> None:
        self._context = context
        self._slot = slot
        self._farewell = "The server is shutting down."
        # Deadline of the current phase: login, or receiving a complete command.
        self._deadline = 0.0
        self._answered = False
        self._session = session
        self._inbox = bytearray()
        self._at_end = False
        self._woken = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._pending: list[bytes] = []
        self._pending_octets = 0
        self._task: asyncio.Task[None] | None = None
        self._peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session; called again when TLS is active."""
        self._transport = cast(asyncio.Transport, transport)
        if self._task is None:
            host, port = (transport.get_extra_info("peername") or ("?", 0))[:2]
            self._deadline = asyncio.get_running_loop().time() + self._context.limits.login_s
            self._slot.on_evict = self._evict
            self._peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._task = self._slot.start(self._serve())
            self._task.add_done_callback(self._log_failure)

    def data_received(self, data: bytes) -> None:
        """Buffer input and pause reading beyond INBOX_OCTETS."""
        self._inbox += data
        if len(self._inbox) > INBOX_OCTETS:
            self._transport.pause_reading()
        self._woken.set()

    def eof_received(self) -> bool:
        """Finish reading; the client may still read."""
        self._at_end = True
        self._woken.set()
        # asyncio does not support half-closed TLS connections and would log a warning for True.
        return self._transport.can_write_eof()

    def connection_lost(self, _: Exception | None) -> None:
        """End the session and release the connection's slot."""
        self._at_end = True
        self._woken.set()
        self._writable.set()
        self._slot.release()

    def _log_failure(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._context.log.write("failed", error=f"{type(error).__name__}: {error}")

    def _evict(self) -> None:
        self._farewell = "Too many connections: try again later."
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Suspend writing: the client reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Resume writing."""
        self._writable.set()

    async def _serve(self) -> None:
        session = self._session
        try:
            await self._write(session.greeting())
            while not session.ended and not self._transport.is_closing():
                data = await self._read()
                if data is None:
                    await self._send(session.poll())
                elif not data:
                    break
                else:
                    await self._send(session.receive(data))
                    self._time(len(data))
        except TimeoutError:
            self._transport.write(session.end("Nothing came for too long."))
        except asyncio.CancelledError:
            self._transport.write(session.end(self._farewell))
        finally:
            session.release()
            self._transport.close()
            loop = asyncio.get_running_loop()
            loop.call_later(self._context.limits.linger_s, self._transport.abort)

    async def _read(self) -> bytes | None:
        """Return buffered input, empty at end of file, None if the session ended while polled; raise TimeoutError."""
        if asyncio.get_running_loop().time() > self._deadline:
            raise TimeoutError
        if not self._inbox and not self._at_end:
            self._woken.clear()
            while not self._woken.is_set():
                if not await self._wake(self._deadline):
                    return None
        data = bytes(self._inbox)
        self._inbox.clear()
        self._transport.resume_reading()
        return data

    def _time(self, octets: int) -> None:
        """Restart the idle time-out after a complete command, or extend it by the octets of an incomplete one.

        The login deadline is fixed.
        """
        if not self._session.logged_in:
            return
        limits, now = self._context.limits, asyncio.get_running_loop().time()
        if self._answered:
            self._deadline = now + limits.idle_s
            self._slot.complete(Stage.ACTIVE)
        else:
            self._deadline = paid_deadline(self._deadline, octets, limits.rate_octets_s, now + limits.idle_s)
        self._answered = False

    async def _wake(self, deadline: float) -> bool:
        """Wait for input until the deadline, polling a session that waits; return False if it ended meanwhile."""
        if not self._session.waits:
            async with asyncio.timeout_at(deadline):
                await self._woken.wait()
            return True
        try:
            async with asyncio.timeout(self._context.limits.poll_s):
                await self._woken.wait()
        except TimeoutError:
            return await self._polled(deadline)
        return True

    async def _polled(self, deadline: float) -> bool:
        """Poll the session; return False if it ended. The deadline also ends IDLE (RFC 2177 section 3)."""
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError
        await self._send(self._session.poll())
        return not self._session.ended

    async def _send(self, outputs: Outputs | object) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.time() + TURN_S
        steps = cast(Outputs, outputs)
        answer: object = None
        while True:
            try:
                output: Output = steps.send(answer)
            except StopIteration:
                break
            answer = None
            if not isinstance(output, bytes):
                await self._flush()
                answer = await self._answer(output)
            elif output:
                self._answered = True
                self._pending.append(output)
                self._pending_octets += len(output)
            if self._pending_octets >= FLUSH_OCTETS:
                await self._flush()
            if loop.time() > turn:
                await asyncio.sleep(0)
                turn = loop.time() + TURN_S
        await self._flush()

    async def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_octets = 0
        if data:
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(data)
        if not self._writable.is_set():
            latest = asyncio.get_running_loop().time() + self._context.limits.write_s
            async with asyncio.timeout_at(latest if self._session.logged_in else min(latest, self._deadline)):
                await self._writable.wait()

    async def _answer(self, request: Output) -> object:
        if isinstance(request, LogIn | Challenge):
            opened = await self._context.log_in(request)
            self._context.log.write("login", peer=self._peer, user=request.user, ok=opened is not None)
            if opened is None:
                # RFC 3501 section 11.2: delay after a failed login, against guessing.
                await asyncio.sleep(self._context.limits.failed_login_s)
            return opened
        await self._start_tls()
        return None

    async def _start_tls(self) -> None:
        self._transport.pause_reading()
        # Discard cleartext that was sent ahead of TLS.
        self._inbox.clear()
        limits, loop = self._context.limits, asyncio.get_running_loop()
        try:
            made = await loop.start_tls(
                self._transport,
                self,
                self._context.tls_context(),
                server_side=True,
                ssl_handshake_timeout=limits.handshake_s,
            )
        except OSError:
            self._transport.abort()
            return
        if made is not None:
            self._transport = made
