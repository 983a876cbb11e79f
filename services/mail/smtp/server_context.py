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
from services.mail.smtp.policy import Client, Policy
from services.mail.smtp.reply import Reply
from services.mail.smtp.server_session import Offer


@dataclass(frozen=True, slots=True)
class Limits:
    """The server's limits beyond those of the protocol."""

    # Postfix's default_process_limit is 100, but sessions here are not processes.
    connections: int = 1_000
    connections_of_client: int = 256
    # RFC 5321 section 4.5.3.2.7
    idle_s: float = 300.0
    # Minimum rate of mail data; below it the deadline is not extended.
    rate_octets_s: float = 100.0
    # Limit on the octets buffered for all clients before they are on disk.
    held_octets: int = 256 * 1024 * 1024
    handshake_s: float = 20.0
    linger_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Port:
    """One listening port: its offer, and the function that makes a message durable; accept() may raise OSError."""

    offer: Offer
    accept: Callable[[Accept, Client], Awaitable[Reply]]


@dataclass(slots=True)
class ServerContext:
    """State shared by all connections; `held_octets` counts the received octets buffered for all clients."""

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
        """Validate a password in a thread, since a hashed one takes some 50 ms of CPU time."""
        return await self.loop.run_in_executor(None, self.policy.accounts.check, user, password)
