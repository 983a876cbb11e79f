"""Mail authentication in the MTA: checks of received messages, and signatures on messages of local users.

If a check is enabled, the server removes Authentication-Results fields with its own authserv-id from every message that
it accepts, even from authenticated users. So a field with this authserv-id in a queued message was added by the server
itself (RFC 8601 section 5). A message is signed with the keys for the domain of its From field, or else for the closest
parent domain; two keys of one domain, RSA and Ed25519, make two signatures (RFC 8463 section 1). Long lines are
shortened before signing, since the SMTP client would shorten them after signing and break the signature (RFC 6376
section 5.3).
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import TypeVar

from lab7.services.mail.authentication.authentication_results import is_quarantined, without_results
from lab7.services.mail.authentication.dkim.canonicalization import parse_message
from lab7.services.mail.authentication.dkim.signer import SigningKey, sign
from lab7.services.mail.authentication.dmarc.verdict import AuthorError, author_domain
from lab7.services.mail.authentication.inbound import Checks, Decision, Sender, authenticate
from lab7.services.mail.authentication.lookup import Lookups
from lab7.services.mail.delivery.mx_lookup import Resolver
from lab7.services.mail.delivery.routes import Answer, Lookup
from lab7.services.mail.smtp.commands import Accept
from lab7.services.mail.smtp.policy import Client
from lab7.services.mail.smtp.short_lines import shorten_lines

T = TypeVar("T")

# Time limit for the lookups of a check; RFC 7208 section 4.6.4: at least 20 s; clients wait 10 min for the reply.
LOOKUPS_S = 60.0
# Minimum size of a message that is hashed in a thread, so that other sessions go on.
LARGE_OCTETS = 256 * 1024


class Authentication:
    """Checks of received mail and DKIM signing for one server.

    `authserv_id` is the server's name in Authentication-Results fields.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        random: Random,
        resolver: Resolver,
        authserv_id: str,
        checks: Checks,
        keys: Sequence[SigningKey],
    ) -> None:
        self._loop = loop
        self._random = random
        self._resolver = resolver
        self._authserv_id = authserv_id
        self._keys = keys
        self._checks = checks
        # True if received messages are checked.
        self.is_checking = checks.any

    async def receive(self, message: Accept, client: Client, now_s: float) -> tuple[Decision, bytes]:
        """Check a message from a client without permission to relay; return (decision, content to queue).

        Called only if a check is enabled. The content has no forged Authentication-Results fields of this server.
        """
        percent = self._random.randrange(100)
        sender = Sender(client.address, client.hello, message.reverse_path)
        content = message.content
        steps = authenticate(content, sender, self._checks, self._authserv_id, now_s, percent)
        decision = await self._run(steps, len(content) >= LARGE_OCTETS)
        return decision, without_results(content, self._authserv_id)

    async def submit(self, content: bytes, now_s: float) -> bytes:
        """Return a message submitted by a user, signed if there are DKIM keys for the domain of its From field."""
        if self.is_checking:
            content = without_results(content, self._authserv_id)
        keys = self._keys_for(content)
        if not keys:
            return content
        if len(content) >= LARGE_OCTETS:
            return await self._loop.run_in_executor(None, _signed, content, keys, now_s)
        return _signed(content, keys, now_s)

    def is_junk(self, content: bytes) -> bool:
        """Return True if a queued message was quarantined by this server's DMARC check, which is enabled."""
        return is_quarantined(content, self._authserv_id)

    def _keys_for(self, content: bytes) -> list[SigningKey]:
        if not self._keys:
            return []
        try:
            domain = author_domain(parse_message(content))
        except AuthorError:
            return []
        above = [key for key in self._keys if domain == key.domain or domain.endswith("." + key.domain)]
        longest = max((len(key.domain) for key in above), default=0)
        return [key for key in above if len(key.domain) == longest]

    async def _run(self, steps: Lookups[T], is_large: bool) -> T:
        """Run a check, a generator of DNS queries, with its queries; return its result.

        After LOOKUPS_S seconds, the remaining queries are treated as timed out.
        """
        deadline_s = self._loop.time() + LOOKUPS_S
        answer: Answer | None = None
        while True:
            if is_large:
                lookup, result = await self._loop.run_in_executor(None, _advance, steps, answer)
            else:
                lookup, result = _advance(steps, answer)
            if lookup is None:
                return result[0]
            try:
                async with asyncio.timeout_at(deadline_s):
                    answer = await self._resolver.look_up(lookup)
            except TimeoutError:
                answer = Answer(None)


def _advance(steps: Lookups[T], answer: Answer | None) -> tuple[Lookup | None, list[T]]:
    """Resume a check, a generator of DNS lookups, with the answer to its last lookup (None at the start).

    Returns (next lookup, []), or (None, [result]) when the check is complete.
    """
    try:
        return (next(steps) if answer is None else steps.send(answer)), []
    except StopIteration as end:
        return None, [end.value]


def _signed(content: bytes, keys: Sequence[SigningKey], now_s: float) -> bytes:
    content = shorten_lines(content)
    return b"".join(sign(content, key, now_s) for key in keys) + content
