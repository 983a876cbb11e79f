"""MTA-STS policies for the sending MTA, from the cache or fetched over HTTPS (RFC 8461 sections 3.3 and 5).

    policies = PolicySource(resolver, "authorities.pem", time.time, log)      file of CA certificates
    policy = await policies.policy("example.com")                             None: no policy, opportunistic TLS

The certificate of the HTTPS server must be valid for mta-sts.DOMAIN. Redirections are not followed; any response other
than 200 with text/plain is a failed fetch.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.dns.codec.codes import RRType
from lab7.services.errors import ServiceError
from lab7.services.eventlog import EventLog
from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields
from lab7.services.http.http1.connection import ClientConnection
from lab7.services.http.messages import Data, EndOfMessage, Event, Fault, Request, Response
from lab7.services.mail.authentication.lookup import Lookups, TemporaryLookupError, addresses, domain_name
from lab7.services.mail.authentication.mta_sts.policy import (
    HOST_LABEL,
    PATH,
    POLICY_OCTETS_MAX,
    Policy,
    PolicyCache,
    PolicyError,
    fetch_needed,
    parse_policy,
)
from lab7.services.mail.delivery.mx_lookup import Resolver
from lab7.services.tls import HTTP_1, Trust, client_context

HTTPS_PORT = 443
# Time limit for a whole fetch in seconds: RFC 8461 section 3.3 suggests one minute.
FETCH_S = 60.0
READ_OCTETS = 65_536
# Maximum number of addresses of the policy host that are tried.
ADDRESSES_MAX = 4


class PolicySource:
    """Source of MTA-STS policies of mail domains: a cache, filled over HTTPS from the domains' policy hosts."""

    def __init__(
        self,
        resolver: Resolver,
        authorities: str | None,
        clock: Callable[[], float],
        log: EventLog,
        port: int = HTTPS_PORT,
    ) -> None:
        """Load the CA certificates in the file `authorities` (None: the system's); raises ServiceError."""
        self._resolver = resolver
        self._cache = PolicyCache(clock)
        self._log = log
        self._port = port
        try:
            self._context = client_context(Trust(authorities), HTTP_1)
            self.smtp_context = client_context(Trust(authorities), "smtp")
        except OSError as error:
            raise ServiceError(f"cannot read the certificates {authorities}: {error.strerror or error}") from error

    async def policy(self, domain: str) -> Policy | None:
        """Return the valid MTA-STS policy of a mail domain, None if there is none; fetch it if it is not cached."""
        domain = domain.lower()
        if domain.startswith("["):
            # An address literal has no DNS records.
            return None
        new_id = await self._resolver.resolve(fetch_needed(self._cache, domain))
        if new_id is not None:
            try:
                async with asyncio.timeout(FETCH_S):
                    policy = await self._fetch(f"{HOST_LABEL}.{domain}")
            except (PolicyError, TemporaryLookupError, OSError, TimeoutError, HTTPError) as error:
                self._cache.failed(domain)
                self._log.write("sts_fetch_failed", domain=domain, error=str(error) or type(error).__name__)
            else:
                self._cache.put(domain, new_id, policy)
                self._log.write("sts_policy", domain=domain, id=new_id, mode=policy.mode.value, mx=policy.patterns)
        return self._cache.policy(domain)

    async def _fetch(self, host: str) -> Policy:
        """Fetch a policy from the policy host; raises PolicyError, TemporaryLookupError, OSError, HTTPError."""
        failure: OSError | None = None
        for address in (await self._resolver.resolve(_host_addresses(host)))[:ADDRESSES_MAX]:
            try:
                reader, writer = await asyncio.open_connection(
                    address, self._port, ssl=self._context, server_hostname=host
                )
            except OSError as error:
                failure = error
                continue
            try:
                return parse_policy(await _get(reader, writer, host))
            finally:
                writer.transport.abort()
        raise failure or PolicyError(f"{host} has no address")


def _host_addresses(host: str) -> Lookups[list[str]]:
    name = domain_name(host)
    if name is None:
        return []
    found = []
    for rtype in (RRType.A, RRType.AAAA):
        found += yield from addresses(name, rtype)
    return found


@dataclass(slots=True)
class _Reading:
    """Incomplete HTTP response with an MTA-STS policy: collects its content while it arrives."""

    content: bytes = b""
    is_complete: bool = False

    def take(self, event: Event) -> None:
        """Process an event of the HTTP connection; raises PolicyError."""
        if isinstance(event, Response) and event.status >= 200:
            media_type = (event.fields.get(b"content-type") or b"").partition(b";")[0].strip().lower()
            if event.status != 200 or media_type != b"text/plain":
                raise PolicyError(f"status {event.status}, content type {media_type.decode('latin-1') or 'missing'}")
        elif isinstance(event, Data):
            self.content += event.data
        elif isinstance(event, Fault):
            raise PolicyError(event.detail)
        elif isinstance(event, EndOfMessage):
            self.is_complete = True


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> str:
    """Request the policy file by HTTPS; raises PolicyError, OSError, HTTPError."""
    connection = ClientConnection(POLICY_OCTETS_MAX)
    fields = Fields(((b"Host", host.encode("ascii", "replace")), (b"Connection", b"close")))
    writer.write(connection.send_request(Request(b"GET", PATH.encode(), fields)))
    reading = _Reading()
    while not reading.is_complete:
        try:
            octets = await reader.read(READ_OCTETS)
        except ssl.SSLError as error:
            raise PolicyError(f"TLS failed: {error}") from error
        for event in connection.receive_data(octets) if octets else connection.receive_eof():
            reading.take(event)
        if not octets and not reading.is_complete:
            raise PolicyError("the policy host closed the connection")
    return reading.content.decode("utf-8", "replace")
