"""POP3 and IMAP server on asyncio: accepts connections, limits their number, and shuts down."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from services.connection_table import ConnectionLimits, Refusal
from services.connections import ConnectionSet, Slot
from services.mail.access.connection import Connection
from services.mail.access.context import Limits, ServerContext
from services.mail.access.open_mailboxes import OpenMailboxes
from services.mail.access.requests import Session
from services.mail.accounts import Accounts
from services.shell import Shell


class AccessServer:
    """Server of one protocol; `session` creates the session of a new connection."""

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
        """Return the asyncio protocol of a new connection."""
        return Connection(self.context, self._session(), slot)

    async def stop(self) -> None:
        """End all connections."""
        await self.connections.cancel()

    def _refusal(self, _: Refusal) -> bytes:
        """Return the response to a refused connection: BYE as IMAP greeting (RFC 3501 section 7.1.5), -ERR in POP3."""
        return self._session().end("Too many connections: try again later.")
