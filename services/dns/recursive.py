"""A server of a zone that asks on behalf of the asker: one chain from the local server through root and TLD and back.

    root$  python -m services.dns.recursive --zone root.zone
    com$   python -m services.dns.recursive --zone com.zone
    local$ python -m services.dns.resolver --forward ROOT'S ADDRESS

It answers from its own zones as services.dns.authoritative does. What lies below one of its zone cuts it asks of the
servers there, with RD, and passes their answer on; with --cache it remembers it. RFC 1034 section 4.3.1 (recursive
service), section 4.3.2 step 4. The Internet's root and TLD servers do not do this: it is the course's picture of
recursion, to be measured beside iteration. Only hosts that come with an address, or that --root helps to find, can be
asked; aliases that lead out of what was delegated are left to the asker.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.message import Message
from services.dns.codec.name import ROOT
from services.dns.codec.rdata import CNAME
from services.dns.codec.records import Question
from services.dns.recursion.delegation import Delegation, Service, delegation_from
from services.dns.recursion.handler import records_of
from services.dns.recursion.resolution import Result
from services.dns.recursion.scheduler import Resolving
from services.dns.recursion.transport import DNS_PORT, Upstream
from services.dns.resolver import add_upstream_flags, given_roots, knowledge
from services.dns.server.access import PRIVATE, Access
from services.dns.server.responder import Client, Handled, Responder
from services.dns.server.server import DNSServer
from services.dns.zones.handler import Authority, response
from services.dns.zones.loading import load_zones
from services.dns.zones.lookup import Answer
from services.errors import ServiceError
from services.shell import Shell, add_common_flags, run_service


class RecursiveAuthority:
    """Answers from its zones, and from the servers of what they delegate."""

    def __init__(self, authority: Authority, resolving: Resolving, access: Access) -> None:
        self._authority = authority
        self._resolving = resolving
        self._access = access

    def __call__(self, query: Message, client: Client) -> Handled:
        """Return the response to a query, or what brings it."""
        answer = self._authority.answer(query.questions[0])
        serves = self._access.allows(client.host)
        own = replace(response(query, answer), ra=serves)
        delegation = delegated(answer)
        if delegation is None or not query.rd or not serves:
            return own
        result = self._resolving.resolve(_rest(query.questions[0], answer), client.host, delegation)
        return _joined(own, result) if isinstance(result, Result) else _later(own, result)


def delegated(answer: Answer) -> Delegation | None:
    """Return whom the zones refer to; None where they answer themselves."""
    cut = next((rrset for rrset in answer.authority if rrset.rtype == RRType.NS), None)
    if cut is None or answer.rcode != Rcode.NOERROR:
        return None
    # The additional section has no addresses but those of the server's own zones, so all are to be believed.
    return replace(delegation_from(cut, answer.additional, ROOT), service=Service.RECURSIVE)


def _rest(question: Question, answer: Answer) -> Question:
    """Return what is left to ask: the question, or the same about where its aliases lead."""
    data = answer.answers[-1].rdatas[0] if answer.answers else None
    return replace(question, name=data.target) if isinstance(data, CNAME) else question


async def _later(own: Message, result: Awaitable[Result]) -> Message:
    return _joined(own, await result)


def _joined(own: Message, result: Result) -> Message:
    """Return the response with what others said in the place of the referral."""
    answers = (*own.answers, *records_of(result.answers))
    authority = records_of(result.authority)
    return replace(own, aa=False, rcode=result.rcode, answers=answers, authority=authority, additional=())


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m services.dns.recursive", description="Serve DNS zones, and ask below their cuts for clients."
    )
    made.add_argument(
        "--zone", action="append", default=[], metavar="[ORIGIN=]FILE", help="a zone's master file; may be given again"
    )
    made.add_argument("--zones", action="append", default=[], metavar="LIST", help="a file of `origin<TAB>file` lines")
    made.add_argument("--cache", action="store_true", help="remember what others answered (default: ask each time)")
    add_upstream_flags(made)
    add_common_flags(made, DNS_PORT)
    return made


def main(argv: list[str] | None = None) -> int:
    """Run the server until SIGTERM; returns its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        if not options.zone and not options.zones:
            raise ServiceError("no zone is given: name one with --zone FILE")
        authority = Authority(load_zones(options.zone, options.zones))
        known = knowledge(shell, options, given_roots(options), options.cache)
        upstream = Upstream(shell.loop, shell.random, shell.log, options.upstream_port, options.outgoing or "")
        await upstream.check_source()
        resolving = Resolving(known, upstream, shell.loop.time)
        handler = RecursiveAuthority(authority, resolving, Access(options.allow or PRIVATE))
        server = DNSServer(Responder(handler, failed=lambda error: server.failed(error)), shell.log)
        await shell.open_tcp(server.stream_protocol, connections=server.connections)
        await shell.open_udp(server.datagram_protocol)

        async def finish() -> None:
            await asyncio.gather(server.stop(), resolving.stop())

        return finish

    return run_service("recursive", options, start)


if __name__ == "__main__":
    sys.exit(main())
