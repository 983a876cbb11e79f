"""The connections of a server for mailboxes: who may log in, which mailboxes are open, how many there may be."""

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.connections import ConnectionLimits, Refusal
from services.errors import ServiceError
from services.eventlog import EventLog
from services.listener import Connections, Slot
from services.mail.access.connection import Connection
from services.mail.access.open_mailboxes import OpenMailboxes
from services.mail.access.requests import Challenge, LogIn, Opened, Session
from services.mail.accounts import Account, Accounts
from services.shell import Shell

# Dovecot's client_limit is 1000.
CONNECTIONS_MAX = 1000
# Dovecot gives a client 3 minutes to log in, from the connection on, whatever it sends meanwhile.
LOGIN_S = 180.0
# RFC 3501 section 5.4: at least 30 minutes; RFC 1939 section 3: at least 10.
IDLE_S = 1830.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one server gives its clients: counts and seconds."""

    connections: int = CONNECTIONS_MAX
    idle_s: float = IDLE_S
    login_s: float = LOGIN_S
    # A command that comes more slowly than this uses its time up, as mail data does in SMTP.
    rate_octets_s: float = 100.0
    write_s: float = 300.0
    handshake_s: float = 20.0
    failed_login_s: float = 1.0
    # For a client that does not read its last response.
    linger_s: float = 5.0
    # How soon a waiting client hears of what other programs did.
    poll_s: float = 0.25


class AccessServer:
    """All connections of one protocol; `session` makes a new client's."""

    def __init__(
        self,
        shell: Shell,
        accounts: Accounts,
        maildirs: Path,
        session: Callable[[], Session],
        tls: ssl.SSLContext | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self.accounts = accounts
        self.log: EventLog = shell.log
        self.bounds = bounds or Bounds()
        self._shell = shell
        self._session = session
        self._tls = tls
        limits = ConnectionLimits(self.bounds.connections)
        self.connections = Connections(shell.loop, limits, self._refusal, shell.log)
        self._tasks: set[asyncio.Task[None]] = set()
        self._mailboxes = OpenMailboxes(maildirs, shell.wall_clock)

    def protocol(self, slot: Slot) -> asyncio.BaseProtocol:
        """Return the protocol of a new connection."""
        return Connection(self, self._session(), slot)

    def _refusal(self, _: Refusal) -> bytes:
        """RFC 3501 section 7.1.5: BYE is one of the three greetings; in POP3 -ERR."""
        return self._session().end("Too many connections: try again later.")

    def started(self, serving: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a connection."""
        task = self._shell.loop.create_task(serving)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.log.write("failed", error=f"{type(error).__name__}: {error}")

    async def stop(self) -> None:
        """End every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def tls_context(self) -> ssl.SSLContext:
        """Return the certificate's context."""
        if self._tls is None:
            raise ServiceError("there is no certificate: name one with --tls")
        return self._tls

    async def log_in(self, request: LogIn | Challenge) -> Opened | None:
        """Return the mailbox of who proves to be a user; a password is checked off the loop, as it takes a while."""
        if isinstance(request, Challenge):
            account = self._challenged(request)
        else:
            check = self.accounts.check
            account = await self._shell.loop.run_in_executor(None, check, request.user, request.password)
        if account is None:
            return None
        return Opened(f"{account.user}@{account.domain}", self._mailboxes.of(account))

    def _challenged(self, request: Challenge) -> Account | None:
        """RFC 1939 section 7: APOP."""
        found = self.accounts.plain_password(request.user)
        if found is None:
            return None
        account, password = found
        # RFC 1939 wants MD5.
        digest = hashlib.md5(request.timestamp + password.encode("utf-8"), usedforsecurity=False).hexdigest()
        return account if hmac.compare_digest(digest.encode("ascii"), request.digest) else None
