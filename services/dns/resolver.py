"""Recursive resolver, or forwarder: resolves names for clients and caches the answers.

    $ python -m lab7.services.dns.resolver --root a.root.test=127.0.1.1 --port 5353
    READY resolver 127.0.0.1:5353 [::1]:5353
    $ python -m lab7.services.dns.stub www.example.com @127.0.0.1 --port 5353

By default the resolver iterates from the root. With --forward it queries only the given servers, with RD. With
--no-cache every question is resolved in full, for comparison with a cache. The resolver queries over IPv4 and IPv6. It
does not query special addresses, such as loopback, if they come from the data of a zone (recursion.context). RFC 1034
section 5, RFC 1035 section 7, RFC 7766, RFC 6891; lab7.services.dns.recursion describes the modules of the resolver and
their limits.

With --client-subnet 24 the resolver sends the /24 of the client (RFC 7871) to servers below the top-level domains, and
caches the answers per network. A resolver on the Internet would not send private networks (section 11.3); in the lab
all networks are private.

With --trust-anchor the resolver validates (RFC 4033 to 4035): bogus data gets SERVFAIL with an extended error, secure
data gets AD. Without this option, it passes signatures on to clients that set DO, such as a validating resolver behind
it. With --dot-port and --doh-port it also answers over TLS and HTTPS (RFC 7858, RFC 8484).
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import cache

from lab7.services.dns.codec.codes import DNS_PORT, Rcode, RRType
from lab7.services.dns.codec.message import Question
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.faults import RESOLVER_FAULTS, FaultyResponder
from lab7.services.dns.flags import (
    add_edns_flags,
    add_encryption_flags,
    add_upstream_flags,
    domain_name,
    edns_options,
    prefix_lengths,
    root_servers,
)
from lab7.services.dns.recursion.cache import ENTRIES_MAX, TTL_MAX_S, Cache, Delegation, InfraCache, Service
from lab7.services.dns.recursion.classification import addresses_of, hosts_of
from lab7.services.dns.recursion.context import ResolverContext, UpstreamAddresses
from lab7.services.dns.recursion.ecs_cache import QUESTIONS_MAX, ECSCache
from lab7.services.dns.recursion.handler import PRIVATE, AccessList, RecursionHandler, RecursiveResponder
from lab7.services.dns.recursion.iterator import Result
from lab7.services.dns.recursion.root_hints import root_delegation
from lab7.services.dns.recursion.scheduler import Scheduler
from lab7.services.dns.recursion.transport import Upstream, has_ipv6
from lab7.services.dns.security.algorithms import require_library
from lab7.services.dns.security.denial_cache import RECORDS_MAX, DenialCache
from lab7.services.dns.security.trust import SecurityContext, trust_anchors
from lab7.services.dns.server.responder import AGING_RESPONSES_MAX, AgingResponseCache, Responder, ServerCodec
from lab7.services.dns.server.server import DNSServer
from lab7.services.errors import ServiceError
from lab7.services.faults import add_fault_flag
from lab7.services.flags import address, integer
from lab7.services.shell import Shell, add_common_flags, run_service

# Client name of the resolver's own questions, which count in the scheduler's limit per client, too.
OWN_CLIENT = "resolver"
# RFC 8767 section 5: one to three days of expired data; no more than the maximum TTL.
STALE_S_MAX = TTL_MAX_S
Finish = Callable[[], Awaitable[None]]


@cache
def parser() -> argparse.ArgumentParser:
    """Return the argument parser for the command line of this program."""
    flags = argparse.ArgumentParser(
        prog="python -m lab7.services.dns.resolver", description="Resolve names for clients."
    )
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
        "--serve-stale",
        type=integer(0, STALE_S_MAX),
        default=0,
        metavar="SECONDS",
        help="answer with data that expired up to SECONDS ago if its servers are unreachable (RFC 8767; default: 0, "
        "never; 86400 is usual)",
    )
    flags.add_argument(
        "--client-subnet",
        type=prefix_lengths,
        metavar="BITS[,BITS6]",
        help="send client subnets of this prefix length, and cache answers by network (RFC 7871; default: off)",
    )
    _add_validation_flags(flags)
    flags.add_argument(
        "--prime",
        action="store_true",
        help="priming: at start, query a root server of the hints for the root's NS set (RFC 8109)",
    )
    add_fault_flag(flags, RESOLVER_FAULTS)
    add_encryption_flags(flags)
    add_edns_flags(flags)
    add_common_flags(flags, DNS_PORT)
    return flags


def _add_validation_flags(flags: argparse.ArgumentParser) -> None:
    flags.add_argument(
        "--trust-anchor",
        action="append",
        default=[],
        metavar="RECORD",
        help="validate (DNSSEC) from this DS or DNSKEY record on, such as '. DS 20326 8 2 E06D...' (repeatable; "
        "default: no validation)",
    )
    flags.add_argument(
        "--trust-anchor-file", action="append", default=[], metavar="FILE", help="file of trust anchors (repeatable)"
    )
    flags.add_argument(
        "--negative-trust-anchor",
        action="append",
        default=[],
        type=domain_name,
        metavar="NAME",
        help="do not validate this name and the names below, whose zone is signed wrongly (RFC 7646; repeatable)",
    )
    flags.add_argument(
        "--aggressive-nsec",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="with a trust anchor: answer for names that validated NSEC or NSEC3 records deny without a query "
        "(RFC 8198; default: yes)",
    )


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
    """Return a scheduler with empty caches and the settings in the command-line options; raises ServiceError."""
    policy = getattr(options, "client_subnet", None)
    context = ResolverContext(
        roots=roots,
        cache=Cache(ENTRIES_MAX if caching else 0, stale_s=getattr(options, "serve_stale", 0)),
        infra_cache=InfraCache(shell.random),
        random=shell.random,
        minimise=getattr(options, "qname_minimisation", False),
        randomise_case=options.case_randomisation,
        ecs_cache=None if policy is None else ECSCache(policy, QUESTIONS_MAX if caching else 0),
        upstream_addresses=upstream_addresses(options, roots),
    )
    anchors = trust_anchors(getattr(options, "trust_anchor", ()), getattr(options, "trust_anchor_file", ()))
    if anchors:
        require_library()
        denials = DenialCache(RECORDS_MAX if caching and getattr(options, "aggressive_nsec", True) else 0)
        negative = frozenset(getattr(options, "negative_trust_anchor", ()))
        security = SecurityContext(anchors, shell.wall_clock, negative_anchors=negative, denials=denials)
        context = context.secured(security)
    else:
        context = context.passing_signatures(shell.wall_clock)
    source = options.outgoing or ""
    upstream = Upstream(shell.loop, shell.random, shell.log, options.upstream_port, source, shell.addresses)
    await upstream.check_source()
    return Scheduler(context, upstream, shell.loop.time)


def stop_all(server: DNSServer, *schedulers: Scheduler, encrypted: Finish | None = None) -> Finish:
    """Return an asynchronous function that stops the DNS server, its schedulers, and DoT and DoH (`encrypted`)."""

    async def finish() -> None:
        if encrypted is not None:
            await encrypted()
        await asyncio.gather(server.stop(), *(scheduler.stop() for scheduler in schedulers))

    return finish


def upstream_addresses(options: argparse.Namespace, roots: Delegation) -> UpstreamAddresses:
    """Return the filter for upstream addresses; it allows the addresses of root servers or forwarders."""
    configured = [address for addresses in roots.glue.values() for address in addresses]
    named = any(":" in address for address in configured)
    ipv6 = (named or has_ipv6()) if options.ipv6 is None else options.ipv6
    return UpstreamAddresses(options.may_query, configured, ipv6)


async def prime(scheduler: Scheduler) -> None:
    """Send a priming query, and replace the root hints by the response, if there is one (RFC 9609 section 3).

    The response has the root's own NS RRset and the addresses of its hosts.
    """
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
        roots, context = root_delegation(found), scheduler.context
        for one in (context, context.for_hosts, *context.variants.values()):
            one.roots = roots
            one.for_hosts.roots = roots


async def _resolve_own(scheduler: Scheduler, question: Question) -> Result:
    result = scheduler.resolve(question, OWN_CLIENT)
    result = result if isinstance(result, Result) else await result
    return result if result.rcode == Rcode.NOERROR else Result(result.rcode)


async def open_server(
    shell: Shell,
    scheduler: Scheduler,
    access: AccessList,
    caching: bool,
    codec: ServerCodec,
    faults: Collection[str] = (),
    variants: Mapping[tuple[bool, bool], Scheduler] | None = None,
) -> DNSServer:
    """Return a DNS server that listens on the addresses of `shell`, and answers queries by `scheduler`.

    `variants` has the schedulers for queries with DO or CD, keyed by the flags (DO, CD). `faults` are the deliberate
    faults of --fault.
    """
    resolvers = {flags: (one.context, one.resolve) for flags, one in (variants or {}).items()}
    handler = RecursionHandler(scheduler.context, scheduler.resolve, access, scheduler.now, resolvers)
    # The response cache does not distinguish clients, so it is disabled if client subnets are sent.
    cache = AgingResponseCache(AGING_RESPONSES_MAX if caching and scheduler.context.ecs_cache is None else 0)
    responder = Responder(handler, codec, on_error=lambda error: server.log_error(error))
    respond = RecursiveResponder(responder, access, scheduler.now, cache)
    server = DNSServer(FaultyResponder(respond, faults) if faults else respond, shell.log)
    await server.listen(shell)
    return server


async def open_encrypted(shell: Shell, options: argparse.Namespace, server: DNSServer) -> Finish | None:
    """Listen for DNS over TLS and HTTPS on --dot-port and --doh-port; return the function that stops the listeners.

    Returns None if neither option is given. Raises ServiceError.
    """
    if options.dot_port is None and options.doh_port is None:
        if options.tls is not None:
            raise ServiceError("--tls needs --dot-port or --doh-port")
        return None
    # Encrypted transports are imported only here, because a resolver without them needs no HTTP module.
    from lab7.services.dns.server.encrypted import listen_encrypted

    return await listen_encrypted(shell, options, server)


def main(argv: list[str] | None = None) -> int:
    """Run the resolver until SIGTERM; return its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        caching = not options.no_cache
        scheduler = await open_scheduler(shell, options, starting_delegation(options), caching)
        if options.prime and not options.forward:
            await prime(scheduler)
        variants = scheduler.variants()
        access = AccessList(options.allow or PRIVATE)
        codec = ServerCodec(options=edns_options(options, shell.wall_clock))
        server = await open_server(shell, scheduler, access, caching, codec, options.fault, variants)
        schedulers = {scheduler, *variants.values()}
        return stop_all(server, *schedulers, encrypted=await open_encrypted(shell, options, server))

    return run_service("resolver", options, start)


if __name__ == "__main__":
    sys.exit(main())
