"""The SMTP server on asyncio: its ports, its connections and its shutdown."""

import asyncio
import ssl

from services.connection_table import ConnectionLimits, Refusal
from services.connections import ConnectionSet
from services.eventlog import EventLog
from services.listener import Factory
from services.mail.smtp.policy import Policy
from services.mail.smtp.reply import Reply
from services.mail.smtp.server_connection import ServerConnection
from services.mail.smtp.server_context import Limits, Port, ServerContext

# Seconds between two sweeps, and the longest time that a stop waits for messages on their way to the disk.
SWEEP_S = 1.0
STOP_S = 5.0
# Seconds that it then waits for clients to read their 421 and close.
FAREWELL_S = 0.5


class SMTPServer:
    """All connections of all ports."""

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
        """Return the factory of a port's protocols."""
        self._hostname = port.offer.hostname
        return lambda slot: ServerConnection(self.context, port, slot)

    async def stop(self) -> None:
        """Close every session with 421; a message being written gets its reply first (RFC 5321 section 3.8)."""
        await self.connections.drain(STOP_S, FAREWELL_S)

    def _refusal(self, _: Refusal) -> bytes:
        # RFC 5321 section 4.2.3: 421 is a reply to any command, and to a connection where the service is not available.
        return Reply(421, f"{self._hostname} Too many connections: try again later", "4.3.2").to_wire()
