"""Recursive resolver, or forwarder: resolves names for clients and caches the answers.

    $ python -m services.dns.resolver --root a.root.test=127.0.1.1 --port 5353
    READY resolver 127.0.0.1:5353 [::1]:5353
    $ python -m services.dns.stub www.example.com @127.0.0.1 --port 5353

By default it iterates from the root. With --forward it queries only these servers, with RD. With --no-cache every
question takes the whole path, for comparison with a cache. It queries over IPv4 and IPv6, and no special addresses that
zones name (recursion.upstream_addresses). RFC 1034 section 5, RFC 1035 section 7, RFC 7766, RFC 6891;
services.dns.recursion describes its modules and their limits.

With --client-subnet 24 it sends the /24 of the client (RFC 7871) to servers below the top-level domains, and caches
their answers by network. A resolver on the Internet would not send private networks (section 11.3); in the lab all
networks are private.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection

from services.dns.codec.codes import DNS_PORT, Rcode, RRType
from services.dns.codec.message import Question
from services.dns.codec.name import ROOT, Name
from services.dns.faults import RESOLVER_FAULTS, FaultyResponder
from services.dns.flags import add_upstream_flags, prefix_lengths, root_servers
from services.dns.recursion.cache import ENTRIES_MAX, Cache, Delegation, Service
from services.dns.recursion.classification import addresses_of, hosts_of
from services.dns.recursion.context import ResolverContext
from services.dns.recursion.ecs_cache import QUESTIONS_MAX, ECSCache
from services.dns.recursion.handler import PRIVATE, AccessList, RecursionHandler, RecursiveResponder
from services.dns.recursion.infra_cache import InfraCache
from services.dns.recursion.iterator import Result
from services.dns.recursion.root_hints import root_delegation
from services.dns.recursion.scheduler import Scheduler
from services.dns.recursion.transport import Upstream, has_ipv6
from services.dns.recursion.upstream_addresses import UpstreamAddresses
from services.dns.server.responder import AGING_RESPONSES_MAX, AgingResponseCache, Responder
from services.dns.server.server import DNSServer
from services.errors import ServiceError
from services.faults import add_fault_flag
from services.flags import address
from services.shell import Shell, add_common_flags, run_service

# Client name under which the resolver's own questions count in the scheduler's limit per client.
OWN_CLIENT = "resolver"


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    flags = argparse.ArgumentParser(prog="python -m services.dns.resolver", description="Resolve names for clients.")
    add_upstream_flags(flags)
    flags.add_argument(
        "--forward",
        action="append",
        default=[],
        type=address,
        metavar="ADDRESS",
        help="forward all questions to this server (repeatable)",
    )
    flags.add_argument("--no-cache", action="store_true", help="disable the caches of answers and delegations")
    flags.add_argument(
        "--qname-minimisation",
        action="store_true",
        help="QNAME minimisation: send each server only the labels that it needs (RFC 9156)",
    )
    flags.add_argument(
        "--client-subnet",
        type=prefix_lengths,
        metavar="BITS[,BITS6]",
        help="send client subnets of this prefix length, and cache answers by network (RFC 7871; default: off)",
    )
    flags.add_argument(
        "--prime",
        action="store_true",
        help="priming: at start, query a root server of the hints for the root's NS set (RFC 8109)",
    )
    add_fault_flag(flags, RESOLVER_FAULTS)
    add_common_flags(flags, DNS_PORT)
    return flags


def starting_delegation(options: argparse.Namespace) -> Delegation:
    """Return the delegation at which resolutions start: the root, or the forwarders; raises ServiceError."""
    roots = root_servers(options)
    if not options.forward:
        if not roots.hosts:
            raise ServiceError("no root server: use --root NAME=ADDRESS, --root-hints or --forward")
        return roots
    if roots.hosts:
        raise ServiceError("--forward is mutually exclusive with --root and --root-hints")
    return root_delegation({Name((b"forwarder",)): tuple(options.forward)}, Service.FORWARDER)


async def open_scheduler(shell: Shell, options: argparse.Namespace, roots: Delegation, caching: bool) -> Scheduler:
    """Return a scheduler with empty caches and the settings of the flags; raises ServiceError."""
    policy = getattr(options, "client_subnet", None)
    context = ResolverContext(
        roots=roots,
        cache=Cache(ENTRIES_MAX if caching else 0),
        infra_cache=InfraCache(shell.random),
        random=shell.random,
        minimise=getattr(options, "qname_minimisation", False),
        randomise_case=options.case_randomisation,
        ecs_cache=None if policy is None else ECSCache(policy, QUESTIONS_MAX if caching else 0),
        upstream_addresses=upstream_addresses(options, roots),
    )
    source = options.outgoing or ""
    upstream = Upstream(shell.loop, shell.random, shell.log, options.upstream_port, source, shell.addresses)
    await upstream.check_source()
    return Scheduler(context, upstream, shell.loop.time)


def stop_all(server: DNSServer, scheduler: Scheduler) -> Callable[[], Awaitable[None]]:
    """Return a function, called at the end of the service, that stops the server and the scheduler."""

    async def finish() -> None:
        await asyncio.gather(server.stop(), scheduler.stop())

    return finish


def upstream_addresses(options: argparse.Namespace, roots: Delegation) -> UpstreamAddresses:
    """Return the filter for upstream addresses, from the flags and the addresses of root servers or forwarders."""
    configured = [address for addresses in roots.glue.values() for address in addresses]
    named = any(":" in address for address in configured)
    ipv6 = (named or has_ipv6()) if options.ipv6 is None else options.ipv6
    return UpstreamAddresses(options.may_query, configured, ipv6)


async def prime(scheduler: Scheduler) -> None:
    """Replace the root hints by the root's own NS RRset and addresses, if there is an answer (RFC 9609 section 3)."""
    answer = await _resolve_own(scheduler, Question(ROOT, RRType.NS))
    hosts = [host for rrset in answer.answers if rrset.rtype == RRType.NS for host in hosts_of(rrset)]
    found: dict[Name, tuple[str, ...]] = {}
    for host in hosts:
        for rtype in scheduler.context.upstream_addresses.rtypes:
            for rrset in (await _resolve_own(scheduler, Question(host, rtype))).answers:
                usable = scheduler.context.upstream_addresses.usable(addresses_of(rrset))
                if usable:
                    found[host] = found.get(host, ()) + usable
    if found:
        scheduler.context.roots = root_delegation(found)


async def _resolve_own(scheduler: Scheduler, question: Question) -> Result:
    result = scheduler.resolve(question, OWN_CLIENT)
    result = result if isinstance(result, Result) else await result
    return result if result.rcode == Rcode.NOERROR else Result(result.rcode)


async def open_server(
    shell: Shell, scheduler: Scheduler, access: AccessList, caching: bool, faults: Collection[str] = ()
) -> DNSServer:
    """Listen on the shell's addresses, and answer with the results of the scheduler, with these faults."""
    handler = RecursionHandler(scheduler.context, scheduler.resolve, access, scheduler.now)
    # The response cache does not distinguish clients, so it is disabled if client subnets are sent.
    cache = AgingResponseCache(AGING_RESPONSES_MAX if caching and scheduler.context.ecs_cache is None else 0)
    responder = Responder(handler, on_error=lambda error: server.log_error(error))
    respond = RecursiveResponder(responder, access, scheduler.now, cache)
    server = DNSServer(FaultyResponder(respond, faults) if faults else respond, shell.log)
    await server.listen(shell)
    return server


def main(argv: list[str] | None = None) -> int:
    """Run the resolver until SIGTERM; return its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        caching = not options.no_cache
        scheduler = await open_scheduler(shell, options, starting_delegation(options), caching)
        if options.prime and not options.forward:
            await prime(scheduler)
        server = await open_server(shell, scheduler, AccessList(options.allow or PRIVATE), caching, options.fault)
        return stop_all(server, scheduler)

    return run_service("resolver", options, start)


if __name__ == "__main__":
    sys.exit(main())
