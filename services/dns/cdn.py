"""The name server of a CDN: answers some names of its zone by the asker's region, by load and by health.

    $ python -m services.dns.cdn --zone cdn.net.zone --map regions --port 5353
    READY cdn 127.0.0.1:5353 [::1]:5353
    $ dig @127.0.0.1 -p 5353 www.cdn.net +subnet=10.8.1.0/24 +short
    10.8.1.10

A provider's own zone leads there by an alias: `www CNAME www.cdn.net.`. The map (steering.region_map) says which
replicas there are; each is asked for --check-path over HTTP, and only those that answer are named. It says READY when
each replica has answered or had its time to start. SIGHUP has it read zones and map again; what is wrong changes
nothing. In the log `health` is a replica taken in or out, `tailored` an answer that was chosen.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from services.dns.address_space import Address
from services.dns.server.responder import Responder
from services.dns.server.server import DNSServer
from services.dns.steering.handler import TailoringAuthority, add_names
from services.dns.steering.health import HealthTable, Report
from services.dns.steering.health_checker import Checker, Probe
from services.dns.steering.placement import Placement
from services.dns.steering.region_map import RegionMap, RegionMapError, read_region_map
from services.dns.zones.handler import Authority
from services.dns.zones.loading import load_zones
from services.dns.zones.zone import Zones
from services.errors import ServiceError
from services.shell import Shell, add_common_flags, run_service

DEFAULT_PORT = 53
DEFAULT_CHECK_PATH = "/lab7-status"
# HAProxy checks every 2 s.
DEFAULT_INTERVAL_S = 2.0
DEFAULT_TIMEOUT_S = 1.0
# From as often as a lab can want to as rarely as is still a check.
SECONDS_MIN, SECONDS_MAX = 0.05, 3600.0
FAILURES_MAX = 100


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if SECONDS_MIN <= float(text) <= SECONDS_MAX:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from {SECONDS_MIN} to {SECONDS_MAX:.0f}")


def _failures(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= FAILURES_MAX):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of failures from 1 to {FAILURES_MAX}")
    return int(text)


def _check_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


def _path(text: str) -> str:
    if not (text.startswith("/") and text.isascii() and text.isprintable() and " " not in text and "#" not in text):
        raise argparse.ArgumentTypeError(f"{text!r} is no path: it begins with / and has no spaces")
    return text


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(prog="python -m services.dns.cdn", description="Answer names by the asker's region.")
    made.add_argument(
        "--zone", action="append", default=[], metavar="[ORIGIN=]FILE", help="a zone's master file; may be given again"
    )
    made.add_argument("--map", required=True, metavar="FILE", help="names, regions and replicas")
    made.add_argument(
        "--check-path",
        type=_path,
        default=DEFAULT_CHECK_PATH,
        metavar="PATH",
        help="what each replica is asked for; it may tell its load in JSON (default: %(default)s)",
    )
    made.add_argument(
        "--check-port", type=_check_port, default=80, metavar="N", help="port of the replicas (default: %(default)s)"
    )
    for flag, default, what in (
        ("--interval", DEFAULT_INTERVAL_S, "from the beginning of one check of a replica to the next"),
        ("--timeout", DEFAULT_TIMEOUT_S, "that a check may take"),
    ):
        made.add_argument(
            flag, type=_seconds, default=default, metavar="SECONDS", help=f"seconds {what} (default: %(default)s)"
        )
    made.add_argument(
        "--failures",
        type=_failures,
        default=1,
        metavar="N",
        help="failures in a row that take a replica out (default: 1)",
    )
    add_common_flags(made, DEFAULT_PORT)
    return made


class _Loaded(NamedTuple):
    zones: Zones
    regions: RegionMap

    @property
    def addresses(self) -> set[Address]:
        return {replica.address for replica in self.regions.replicas}


def _load(options: argparse.Namespace) -> _Loaded:
    """Read the files that the flags name; raises ServiceError."""
    if not options.zone:
        raise ServiceError("no zone is given: name one with --zone FILE")
    zones = load_zones(options.zone, ())
    try:
        regions = read_region_map(Path(options.map))
        add_names(zones, regions)
    except RegionMapError as error:
        raise ServiceError(str(error)) from error
    return _Loaded(zones, regions)


class _NameServer:
    """The server's parts, which a reload takes apart and puts together again."""

    def __init__(self, shell: Shell, options: argparse.Namespace) -> None:
        self._shell = shell
        self._options = options
        self._health = HealthTable(failures_max=options.failures)
        probe = Probe(options.check_path, options.check_port, options.interval, options.timeout)
        self._checker = Checker(shell.loop, probe, self._noted)
        self._reloading: asyncio.Task[None] | None = None
        self._again = False
        self.server: DNSServer

    async def start(self) -> None:
        """Check each replica once, then listen."""
        loaded = _load(self._options)
        await self._begin_checks(loaded)
        self.server = DNSServer(self._responder(loaded), self._shell.log)
        await self._shell.open_tcp(self.server.stream_protocol, connections=self.server.connections)
        await self._shell.open_udp(self.server.datagram_protocol)
        self._shell.on_hangup(self._hang_up)

    async def stop(self) -> None:
        """End all that is under way."""
        if self._reloading is not None:
            self._reloading.cancel()
            await asyncio.gather(self._reloading, return_exceptions=True)
        await asyncio.gather(self._checker.stop(), self.server.stop())

    def _hang_up(self) -> None:
        # One reload at a time; a signal that comes during it may mean files that it has read already.
        self._again = True
        if self._reloading is None or self._reloading.done():
            self._reloading = self._shell.loop.create_task(self._reload())

    async def _reload(self) -> None:
        while self._again:
            self._again = False
            try:
                loaded = _load(self._options)
            except ServiceError as error:
                self._shell.log.write("reload_failed", reason=str(error))
                continue
            # Replicas that are new are checked before they count, so that their regions are not without any.
            await self._begin_checks(loaded)
            self.server.respond = self._responder(loaded)
            await self._checker.keep(loaded.addresses)
            self._health.keep(loaded.addresses)
            self._shell.log.write("reloaded")

    async def _begin_checks(self, loaded: _Loaded) -> None:
        self._health.add(loaded.addresses)
        await self._checker.follow(loaded.addresses)

    def _responder(self, loaded: _Loaded) -> Responder:
        placement = Placement(loaded.regions, self._health)
        handler = TailoringAuthority(Authority(loaded.zones), loaded.regions, placement, self._answered)
        return Responder(handler, failed=lambda error: self.server.failed(error))

    def _noted(self, address: Address, report: Report) -> None:
        change = self._health.note(address, report)
        if change is not None:
            self._shell.log.write("health", replica=str(address), state=change.state.value, reason=change.detail)

    def _answered(self, values: dict[str, object]) -> None:
        self._shell.log.write("tailored", **values)


def main(argv: list[str] | None = None) -> int:
    """Run the name server until SIGTERM; returns its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        server = _NameServer(shell, options)
        await server.start()
        return server.stop

    return run_service("cdn", options, start)


if __name__ == "__main__":
    sys.exit(main())
