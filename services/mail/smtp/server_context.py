"""The context that all connections of an SMTP server share: policy, limits, log, TLS and clock.

A connection holds this object and never the server, which is above it.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.eventlog import EventLog
from services.mail.accounts import Account
from services.mail.smtp.commands import Accept
from services.mail.smtp.offer import Offer
from services.mail.smtp.policy import Client, Policy
from services.mail.smtp.reply import Reply


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits beyond those of the protocol."""

    # Postfix: default_process_limit 100 times more, for a session here is no process.
    connections: int = 1_000
    connections_of_client: int = 256
    # RFC 5321 section 4.5.3.2.7
    idle_s: float = 300.0
    # Mail data that comes more slowly than this uses its time up.
    rate_octets_s: float = 100.0
    # Octets of all clients together that may be in memory before they are on the disk.
    held_octets: int = 256 * 1024 * 1024
    handshake_s: float = 20.0
    linger_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Port:
    """One port: its offer, and the function that makes a message durable; accept() may raise OSError."""

    offer: Offer
    accept: Callable[[Accept, Client], Awaitable[Reply]]


@dataclass(slots=True)
class ServerContext:
    """`held_octets` counts the octets of all clients that are in memory."""

    policy: Policy
    log: EventLog
    loop: asyncio.AbstractEventLoop
    limits: Limits
    tls: ssl.SSLContext | None = None
    held_octets: int = 0

    def now(self) -> float:
        """Return the event loop's time in seconds."""
        return self.loop.time()

    async def check_password(self, user: str, password: str) -> Account | None:
        """Check a password in a thread: a hashed one takes a while."""
        return await self.loop.run_in_executor(None, self.policy.accounts.check, user, password)
