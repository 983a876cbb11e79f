"""Authoritative server that also resolves: it queries the delegated servers for names below its zone cuts.

    root$  python -m lab7.services.dns.recursive --zone root.zone
    com$   python -m lab7.services.dns.recursive --zone com.zone
    local$ python -m lab7.services.dns.resolver --forward ROOT'S ADDRESS

With servers of this kind a query travels as in a textbook's picture of recursion: local server, root, TLD,
authoritative server, and back along the same chain. The Internet's root and TLD servers do not do this; experiments
compare it with iteration. RFC 1034 sections 4.3.1 (recursive service) and 4.3.2 step 5. A query with RD for a name
below a zone cut is sent, with RD, to the servers of the delegation, and their answer is returned; --cache caches it.
Left out: servers without glue, unless their addresses can be resolved from --root; and aliases that lead out of the
delegated zone, which the client has to follow.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cache

from lab7.services.dns.codec.codes import DNS_PORT, Rcode, RRType
from lab7.services.dns.codec.message import Message, Question, records_of
from lab7.services.dns.codec.name import ROOT
from lab7.services.dns.codec.rdata import CNAME
from lab7.services.dns.flags import (
    add_edns_flags,
    add_upstream_flags,
    add_zone_flags,
    edns_options,
    root_servers,
    zone_files,
)
from lab7.services.dns.recursion.cache import Delegation, Service
from lab7.services.dns.recursion.classification import delegation_from
from lab7.services.dns.recursion.handler import PRIVATE, AccessList
from lab7.services.dns.recursion.iterator import Result
from lab7.services.dns.recursion.scheduler import Scheduler
from lab7.services.dns.resolver import open_scheduler, stop_all
from lab7.services.dns.server.responder import Client, Handled, Responder, ServerCodec
from lab7.services.dns.server.server import DNSServer
from lab7.services.dns.zones.handler import Authority, response
from lab7.services.dns.zones.zone import Answer
from lab7.services.shell import Shell, add_common_flags, run_service


class RecursiveAuthority:
    """Handler that answers from the server's zones, and resolves names below their zone cuts."""

    def __init__(self, authority: Authority, scheduler: Scheduler, access: AccessList) -> None:
        self._authority = authority
        self._scheduler = scheduler
        self._access = access

    def __call__(self, query: Message, client: Client) -> Handled:
        """Return the response to a query, or an awaitable of the response."""
        answer = self._authority.answer(query.questions[0])
        allowed = self._access.allows(client.host)
        own = replace(response(query, answer), ra=allowed)
        delegation = delegation_in(answer)
        if delegation is None or not query.rd or not allowed:
            return own
        result = self._scheduler.resolve(_remaining_question(query.questions[0], answer), client.host, delegation)
        return _joined(own, result) if isinstance(result, Result) else _wait(own, result)


def delegation_in(answer: Answer) -> Delegation | None:
    """Return the delegation that a referral contains; None for an answer that is not a referral."""
    ns = next((rrset for rrset in answer.authority if rrset.rtype == RRType.NS), None)
    if ns is None or answer.rcode != Rcode.NOERROR:
        return None
    # The additional section is from the server's own zones, so all of its addresses are trusted.
    return replace(delegation_from(ns, answer.additional, ROOT), service=Service.RECURSIVE)


def _remaining_question(question: Question, answer: Answer) -> Question:
    """Return the question about the last name of the CNAME chain in an answer, with the type of the query."""
    rdata = answer.answers[-1].rdatas[0] if answer.answers else None
    return replace(question, name=rdata.target) if isinstance(rdata, CNAME) else question


async def _wait(own: Message, result: Awaitable[Result]) -> Message:
    return _joined(own, await result)


def _joined(own: Message, result: Result) -> Message:
    """Merge two responses: that of the server's own zones, with the resolved answer in place of the referral."""
    answers = (*own.answers, *records_of(result.answers))
    authority = records_of(result.authority)
    return replace(own, aa=False, rcode=result.rcode, answers=answers, authority=authority, additional=())


@cache
def parser() -> argparse.ArgumentParser:
    """Return the argument parser for the command line of this program."""
    flags = argparse.ArgumentParser(
        prog="python -m lab7.services.dns.recursive",
        description="Serve DNS zones, and resolve names below their zone cuts for clients.",
    )
    add_zone_flags(flags)
    flags.add_argument("--cache", action="store_true", help="cache answers of the delegated servers (default: no)")
    add_upstream_flags(flags)
    add_edns_flags(flags)
    add_common_flags(flags, DNS_PORT)
    return flags


def main(argv: list[str] | None = None) -> int:
    """Run the server until SIGTERM; return its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        authority = Authority(zone_files("recursive", options, shell.log).load())
        scheduler = await open_scheduler(shell, options, root_servers(options), options.cache)
        handler = RecursiveAuthority(authority, scheduler, AccessList(options.allow or PRIVATE))
        codec = ServerCodec(options=edns_options(options, shell.wall_clock))
        responder = Responder(handler, codec, on_error=lambda error: server.log_error(error))
        server = DNSServer(responder, shell.log)
        await server.listen(shell)
        return stop_all(server, scheduler)

    return run_service("recursive", options, start)


if __name__ == "__main__":
    sys.exit(main())
