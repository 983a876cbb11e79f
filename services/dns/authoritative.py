"""Authoritative name server for zones in master files.

    $ python -m lab7.services.dns.authoritative --zone example.com.zone --port 5353
    READY dns 127.0.0.1:5353 [::1]:5353
    $ dig @127.0.0.1 -p 5353 www.example.com

A zone that cannot be loaded does not prevent the other zones from being served; the server exits if no zone can be
loaded. SIGHUP reloads the zones; if the new version of a zone is invalid, the old version is still served. With
--processes, worker processes share the port (SO_REUSEPORT), each with its own copy of the zones. With --sign-keys or
--sign-seed, the server signs the zones when it loads them, and again whenever a third of the validity period of their
signatures is over; zones signed elsewhere are served as they are.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import cache

from lab7.services.dns.codec.codes import DNS_PORT
from lab7.services.dns.codec.message import UDP_SIZE_DEFAULT, UDP_SIZE_MIN
from lab7.services.dns.faults import AUTHORITATIVE_FAULTS, FaultyResponder
from lab7.services.dns.flags import add_edns_flags, add_signing_flags, add_zone_flags, edns_options, zone_files
from lab7.services.dns.server.responder import ServerCodec
from lab7.services.dns.server.server import DNSServer
from lab7.services.dns.server.tsig import tsig_keys
from lab7.services.dns.zones.handler import AuthoritativeResponder, Authority, MinimalResponses
from lab7.services.dns.zones.signing import RESIGN_S, zone_signer
from lab7.services.dns.zones.transfer import Transfers
from lab7.services.dns.zones.zone import Zones
from lab7.services.errors import ServiceError
from lab7.services.faults import add_fault_flag
from lab7.services.flags import integer, network
from lab7.services.shell import Shell, add_common_flags, run_service
from lab7.services.workers import WorkerProcesses, add_processes_flag

# Default maximum UDP response size in octets (RFC 6891 section 6.2.5); larger responses fragment on most paths.
UDP_SIZE_MAX = 4096


@cache
def parser() -> argparse.ArgumentParser:
    """Return the argument parser for the command line of this program."""
    flags = argparse.ArgumentParser(prog="python -m lab7.services.dns.authoritative", description="Serve DNS zones.")
    add_zone_flags(flags)
    flags.add_argument(
        "--allow-transfer",
        action="append",
        default=[],
        type=network,
        metavar="ADDRESS",
        help="address or network allowed to transfer zones (repeatable; default: none)",
    )
    flags.add_argument(
        "--tsig-key-file",
        action="append",
        default=[],
        metavar="FILE",
        help="file with a TSIG key as tsig-keygen writes it: clients that sign with it may transfer zones (repeatable)",
    )
    flags.add_argument(
        "--rotate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="rotate the order of a name's addresses from response to response (default: yes)",
    )
    flags.add_argument(
        "--minimal-responses",
        choices=[mode.value for mode in MinimalResponses],
        default=MinimalResponses.NO_AUTH_RECURSIVE.value,
        help="records to leave out, as BIND's minimal-responses does: yes, all optional ones; no; no-auth, the NS "
        "set in positive answers; no-auth-recursive, the same for queries with RD (default: %(default)s)",
    )
    flags.add_argument(
        "--udp-size",
        type=integer(UDP_SIZE_MIN, UDP_SIZE_MAX),
        default=UDP_SIZE_DEFAULT,
        metavar="OCTETS",
        help="maximum size of a UDP response with EDNS (default: %(default)s)",
    )
    add_processes_flag(flags)
    add_fault_flag(flags, AUTHORITATIVE_FAULTS)
    add_signing_flags(flags)
    add_edns_flags(flags)
    add_common_flags(flags, DNS_PORT)
    return flags


class Periodic:
    """Timer that calls `act` every `period_s` seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float, act: Callable[[], None]) -> None:
        self._loop = loop
        self._period_s = period_s
        self._act = act
        self._timer = loop.call_later(period_s, self._run)

    def _run(self) -> None:
        self._timer = self._loop.call_later(self._period_s, self._run)
        self._act()

    def cancel(self) -> None:
        """Stop the periodic calls of `act`."""
        self._timer.cancel()


def main(argv: list[str] | None = None) -> int:
    """Run the server until SIGTERM; return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    options = parser().parse_args(arguments)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        signing = zone_signer(options, shell.wall_clock)
        keys = tsig_keys(options.tsig_key_file)
        codec = ServerCodec(options.udp_size, edns_options(options, shell.wall_clock), keys, shell.wall_clock)
        files = zone_files("dns", options, shell.log, signing)

        def responder(zones: Zones, transfers: Transfers) -> AuthoritativeResponder | FaultyResponder:
            authority = Authority(zones, MinimalResponses(options.minimal_responses))
            correct = AuthoritativeResponder(authority, codec, options.rotate, transfers=transfers)
            return FaultyResponder(correct, options.fault) if options.fault else correct

        zones = files.load()
        transfers = Transfers(zones, options.allow_transfer)
        respond = responder(zones, transfers)
        server = DNSServer(respond, shell.log, transfers, respond.cached, codec=codec)
        workers = WorkerProcesses("lab7.services.dns.authoritative", options.processes, arguments)
        shell.reuse_port = workers.reuse_port

        def reload() -> None:
            try:
                zones = files.load()
            except ServiceError as error:
                # After a failed reload the old zones are still served: an error in a list must not cause an outage.
                shell.log.write("reload_failed", reason=str(error))
                return
            server.transfer = transfers = Transfers(zones, options.allow_transfer)
            respond = responder(zones, transfers)
            server.respond, server.fast_path = respond, respond.cached
            workers.reload()
            shell.log.write("reloaded")

        shell.on_hangup(reload)
        resigning = Periodic(shell.loop, RESIGN_S, reload) if signing is not None else None
        await server.listen(shell)
        await workers.start(shell.port)

        async def finish() -> None:
            if resigning is not None:
                resigning.cancel()
            await workers.stop()
            await server.stop()

        return finish

    return run_service("dns", options, start)


if __name__ == "__main__":
    sys.exit(main())
