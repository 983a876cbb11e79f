"""POP3 and IMAP server on asyncio: the TCP connections of sans-IO sessions, with connection limits, time-outs and TLS.

A connection passes received octets to its session (access.requests), sends the responses, and does the I/O that the
session requests; all decisions of the protocol are in the session. Connections share a ServerContext and have no
reference to the AccessServer that creates them.

The RFCs specify the idle time-out (RFC 1939 section 3, RFC 3501 section 5.4), the check of an APOP digest (RFC 1939
section 7), the delay after a failed login (RFC 3501 section 11.2), and updates during IDLE (RFC 2177 section 3).
"""

import asyncio
import hashlib
import hmac
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from weakref import WeakValueDictionary

from lab7.services.connections import (
    ConnectionLimits,
    ConnectionSet,
    Factory,
    Refusal,
    Slot,
    Stage,
    acknowledge,
    paid_deadline,
)
from lab7.services.errors import ServiceError
from lab7.services.eventlog import EventLog
from lab7.services.mail.access.compression import Compression, CompressionError
from lab7.services.mail.access.requests import (
    Challenge,
    LogIn,
    Opened,
    Output,
    Outputs,
    Session,
    StartCompression,
)
from lab7.services.mail.accounts import Account, Accounts
from lab7.services.mail.maildir.store import Maildir
from lab7.services.memory import release_frames
from lab7.services.shell import Shell

# Maximum number of mailboxes kept in the cache after their last session; each costs a few hundred octets per message.
MAILBOXES_KEPT = 64
# Default limit of concurrent connections: Dovecot's client_limit.
CONNECTIONS_MAX = 1000
# Seconds from connection to login, after which a client without login is closed: 3 minutes, as in Dovecot.
LOGIN_S = 180.0
# Idle time-out in seconds: RFC 3501 section 5.4 requires at least 30 minutes, RFC 1939 section 3 at least 10.
IDLE_S = 1830.0
# Maximum octets of responses that are collected before one call writes them to the socket.
FLUSH_OCTETS = 65_536
# Octets of buffered input above which reading from the socket pauses.
INBOX_OCTETS = 262_144
# Maximum seconds for which a session runs before it yields to other connections.
TURN_S = 0.01


class OpenMailboxes:
    """LRU cache of the mailboxes below `root`: one Maildir object per user, shared by all sessions of the user."""

    def __init__(self, root: Path, wall_clock: Callable[[], float]) -> None:
        self._root = root
        self._wall_clock = wall_clock
        self._open: WeakValueDictionary[Account, Maildir] = WeakValueDictionary()
        self._kept: OrderedDict[Account, Maildir] = OrderedDict()

    def of(self, account: Account) -> Maildir:
        """Return a user's mailbox from the cache, or open it and create a missing Maildir; raise OSError."""
        maildir = self._open.get(account)
        if maildir is None:
            maildir = Maildir(account.directory(self._root), account.quota_octets or 0, self._wall_clock)
            maildir.clean()
            self._open[account] = maildir
        self._kept[account] = maildir
        self._kept.move_to_end(account)
        if len(self._kept) > MAILBOXES_KEPT:
            self._kept.popitem(last=False)
        return maildir


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server: connections, time-outs in seconds, and the minimum input rate in octets/s."""

    connections: int = CONNECTIONS_MAX
    idle_s: float = IDLE_S
    login_s: float = LOGIN_S
    # Rate in octets/s at which octets of an incomplete command extend its time-out, so that slower clients time out.
    rate_octets_s: float = 100.0
    write_s: float = 300.0
    handshake_s: float = 20.0
    failed_login_s: float = 1.0
    # Seconds for which a connection stays open after the last response, so that the client can read it.
    linger_s: float = 5.0
    # Seconds between two polls of the mailbox for changes by other programs, during IDLE.
    poll_s: float = 0.25


@dataclass(slots=True)
class ServerContext:
    """State shared by all connections of a server. Replacing `accounts` affects later logins only."""

    accounts: Accounts
    log: EventLog
    loop: asyncio.AbstractEventLoop
    mailboxes: OpenMailboxes
    limits: Limits
    tls: ssl.SSLContext | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS context for STARTTLS or STLS; raise ServiceError if none is configured."""
        if self.tls is None:
            raise ServiceError("there is no certificate: name one with --tls")
        return self.tls

    async def log_in(self, request: LogIn | Challenge) -> Opened | None:
        """Check a password (in a thread) or an APOP digest; return the opened mailbox, None if the check fails."""
        if isinstance(request, Challenge):
            account = self._challenged(request)
        else:
            check = self.accounts.check
            account = await self.loop.run_in_executor(None, check, request.user, request.password)
        if account is None:
            return None
        return Opened(f"{account.user}@{account.domain}", self.mailboxes.of(account))

    def _challenged(self, request: Challenge) -> Account | None:
        """Verify an APOP digest (RFC 1939 section 7); return the account, None if user name or digest is wrong."""
        found = self.accounts.plain_password(request.user)
        if found is None:
            return None
        account, password = found
        # RFC 1939 section 7 prescribes MD5.
        digest = hashlib.md5(request.timestamp + password.encode("utf-8"), usedforsecurity=False).hexdigest()
        return account if hmac.compare_digest(digest.encode("ascii"), request.digest) else None


class Connection(asyncio.Protocol):
    """Asyncio protocol of one client connection: passes input to a session, sends responses, does the requested I/O.

    While the responses to earlier input are being sent, new input is only buffered; above INBOX_OCTETS, reading from
    the socket pauses (backpressure for pipelined commands). A client that does not read its responses is disconnected
    after a time-out.
    """

    def __init__(self, context: ServerContext, session: Session, slot: Slot) -> None:
        self._context = context
        self._slot = slot
        self._farewell = "The server is shutting down."
        # Time at which the current phase (login, or reception of a complete command) times out.
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
        self._compression: Compression | None = None
        self._task: asyncio.Task[None] | None = None
        self._peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session; asyncio calls this again after start_tls(), with the TLS transport."""
        self._transport = cast(asyncio.Transport, transport)
        if self._task is None:
            host, port = (transport.get_extra_info("peername") or ("?", 0))[:2]
            self._deadline = asyncio.get_running_loop().time() + self._context.limits.login_s
            self._slot.on_evict = self._evict
            self._peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            self._task = self._slot.start(self._serve())
            self._task.add_done_callback(self._end)

    def data_received(self, data: bytes) -> None:
        """Buffer received octets; pause reading from the socket above INBOX_OCTETS."""
        self._inbox += data
        if len(self._inbox) > INBOX_OCTETS:
            self._transport.pause_reading()
        self._woken.set()

    def eof_received(self) -> bool:
        """Let the session's task process the buffered input after the client's FIN; return True to keep sending.

        The value is False for TLS, which asyncio does not support on a half-closed connection.
        """
        self._at_end = True
        self._woken.set()
        # For TLS return False: asyncio does not support half-closed TLS connections and would log a warning.
        return self._transport.can_write_eof()

    def connection_lost(self, _: Exception | None) -> None:
        """Wake the session's task so that it ends, and free the connection's place in the connection limit."""
        self._at_end = True
        self._woken.set()
        self._writable.set()
        self._slot.release()

    def _end(self, task: asyncio.Task[None]) -> None:
        """Close the connection after the end of its task; log the exception if the task failed."""
        if task.cancelled():
            # The task was cancelled before its first step, so it has run none of its code.
            self._say_farewell(self._farewell)
        elif (error := task.exception()) is not None:
            self._context.log.write("failed", error=f"{type(error).__name__}: {error}")
        self._session.release()
        self._transport.close()
        self._context.loop.call_later(self._context.limits.linger_s, self._transport.abort)

    def _say_farewell(self, text: str) -> None:
        last = self._session.end(text)
        if not self._transport.is_closing():
            self._transport.write(self._deflated(last))

    def _evict(self) -> None:
        self._farewell = "Too many connections: try again later."
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        """Suspend the session's output: the socket's send buffer is full."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Resume the session's output: the send buffer has room."""
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
                    self._answered = False
                    await self._send(session.receive(data))
                    if not self._answered:
                        # Acknowledge an incomplete command at once: Nagle's algorithm may delay its end until the ACK.
                        acknowledge(self._transport)
                    self._time(len(data))
        except TimeoutError:
            self._say_farewell("Idle for too long.")
        except CompressionError as error:
            self._say_farewell(f"Cannot decompress: {error}.")
        except asyncio.CancelledError:
            self._say_farewell(self._farewell)

    async def _read(self) -> bytes | None:
        """Wait for input; return the received octets, b"" at the end of the input. Raises TimeoutError.

        Returns None if the session ended during IDLE, or if the octets are only part of a compressed block.
        """
        if asyncio.get_running_loop().time() > self._deadline:
            raise TimeoutError
        has_more = self._compression is not None and self._compression.has_more
        if not self._inbox and not self._at_end and not has_more:
            self._woken.clear()
            while not self._woken.is_set():
                if not await self._wake(self._deadline):
                    return None
        data = bytes(self._inbox)
        self._inbox.clear()
        self._transport.resume_reading()
        if self._compression is None or not (data or has_more):
            return data
        # Part of a compressed block may yield no octets yet, which is no end of file.
        return self._compression.inflate(data, INBOX_OCTETS) or None

    def _time(self, octets: int) -> None:
        """Set the next deadline for input: the idle time-out after a complete command, or else a short extension.

        An incomplete command extends the deadline by its size divided by the minimum input rate. The deadline for login
        is never extended.
        """
        if not self._session.logged_in:
            return
        limits, now = self._context.limits, asyncio.get_running_loop().time()
        if self._answered:
            self._deadline = now + limits.idle_s
            self._slot.complete(Stage.ACTIVE)
        else:
            self._deadline = paid_deadline(self._deadline, octets, limits.rate_octets_s, now + limits.idle_s)

    async def _wake(self, deadline: float) -> bool:
        """Wait for input until `deadline`, and poll the mailbox meanwhile during IDLE or NOTIFY.

        Returns False if the session ended. Raises TimeoutError.
        """
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
        """Send the untagged responses for mailbox changes (RFC 2177 section 3); return False if the session ended.

        Raises TimeoutError after `deadline`.
        """
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
        self._transport.write(self._deflated(data))
        if not self._writable.is_set():
            latest = asyncio.get_running_loop().time() + self._context.limits.write_s
            async with asyncio.timeout_at(latest if self._session.logged_in else min(latest, self._deadline)):
                await self._writable.wait()

    def _deflated(self, data: bytes) -> bytes:
        return data if self._compression is None or not data else self._compression.deflate(data)

    async def _answer(self, request: Output) -> object:
        if isinstance(request, LogIn | Challenge):
            opened = await self._context.log_in(request)
            if self._context.log.enabled:
                self._context.log.write("login", peer=self._peer, user=request.user, ok=opened is not None)
            if opened is None:
                # RFC 3501 section 11.2: a delay after each failed login slows down password guessing.
                await asyncio.sleep(self._context.limits.failed_login_s)
            return opened
        if isinstance(request, StartCompression):
            # Octets after COMPRESS are compressed data already, if the client did not wait for the response.
            self._compression = Compression()
            return None
        await self._start_tls()
        return None

    async def _start_tls(self) -> None:
        self._transport.pause_reading()
        # Discard octets received in cleartext before the TLS handshake: an attacker may have injected them.
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
        except OSError as error:
            self._transport.abort()
            release_frames(error)
            return
        if made is not None:
            self._transport = made


class AccessServer:
    """POP3 or IMAP server; the function `session` creates the sans-IO session of each new connection."""

    def __init__(
        self,
        shell: Shell,
        accounts: Accounts,
        maildirs: Path,
        session: Callable[[], Session],
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        limits = limits or Limits()
        mailboxes = OpenMailboxes(maildirs, shell.wall_clock)
        self.context = ServerContext(accounts, shell.log, shell.loop, mailboxes, limits, tls)
        self._session = session
        maxima = ConnectionLimits(limits.connections)
        self.connections = ConnectionSet(shell.loop, maxima, self._refusal, shell.log)

    def protocol(self, slot: Slot) -> asyncio.BaseProtocol:
        """Return the asyncio protocol object for a new connection."""
        return Connection(self.context, self._session(), slot)

    def protocol_of(self, session: Callable[[], Session]) -> Factory:
        """Return a factory like protocol(), for a port on which each connection gets a session created by `session`."""
        return lambda slot: Connection(self.context, session(), slot)

    async def stop(self) -> None:
        """Send the last response (BYE or -ERR) on all connections, then close the connections."""
        await self.connections.cancel()

    def _refusal(self, _: Refusal) -> bytes:
        """Return the greeting of a refused connection: BYE in IMAP (RFC 3501 section 7.1.5), -ERR in POP3."""
        return self._session().end("Too many connections: try again later.")
