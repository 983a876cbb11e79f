"""Request-routing name server of a CDN: answers by the client's region and by the replicas' health and load.

    $ python -m lab7.services.dns.cdn --zone cdn.net.zone --map regions --port 5353
    READY cdn 127.0.0.1:5353 [::1]:5353
    $ dig @127.0.0.1 -p 5353 www.cdn.net +subnet=10.8.1.0/24 +short
    10.8.1.10

A customer's zone refers to the CDN by an alias: `www CNAME www.cdn.net.`. The region map, a text file
(steering.region_map), lists the names, the client networks of the regions, and the replicas. Health checks request
--check-path from each replica over HTTP, and answers name only replicas that are up. READY is printed as soon as health
checks have found every replica up, at the latest after START_GRACE_S seconds. SIGHUP reloads zones and map; if one of
them is invalid, the old zones and map stay in use. Log events: `health` is a change of a replica's state, `tailored` an
answer by region.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lab7.services.dns.address_space import Address
from lab7.services.dns.codec.codes import DNS_PORT
from lab7.services.dns.flags import add_edns_flags, add_zone_flags, edns_options, zone_files
from lab7.services.dns.server.responder import Responder, ServerCodec
from lab7.services.dns.server.server import DNSServer
from lab7.services.dns.steering.handler import SteeringHandler, add_names
from lab7.services.dns.steering.health import CheckResult, HealthTable
from lab7.services.dns.steering.health_checker import HealthChecker, Probe
from lab7.services.dns.steering.placement import Placement
from lab7.services.dns.steering.region_map import RegionMap, RegionMapError, read_region_map
from lab7.services.dns.zones.handler import Authority
from lab7.services.dns.zones.loading import ZoneFiles
from lab7.services.dns.zones.zone import Zones
from lab7.services.errors import ServiceError
from lab7.services.flags import PORT_MAX, integer, seconds
from lab7.services.shell import Shell, add_common_flags, run_service

DEFAULT_CHECK_PATH = "/lab7-status"
# Default interval between health checks of a replica, in seconds: as in HAProxy.
DEFAULT_INTERVAL_S = 2.0
DEFAULT_TIMEOUT_S = 1.0
# Permitted values of --interval and --timeout in seconds: short values for experiments, up to an hour.
SECONDS_MIN, SECONDS_MAX = 0.05, 3600.0
FAILURES_MAX = 100


def _path(text: str) -> str:
    if not (text.startswith("/") and text.isascii() and text.isprintable() and " " not in text and "#" not in text):
        raise argparse.ArgumentTypeError(f"invalid path {text!r}: it must begin with / and have no spaces")
    return text


@cache
def parser() -> argparse.ArgumentParser:
    """Return the argument parser for the command line of this program."""
    flags = argparse.ArgumentParser(
        prog="python -m lab7.services.dns.cdn", description="Serve DNS zones, with answers by the client's region."
    )
    add_zone_flags(flags, lists=False)
    flags.add_argument(
        "--map",
        required=True,
        metavar="FILE",
        help="region map: file with the names that are answered by region, the regions and their replicas",
    )
    flags.add_argument(
        "--check-path",
        type=_path,
        default=DEFAULT_CHECK_PATH,
        metavar="PATH",
        help="path that health checks request by HTTP; the JSON response may report the load (default: %(default)s)",
    )
    flags.add_argument(
        "--check-port",
        type=integer(1, PORT_MAX),
        default=80,
        metavar="N",
        help="TCP port of the replicas for health checks (default: %(default)s)",
    )
    for flag, default, text in (
        ("--interval", DEFAULT_INTERVAL_S, "seconds between health checks of a replica"),
        ("--timeout", DEFAULT_TIMEOUT_S, "timeout of a health check in seconds"),
    ):
        flags.add_argument(
            flag,
            type=seconds(SECONDS_MIN, SECONDS_MAX),
            default=default,
            metavar="SECONDS",
            help=f"{text} (default: %(default)s)",
        )
    flags.add_argument(
        "--failures",
        type=integer(1, FAILURES_MAX),
        default=1,
        metavar="N",
        help="consecutive failed health checks after which a replica is down (default: 1)",
    )
    add_edns_flags(flags)
    add_common_flags(flags, DNS_PORT)
    return flags


class _Loaded(NamedTuple):
    zones: Zones
    regions: RegionMap

    @property
    def addresses(self) -> set[Address]:
        return {replica.address for replica in self.regions.replicas}


def _load(files: ZoneFiles, region_map: Path) -> _Loaded:
    """Load the zones and the region map, and add the map's domain names to the zones; raises ServiceError."""
    zones = files.load()
    try:
        regions = read_region_map(region_map)
        add_names(zones, regions)
    except RegionMapError as error:
        raise ServiceError(str(error)) from error
    return _Loaded(zones, regions)


class _NameServer:
    """DNS server of a CDN, with a health checker for the replicas (web servers).

    A reload replaces the zones, the region map and the request handler.
    """

    def __init__(self, shell: Shell, options: argparse.Namespace) -> None:
        self._shell = shell
        self._files = zone_files("cdn", options, shell.log)
        self._codec = ServerCodec(options=edns_options(options, shell.wall_clock))
        self._map = Path(options.map)
        self._health = HealthTable(failures_max=options.failures)
        probe = Probe(options.check_path, options.check_port, options.interval, options.timeout)
        self._checker = HealthChecker(shell.loop, probe, self._checked)
        self._reload_task: asyncio.Task[None] | None = None
        self._reload_requested = False
        self.server: DNSServer

    async def start(self) -> None:
        """Start the health checks; once each replica is up, or after START_GRACE_S seconds, listen for queries."""
        loaded = _load(self._files, self._map)
        await self._start_checks(loaded)
        self.server = DNSServer(self._responder(loaded), self._shell.log)
        await self.server.listen(self._shell)
        self._shell.on_hangup(self._request_reload)

    async def stop(self) -> None:
        """Stop the DNS server, the health checks and a reload in progress."""
        if self._reload_task is not None:
            self._reload_task.cancel()
            await asyncio.gather(self._reload_task, return_exceptions=True)
        await asyncio.gather(self._checker.stop(), self.server.stop())

    def _request_reload(self) -> None:
        # Reloads do not overlap; SIGHUP during a reload requests another one, because files may have changed again.
        self._reload_requested = True
        if self._reload_task is None or self._reload_task.done():
            self._reload_task = self._shell.loop.create_task(self._reload())

    async def _reload(self) -> None:
        while self._reload_requested:
            self._reload_requested = False
            try:
                loaded = _load(self._files, self._map)
            except ServiceError as error:
                self._shell.log.write("reload_failed", reason=str(error))
                continue
            # New replicas are checked before the new map is used, so that a region of new replicas has one that is up.
            await self._start_checks(loaded)
            self.server.respond = self._responder(loaded)
            await self._checker.retain(loaded.addresses)
            self._health.retain(loaded.addresses)
            self._shell.log.write("reloaded")

    async def _start_checks(self, loaded: _Loaded) -> None:
        self._health.add(loaded.addresses)
        await self._checker.add(loaded.addresses)

    def _responder(self, loaded: _Loaded) -> Responder:
        placement = Placement(loaded.regions, self._health)
        handler = SteeringHandler(Authority(loaded.zones), loaded.regions, placement, self._log_answer)
        return Responder(handler, self._codec, on_error=lambda error: self.server.log_error(error))

    def _checked(self, address: Address, result: CheckResult) -> None:
        change = self._health.update(address, result)
        if change is not None:
            self._shell.log.write("health", replica=str(address), state=change.state.value, reason=change.detail)

    def _log_answer(self, fields: dict[str, object]) -> None:
        self._shell.log.write("tailored", **fields)


def main(argv: list[str] | None = None) -> int:
    """Run the name server until SIGTERM; return its exit status."""
    options = parser().parse_args(argv)

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        server = _NameServer(shell, options)
        await server.start()
        return server.stop

    return run_service("cdn", options, start)


if __name__ == "__main__":
    sys.exit(main())
