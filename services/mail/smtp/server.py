"""The connections of an SMTP server: how many, for how long, and what they share."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.connections import ConnectionLimits, Refusal
from services.eventlog import EventLog
from services.listener import Connections, Factory
from services.mail.accounts import Account
from services.mail.smtp.commands import Accept
from services.mail.smtp.offer import Offer
from services.mail.smtp.policy import Client, Policy
from services.mail.smtp.reply import Reply
from services.mail.smtp.server_connection import Serving
from services.sweep import Sweep

# How often deadlines are looked at, and how long a stop waits for messages that are on their way to the disk.
SWEEP_S = 1.0
STOP_S = 5.0
# How long it then waits for clients to read their 421 and leave.
FAREWELL_S = 0.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """The server's limits beyond those of the protocol."""

    # Postfix: default_process_limit 100 times more, for a session here is no process.
    connections: int = 1_000
    connections_of_client: int = 256
    # RFC 5321 section 4.5.3.2.7
    idle_s: float = 300.0
    # Mail data that comes more slowly than this uses its time up.
    rate_octets_s: float = 100.0
    # What all clients together may have in memory before it is on the disk.
    held_octets: int = 256 * 1024 * 1024
    handshake_s: float = 20.0
    linger_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Port:
    """One port: what it offers, and what makes a message durable; accept() may raise OSError."""

    offer: Offer
    accept: Callable[[Accept, Client], Awaitable[Reply]]


class SMTPServer:
    """All connections of all ports."""

    def __init__(
        self,
        policy: Policy,
        log: EventLog,
        loop: asyncio.AbstractEventLoop,
        bounds: Bounds,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.policy = policy
        self.log = log
        self.loop = loop
        self.bounds = bounds
        self.tls = tls
        self.held_octets = 0
        self._hostname = ""
        limits = ConnectionLimits(bounds.connections, bounds.connections_of_client)
        self.connections = Connections(loop, limits, self._refusal, log)
        self._serving: set[Serving] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._sweeping = Sweep(loop, SWEEP_S, self._sweep)

    def protocol(self, port: Port) -> Factory:
        """Return what makes a connection's protocol on a port."""
        self._hostname = port.offer.hostname
        return lambda slot: Serving(self, port, slot)

    def now(self) -> float:
        """The loop's clock."""
        return self.loop.time()

    def serve(self, serving: Serving) -> None:
        """Hold a connection to its deadlines from here on."""
        self._serving.add(serving)
        self._empty.clear()
        self._sweeping.wake()

    def gone(self, serving: Serving) -> None:
        """Forget a connection."""
        if serving not in self._serving:
            return
        self._serving.discard(serving)
        if not self._serving:
            self._empty.set()

    async def check_password(self, user: str, password: str) -> Account | None:
        """Check a password off the loop: a hashed one takes a while."""
        return await self.loop.run_in_executor(None, self.policy.accounts.check, user, password)

    async def stop(self) -> None:
        """End every session by 421, those that have a message under way after its reply (RFC 5321 section 3.8)."""
        self._sweeping.cancel()
        for serving in list(self._serving):
            serving.stop("Closing down: try again later")
        tasks = [serving.task for serving in self._serving if serving.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._empty.wait()
        except TimeoutError:
            for serving in list(self._serving):
                serving.time_out()

    def _refusal(self, _: Refusal) -> bytes:
        # RFC 5321 section 4.2.3: 421 is a reply to any command, and to a connection where the service is not available.
        return Reply(421, f"{self._hostname} Too many connections: try again later", "4.3.2").to_wire()

    def _sweep(self) -> bool:
        now = self.now()
        for serving in [one for one in self._serving if one.deadline <= now]:
            serving.time_out()
        return bool(self._serving)
