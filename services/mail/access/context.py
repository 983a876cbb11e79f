"""The context that all connections of a mailbox server share: accounts, mailboxes, limits, log and TLS.

A connection holds this object and never the server, which is above it.
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
# Dovecot gives a client 3 minutes to log in, from the connection on, whatever it sends meanwhile.
LOGIN_S = 180.0
# RFC 3501 section 5.4: at least 30 minutes; RFC 1939 section 3: at least 10.
IDLE_S = 1830.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one server: counts and seconds."""

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


@dataclass(slots=True)
class ServerContext:
    """`accounts` may be replaced at any time, for logins from then on."""

    accounts: Accounts
    log: EventLog
    loop: asyncio.AbstractEventLoop
    mailboxes: OpenMailboxes
    limits: Limits
    tls: ssl.SSLContext | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Return the certificate's context; raises ServiceError where there is none."""
        if self.tls is None:
            raise ServiceError("there is no certificate: name one with --tls")
        return self.tls

    async def log_in(self, request: LogIn | Challenge) -> Opened | None:
        """Return the mailbox of an authenticated user; a password is checked in a thread, as it takes a while."""
        if isinstance(request, Challenge):
            account = self._challenged(request)
        else:
            check = self.accounts.check
            account = await self.loop.run_in_executor(None, check, request.user, request.password)
        if account is None:
            return None
        return Opened(f"{account.user}@{account.domain}", self.mailboxes.of(account))

    def _challenged(self, request: Challenge) -> Account | None:
        """Check an APOP digest (RFC 1939 section 7)."""
        found = self.accounts.plain_password(request.user)
        if found is None:
            return None
        account, password = found
        # RFC 1939 wants MD5.
        digest = hashlib.md5(request.timestamp + password.encode("utf-8"), usedforsecurity=False).hexdigest()
        return account if hmac.compare_digest(digest.encode("ascii"), request.digest) else None
