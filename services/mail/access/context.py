"""Shared context of a mailbox server's connections: accounts, open mailboxes, limits, log and TLS.

Connections depend on this object, not on the server, which depends on the connections.
"""

import asyncio
import hashlib
import hmac
import ssl
from dataclasses import dataclass

from services.errors import ServiceError
from services.eventlog import EventLog
from services.mail.access.open_mailboxes import OpenMailboxes
from services.mail.access.requests import Challenge, LogIn, Opened
from services.mail.accounts import Account, Accounts

# Dovecot's client_limit is 1000.
CONNECTIONS_MAX = 1000
# Dovecot allows 3 minutes from connection to login, independent of activity.
LOGIN_S = 180.0
# RFC 3501 section 5.4: an idle time-out of at least 30 minutes; RFC 1939 section 3: at least 10.
IDLE_S = 1830.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server: counts and seconds."""

    connections: int = CONNECTIONS_MAX
    idle_s: float = IDLE_S
    login_s: float = LOGIN_S
    # A command received at a lower rate than this uses up its time-out, as mail data does in SMTP.
    rate_octets_s: float = 100.0
    write_s: float = 300.0
    handshake_s: float = 20.0
    failed_login_s: float = 1.0
    # Time for the client to read its last response.
    linger_s: float = 5.0
    # Interval of polling for changes by other programs during IDLE.
    poll_s: float = 0.25


@dataclass(slots=True)
class ServerContext:
    """Context of all connections; `accounts` may be replaced and applies to later logins."""

    accounts: Accounts
    log: EventLog
    loop: asyncio.AbstractEventLoop
    mailboxes: OpenMailboxes
    limits: Limits
    tls: ssl.SSLContext | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Return the TLS context; raise ServiceError if none is configured."""
        if self.tls is None:
            raise ServiceError("there is no certificate: name one with --tls")
        return self.tls

    async def log_in(self, request: LogIn | Challenge) -> Opened | None:
        """Authenticate; return the user's mailbox or None. Password hashing runs in a thread, as it takes long."""
        if isinstance(request, Challenge):
            account = self._challenged(request)
        else:
            check = self.accounts.check
            account = await self.loop.run_in_executor(None, check, request.user, request.password)
        if account is None:
            return None
        return Opened(f"{account.user}@{account.domain}", self.mailboxes.of(account))

    def _challenged(self, request: Challenge) -> Account | None:
        """Verify an APOP digest (RFC 1939 section 7)."""
        found = self.accounts.plain_password(request.user)
        if found is None:
            return None
        account, password = found
        # RFC 1939 prescribes MD5.
        digest = hashlib.md5(request.timestamp + password.encode("utf-8"), usedforsecurity=False).hexdigest()
        return account if hmac.compare_digest(digest.encode("ascii"), request.digest) else None
