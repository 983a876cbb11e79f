"""SMTP server on asyncio: the TCP connections of sans-IO sessions, with connection limits, time-outs and shutdown.

A connection passes received octets to its session (server_session), sends the replies, and does the I/O that the
session requests; all decisions of the protocol are in the session. Connections share a ServerContext and have no
reference to the SMTPServer that creates them.

The RFC specifies the reply 421 at shutdown (RFC 5321 sections 3.8 and 4.2.3), the end of a connection (RFC 5321 section
4.1.1.10) and the idle time-out (RFC 5321 section 4.5.3.2.7).
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

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
from lab7.services.eventlog import EventLog
from lab7.services.mail.accounts import Account
from lab7.services.mail.smtp.commands import Accept, CheckPassword, Request, State
from lab7.services.mail.smtp.policy import Client, Policy
from lab7.services.mail.smtp.server_session import Offer, ServerSession
from lab7.services.mail.smtp.syntax import Reply
from lab7.services.memory import release_frames

# SWEEP_S: seconds between checks of deadlines; STOP_S: maximum wait at shutdown for messages being written.
SWEEP_S = 1.0
STOP_S = 5.0
# Additional seconds for which shutdown waits for clients to read their 421 and close.
FAREWELL_S = 0.5
_LOCAL_ERROR = Reply(451, "Local error in processing", "4.3.0")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the SMTP server on connections, time and memory (the protocol's limits are in limits.py)."""

    # More concurrent connections than Postfix's default_process_limit (100), since a session is not a process.
    connections: int = 1_000
    connections_of_client: int = 256
    # RFC 5321 section 4.5.3.2.7: a server should wait at least 5 minutes for the next command.
    idle_s: float = 300.0
    # Rate in octets/s at which received mail data extend the deadline, so that slower clients time out.
    rate_octets_s: float = 100.0
    # Maximum octets buffered for all clients together, above which a connection that sends more gets 421.
    held_octets: int = 256 * 1024 * 1024
    handshake_s: float = 20.0
    linger_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Port:
    """Properties of a listening port: the announced extensions, and the callback that accepts a message.

    `accept` writes a message to the queue and returns the SMTP reply. It may raise OSError.
    """

    offer: Offer
    accept: Callable[[Accept, Client], Awaitable[Reply]]


@dataclass(slots=True)
class ServerContext:
    """State shared by all connections; `held_octets` counts the received octets buffered for all clients together."""

    policy: Policy
    log: EventLog
    loop: asyncio.AbstractEventLoop
    limits: Limits
    tls: ssl.SSLContext | None = None
    held_octets: int = 0
    # Class of the SMTP session; a server with deliberate faults uses a subclass (services/mail/faults.py).
    session: Callable[[Policy, Offer, Client], ServerSession] = ServerSession

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return self.loop.time()

    async def check_password(self, user: str, password: str) -> Account | None:
        """Check a password in a thread (scrypt takes some 50 ms); return the account, None if the login is wrong."""
        return await self.loop.run_in_executor(None, self.policy.accounts.check, user, password)


def _stage_of(session: ServerSession) -> Stage:
    if session.client.account is not None or session.state is State.DATA:
        return Stage.ACTIVE
    return Stage.IDLE if session.client.hello else Stage.OPENING


class ServerConnection(asyncio.Protocol):
    """Asyncio protocol of one client connection: passes input to a session, sends replies, does the requested I/O.

    `deadline` is the time at which the session times out, checked every SWEEP_S. `task` handles the session's current
    request: while a message is written to the queue or a password is checked, reading from the socket is paused.
    """

    def __init__(self, context: ServerContext, port: Port, slot: Slot) -> None:
        self._context = context
        self._slot = slot
        self._port = port
        self._session: ServerSession | None = None
        self.task: asyncio.Task[None] | None = None
        self._lingers = False
        self._stopping = False
        self._ended = False
        self._held_octets = 0
        self._in_handshake = False
        self.deadline = 0.0
        self.address = ""

    # Callbacks of asyncio.Protocol follow.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._session is not None:
            # After start_tls(), asyncio calls connection_made() again for the same session.
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.address = str((transport.get_extra_info("peername") or ("?",))[0])
        tls = transport.get_extra_info("ssl_object")
        local_address = str((transport.get_extra_info("sockname") or ("",))[0])
        client = Client(self.address, tls=None if tls is None else tls.version(), local_address=local_address)
        session = self._session = self._context.session(self._context.policy, self._port.offer, client)
        self.deadline = self._context.now() + self._context.limits.idle_s
        self._slot.attach(self)
        self._transport.write(session.greeting())

    def data_received(self, data: bytes) -> None:
        session = self._session
        if self._lingers or session is None:
            return
        out = session.receive(data)
        self._extend_deadline(session, len(data), bool(out))
        self._send(session, out)
        if not out and session.request is None:
            # Acknowledge incomplete input at once: Nagle's algorithm may delay its end until the ACK.
            acknowledge(self._transport)

    def eof_received(self) -> bool:
        # A client that half-closed its connection may still read its last reply.
        self._ended = True
        return self.task is not None and self._transport.can_write_eof()

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self.task is None:
            self._transport.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self._held(0)
        self._slot.release()

    # Methods that the ConnectionSet calls follow.

    def stop(self) -> None:
        """End the session with 421; if a message is being written to the queue, its reply is sent first."""
        self._stop("Shutting down: try again later")

    def abort(self) -> None:
        """Close the connection at once and discard unsent octets."""
        self._transport.abort()

    def evict(self) -> None:
        """End the session with 421, to make room in the connection limit for another client."""
        if self._lingers:
            self._transport.abort()
        else:
            self._stop("Too many connections: try again later")

    def check_deadline(self, now: float) -> None:
        """End the session with 421 if its deadline has passed; the server calls this method every SWEEP_S."""
        if now < self.deadline:
            return
        if self._lingers or self._in_handshake or self._session is None:
            self._transport.abort()
        elif self.task is None:
            self._write(self._session.stop("Idle for too long", "4.4.2"))
            self._end()

    # Methods that process input and requests, and that end the session, follow.

    def _stop(self, reason: str) -> None:
        self._stopping = True
        if self.task is None and self._session is not None and not self._lingers:
            self._write(self._session.stop(reason))
            self._end()

    def _write(self, octets: bytes) -> None:
        # uvloop's transport raises RuntimeError between abort() and connection_lost().
        if not self._transport.is_closing():
            self._transport.write(octets)

    def _send(self, session: ServerSession, out: bytes) -> None:
        if out:
            self._write(out)
        if session.request is not None and self.task is None:
            self._transport.pause_reading()
            if isinstance(session.request, Accept):
                self._slot.stage = Stage.ACTIVE
            self.task = self._slot.start(self._handle_request(session, session.request))
        elif session.state is State.CLOSED:
            self._end()
        self._held(session.held_octets)

    def _extend_deadline(self, session: ServerSession, octets: int, answered: bool) -> None:
        """Restart the idle time-out after a reply.

        While mail data is received, extend the time-out in proportion to the octets received.
        """
        limits = self._context.limits
        latest = self._context.now() + limits.idle_s
        if answered:
            self.deadline = latest
            self._slot.complete(_stage_of(session))
        elif session.state is State.DATA:
            self.deadline = paid_deadline(self.deadline, octets, limits.rate_octets_s, latest)

    def _held(self, octets: int) -> None:
        self._context.held_octets += octets - self._held_octets
        self._held_octets = octets
        if octets and self._context.held_octets > self._context.limits.held_octets:
            self._stop("Too much mail in transit: try again later")

    async def _handle_request(self, session: ServerSession, request: Request) -> None:
        """Do the I/O that the session requests (write a message, check a password, start TLS); continue the session."""
        out = b""
        if isinstance(request, Accept):
            try:
                reply = await self._port.accept(request, session.client)
            except OSError:
                reply = _LOCAL_ERROR
            out = session.accepted(reply)
        elif isinstance(request, CheckPassword):
            account = await self._context.check_password(request.user, request.password)
            if self._context.log.enabled:
                self._context.log.write("login", user=request.user, peer=self.address, ok=account is not None)
            out = session.authenticated(account)
        else:
            await self._start_tls(session)
        self.task = None
        if self._transport.is_closing():
            return
        self.deadline = self._context.now() + self._context.limits.idle_s
        self._slot.complete(_stage_of(session))
        self._send(session, out)
        if self.task is None and not self._lingers:
            if self._stopping:
                self.stop()
            elif self._ended:
                self._transport.close()
            else:
                self._transport.resume_reading()

    async def _start_tls(self, session: ServerSession) -> None:
        tls = self._context.tls
        if tls is None:
            raise RuntimeError("STARTTLS was offered without a certificate")
        self._in_handshake = True
        try:
            transport = await self._context.loop.start_tls(
                self._transport, self, tls, server_side=True, ssl_handshake_timeout=self._context.limits.handshake_s
            )
        except (OSError, TimeoutError) as error:
            # After a failed handshake no reply can be sent, neither inside TLS nor in plain text.
            self._transport.abort()
            release_frames(error)
            return
        self._in_handshake = False
        if transport is None:
            self._transport.abort()
            return
        self._transport = transport
        session.tls_started(transport.get_extra_info("ssl_object").version())

    def _end(self) -> None:
        """Half-close the connection, and keep reading until the client closes or a timeout, to avoid a TCP reset.

        RFC 5321 section 4.1.1.10. A reset would discard the last reply.
        """
        self._lingers = True
        self.deadline = self._context.now() + self._context.limits.linger_s
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._transport.close()


class SMTPServer:
    """SMTP server with one or more listening ports, and all their connections."""

    def __init__(
        self,
        policy: Policy,
        log: EventLog,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.context = ServerContext(policy, log, loop, limits, tls)
        self._hostname = ""
        maxima = ConnectionLimits(limits.connections, limits.connections_of_client)
        self.connections = ConnectionSet(loop, maxima, self._refusal, log, SWEEP_S)

    def protocol(self, port: Port) -> Factory:
        """Return a function that creates the asyncio protocol of a connection to this port."""
        self._hostname = port.offer.hostname
        return lambda slot: ServerConnection(self.context, port, slot)

    async def stop(self) -> None:
        """Close every session with 421; a message being written gets its reply first (RFC 5321 section 3.8)."""
        await self.connections.drain(STOP_S, FAREWELL_S)

    def _refusal(self, _: Refusal) -> bytes:
        # RFC 5321 section 4.2.3: 421 may replace the greeting if the service is not available.
        return Reply(421, f"{self._hostname} Too many connections: try again later", "4.3.2").to_wire()
