"""An authoritative name server for zones in master files.

    $ python -m services.dns.authoritative --zone example.com.zone --port 5353
    READY dns 127.0.0.1:5353 [::1]:5353
    $ dig @127.0.0.1 -p 5353 www.example.com

SIGHUP has the server read its zones again; one that is wrong changes nothing. With --processes each process answers
what the kernel gives it (SO_REUSEPORT), from zones of its own.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network, IPv6Network, ip_network

from services.dns.codec.edns import UDP_SIZE_DEFAULT, UDP_SIZE_MIN
from services.dns.server.server import DNSServer
from services.dns.server.workers import Siblings
from services.dns.zones.handler import Authority
from services.dns.zones.loading import load_zones
from services.dns.zones.response_cache import AuthoritativeResponder
from services.dns.zones.transfer import Transfers
from services.errors import ServiceError
from services.shell import Shell, add_common_flags, run_service

DEFAULT_PORT = 53
# RFC 6891 section 6.2.5 begins at 4096, which fragments on most paths.
UDP_SIZE_CEILING = 4096


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no address and no network") from error


def _udp_size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and UDP_SIZE_MIN <= int(text) <= UDP_SIZE_CEILING):
        raise argparse.ArgumentTypeError(f"{text!r} is no size from {UDP_SIZE_MIN} to {UDP_SIZE_CEILING}")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 64):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of processes from 1 to 64")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m services.dns.authoritative", description="Serve DNS zones.")
    _add_zone_flags(made)
    made.add_argument(
        "--rotate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="begin a set of addresses one address further on in each answer (default: yes)",
    )
    made.add_argument(
        "--udp-size",
        type=_udp_size,
        default=UDP_SIZE_DEFAULT,
        metavar="OCTETS",
        help="longest answer in a datagram, for clients that take it (default: %(default)s)",
    )
    made.add_argument(
        "--processes", type=_count, default=1, metavar="N", help="processes that share the port (default: 1)"
    )
    add_common_flags(made, DEFAULT_PORT)
    return made


def _add_zone_flags(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--zone",
        action="append",
        default=[],
        metavar="[ORIGIN=]FILE",
        help="a zone's master file; its origin is the SOA's owner; may be given more than once",
    )
    made.add_argument(
        "--zones",
        action="append",
        default=[],
        metavar="LIST",
        help="a file with a line `origin<TAB>file` for each zone",
    )
    made.add_argument(
        "--allow-transfer",
        action="append",
        default=[],
        type=_network,
        metavar="ADDRESS",
        help="an address or network that may have whole zones (default: none)",
    )


def main(argv: list[str] | None = None) -> int:
    """Run the server until SIGTERM; returns its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    options = parser().parse_args(arguments)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        if not options.zone and not options.zones:
            raise ServiceError("no zone is given: name one with --zone FILE")
        zones = load_zones(options.zone, options.zones)
        respond = AuthoritativeResponder(Authority(zones), options.udp_size, options.rotate)
        server = DNSServer(respond, shell.log, Transfers(zones, options.allow_transfer), respond.cached)
        siblings = Siblings(options.processes, arguments)
        shell.reuse_port = siblings.share

        def reload() -> None:
            try:
                fresh = load_zones(options.zone, options.zones)
            except ServiceError as error:
                # What was served goes on being served: a slip in a file takes nobody's names away.
                shell.log.write("reload_failed", reason=str(error))
                return
            respond = AuthoritativeResponder(Authority(fresh), options.udp_size, options.rotate)
            server.respond, server.shortcut = respond, respond.cached
            server.transfer = Transfers(fresh, options.allow_transfer)
            siblings.hang_up()
            shell.log.write("reloaded")

        shell.on_hangup(reload)
        await shell.open_tcp(server.stream_protocol, connections=server.connections)
        await shell.open_udp(server.datagram_protocol)
        await siblings.start(shell.port)

        async def finish() -> None:
            await siblings.stop()
            await server.stop()

        return finish

    return run_service("dns", options, start)


if __name__ == "__main__":
    sys.exit(main())
