"""DNS stub resolver for MX lookups: queries over UDP, and over TCP after truncation (RFC 1035 section 4.2)."""

import asyncio
from collections.abc import Collection, Generator, Sequence
from random import Random
from typing import TypeVar

from lab7.services.dns.codec.codes import DNS_PORT
from lab7.services.dns.codec.message import Question
from lab7.services.dns.codec.name import ROOT
from lab7.services.dns.recursion.query import Replied, UpstreamQuery
from lab7.services.dns.recursion.transport import Upstream
from lab7.services.eventlog import EventLog
from lab7.services.mail.delivery.routes import Answer, Host, Lookup, find_route
from lab7.services.mail.smtp.syntax import Reply

# Each name server is tried twice with a time-out of 5 seconds, as in the C library's resolver.
TRIES = 2
TIMEOUT_S = 5.0

T = TypeVar("T")


class Resolver:
    """Stub resolver that queries the name servers in `servers` in order until one responds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        random: Random,
        log: EventLog,
        servers: Sequence[str],
        port: int = DNS_PORT,
    ) -> None:
        self._servers = servers
        self._random = random
        self._upstream = Upstream(loop, random, log, port)

    async def route(self, domain: str, own_names: Collection[str]) -> Sequence[Host] | Reply:
        """Return the hosts for mail to a domain in order of preference, or the SMTP reply for the failure."""
        return await self.resolve(find_route(domain, own_names, self._random))

    async def resolve(self, steps: Generator[Lookup, Answer, T]) -> T:
        """Run a generator of DNS lookups: send its queries, pass in the answers, and return its result."""
        try:
            lookup = next(steps)
            while True:
                lookup = steps.send(await self.look_up(lookup))
        except StopIteration as end:
            result: T = end.value
            return result

    async def look_up(self, lookup: Lookup) -> Answer:
        """Send one DNS query to the name servers in turn; return Answer(None) if no server responds."""
        question = Question(lookup.name, lookup.rtype)
        for _ in range(TRIES):
            for server in self._servers:
                for tcp in (False, True):
                    query = UpstreamQuery(
                        server, question, question.name, ROOT, TIMEOUT_S, tcp=tcp, recursion_desired=True
                    )
                    outcome = await self._upstream.send(query)
                    if not isinstance(outcome, Replied):
                        break
                    if tcp or not outcome.message.tc:
                        return Answer(outcome.message)
        return Answer(None)
