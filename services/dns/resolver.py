"""A resolver: the local server that asks root, TLD and authoritative servers in turn for its clients, and remembers.

    $ python -m services.dns.resolver --root a.root.test=127.0.1.1 --port 5353
    READY resolver 127.0.0.1:5353 [::1]:5353
    $ python -m services.dns.stub www.example.com @127.0.0.1 --port 5353

With --forward it asks those servers only, and they do the work. With --no-cache every question goes all the way, which
is what a cache is compared with. RFC 1034 section 5, RFC 1035 section 7, RFC 7766, RFC 6891; what is done and left out
stands in services.dns.recursion.resolution, .cache and .upstream.

With --client-subnet 24 it tells servers below the top-level domains which /24 a client is in (RFC 7871), so that one
that answers by region can, and keeps such answers apart by the networks they are for. The networks of a lab are
private ones, which a resolver on the Internet would keep to itself (section 11.3); here they are told as they are.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

from services.dns.codec.client_subnet import PREFIX6_RECOMMENDED, SubnetPolicy
from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.name import ROOT, Name
from services.dns.codec.rdata import NS
from services.dns.codec.records import Question
from services.dns.recursion.cache import ENTRIES_MAX, Cache
from services.dns.recursion.context import Knowledge
from services.dns.recursion.delegation import (
    Delegation,
    Service,
    addresses_of,
    named_roots,
    root_delegation,
    roots_from_file,
)
from services.dns.recursion.ecs_cache import QUESTIONS_MAX, ScopedCache
from services.dns.recursion.handler import Recursion, RecursiveResponder
from services.dns.recursion.infra_cache import ServerTable
from services.dns.recursion.resolution import Result
from services.dns.recursion.response_cache import RESPONSES_MAX, ReadyAnswers
from services.dns.recursion.scheduler import Resolving
from services.dns.recursion.transport import DNS_PORT, Upstream
from services.dns.server.access import PRIVATE, Access, Network
from services.dns.server.responder import Responder
from services.dns.server.server import DNSServer
from services.errors import ServiceError
from services.shell import Shell, add_common_flags, run_service

# Who asks on the resolver's own behalf, in the account of clients.
ITSELF = "itself"


def network(text: str) -> Network:
    """Read the argument of --allow."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address and no network") from error


def address(text: str) -> str:
    """Read an argument that is an address."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address") from error


def port(text: str) -> int:
    """Read an argument that is a port to send to."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


def prefixes(text: str) -> SubnetPolicy:
    """Read the argument of --client-subnet: bits of an IPv4 address, and after a comma those of an IPv6 address."""
    words = text.split(",") if "," in text else [text, str(PREFIX6_RECOMMENDED)]
    if len(words) == 2 and all(word.isascii() and word.isdigit() and len(word) <= 3 for word in words):
        prefix4, prefix6 = map(int, words)
        if 1 <= prefix4 <= 32 and 1 <= prefix6 <= 128:
            return SubnetPolicy(prefix4, prefix6)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a number of bits from 1 to 32 nor two, such as 24,56")


def add_upstream_flags(made: argparse.ArgumentParser) -> None:
    """Add what every service takes that asks other servers."""
    made.add_argument(
        "--root", action="append", default=[], metavar="NAME=ADDRESS", help="a server of the root; may be given again"
    )
    made.add_argument("--root-hints", metavar="FILE", help="a file with NS and A records of the root's servers")
    made.add_argument("--outgoing", type=address, metavar="ADDRESS", help="address that queries leave from")
    made.add_argument(
        "--upstream-port", type=port, default=DNS_PORT, metavar="N", help="port of the servers (default: %(default)s)"
    )
    made.add_argument(
        "--allow", action="append", type=network, metavar="NETWORK", help="who may ask (default: private networks)"
    )
    made.add_argument(
        "--case-randomisation",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="ask in random upper and lower case, which a forger would have to guess (default: yes)",
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m services.dns.resolver", description="Resolve names for clients.")
    add_upstream_flags(made)
    made.add_argument(
        "--forward",
        action="append",
        default=[],
        type=address,
        metavar="ADDRESS",
        help="ask this server for everything, and nobody else; may be given again",
    )
    made.add_argument("--no-cache", action="store_true", help="remember nothing: every question goes all the way")
    made.add_argument(
        "--qname-minimisation", action="store_true", help="show each server only as much of the name as it must see"
    )
    made.add_argument(
        "--client-subnet",
        type=prefixes,
        metavar="BITS[,BITS6]",
        help="tell servers so many bits of a client's address, and keep answers apart by them (default: tell nothing)",
    )
    made.add_argument("--prime", action="store_true", help="ask the root for its servers before the first question")
    add_common_flags(made, DNS_PORT)
    return made


def given_roots(options: argparse.Namespace) -> Delegation:
    """Return the root's servers as --root and --root-hints say; raises ServiceError."""
    if options.root and options.root_hints is not None:
        raise ServiceError("the root is given twice: take either --root or --root-hints")
    return named_roots(options.root) if options.root_hints is None else roots_from_file(Path(options.root_hints))


def beginning(options: argparse.Namespace) -> Delegation:
    """Return whom every resolution starts from; raises ServiceError."""
    roots = given_roots(options)
    if not options.forward:
        if not roots.hosts:
            raise ServiceError("there is nobody to ask: name a server of the root with --root NAME=ADDRESS")
        return roots
    if roots.hosts:
        raise ServiceError("--forward asks nobody else: leave out --root and --root-hints")
    return root_delegation({Name((b"forwarder",)): tuple(options.forward)}, Service.FORWARDER)


def knowledge(shell: Shell, options: argparse.Namespace, roots: Delegation, remembers: bool) -> Knowledge:
    """Return what a resolver knows at its start."""
    policy = getattr(options, "client_subnet", None)
    return Knowledge(
        roots=roots,
        cache=Cache(ENTRIES_MAX if remembers else 0),
        servers=ServerTable(shell.random),
        random=shell.random,
        minimise=getattr(options, "qname_minimisation", False),
        randomise_case=options.case_randomisation,
        scoped=None if policy is None else ScopedCache(policy, QUESTIONS_MAX if remembers else 0),
    )


async def prime(resolving: Resolving) -> None:
    """RFC 8109 section 3: replace the hints by what the root says of itself, if it can be asked."""
    answer = await _own(resolving, Question(ROOT, RRType.NS))
    hosts = [data.target for rrset in answer.answers for data in rrset.rdatas if isinstance(data, NS)]
    found: dict[Name, tuple[str, ...]] = {}
    for host in hosts:
        for rrset in (await _own(resolving, Question(host, RRType.A))).answers:
            found[host] = addresses_of(rrset)
    if found:
        resolving.known.roots = root_delegation(found)


async def _own(resolving: Resolving, question: Question) -> Result:
    result = resolving.resolve(question, ITSELF)
    result = result if isinstance(result, Result) else await result
    return result if result.rcode == Rcode.NOERROR else Result(result.rcode)


async def open_server(shell: Shell, resolving: Resolving, access: Access, remembers: bool) -> DNSServer:
    """Listen on the shell's addresses and answer from `resolving`."""
    recursion = Recursion(resolving.known, resolving.resolve, access, resolving.now)
    # Ready answers do not look at who asks.
    ready = ReadyAnswers(RESPONSES_MAX if remembers and resolving.known.scoped is None else 0)
    responder = Responder(recursion, failed=lambda error: server.failed(error))
    server = DNSServer(RecursiveResponder(responder, access, resolving.now, ready), shell.log)
    await shell.open_tcp(server.stream_protocol, connections=server.connections)
    await shell.open_udp(server.datagram_protocol)
    return server


def main(argv: list[str] | None = None) -> int:
    """Run the resolver until SIGTERM; returns its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        remembers = not options.no_cache
        known = knowledge(shell, options, beginning(options), remembers)
        upstream = Upstream(shell.loop, shell.random, shell.log, options.upstream_port, options.outgoing or "")
        await upstream.check_source()
        resolving = Resolving(known, upstream, shell.loop.time)
        if options.prime and not options.forward:
            await prime(resolving)
        server = await open_server(shell, resolving, Access(options.allow or PRIVATE), remembers)

        async def finish() -> None:
            await asyncio.gather(server.stop(), resolving.stop())

        return finish

    return run_service("resolver", options, start)


if __name__ == "__main__":
    sys.exit(main())
