"""Emulated network of the CDN experiments, simulated users, and BIND or gdnsd as the CDN's name server."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab7.experiments.dns.lab import DnsClient
from lab7.experiments.harness.driver import Driver, DriverError, window_of
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT, Implementation, server_starter
from lab7.experiments.harness.measurement import Window, make_testbed
from lab7.topologies.cdn import (
    ALIAS,
    NAME,
    ORIGIN,
    ORIGIN_LEG_MS,
    PREFIX,
    REGIONS,
    SERVERS,
    STATUS_PATH,
    CdnPlan,
    CdnTopo,
    host_name,
    local_address,
    replica_address,
)
from lab7.topologies.dns_zones import NamePlan, Record, Zone
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.program import Program
from lab7.topologies.emulation.testbed import Starter, Testbed

# Configuration files of BIND and gdnsd, which can replace lab7's name server of the CDN.

ADDRESS, SERVER, ZONE = SERVERS["ns-cdn"]


def name_server_starter(implementation: Implementation, plan: CdnPlan) -> Starter:
    """Return a function that starts a name server program on a host, with one zone file per region."""
    start = server_starter(implementation, lambda _host: _values(plan))

    def start_with_zones(host: Host) -> Program:
        for region in REGIONS:
            (host.workdir / _file(region)).write_text(_master_file(plan, region))
        started = start(host)
        if not isinstance(started, Program):
            raise TypeError(f"{implementation.name} is not a program")
        return started

    return start_with_zones


def _values(plan: CdnPlan) -> dict[str, Any]:
    """Return the values for the configuration templates of the CDN's name server (BIND or gdnsd).

    - `zone`, `server`, `own_address`: the CDN's zone, the name of its name server, and the address of this server
    - `alias`: the name that resolves to another replica in each region, relative to the zone
    - `ttl`, `interval`: TTL of answers and interval of health checks in s; `check_path`: URL path of the checks
    - `origin`: address of the origin, used if all replicas have failed
    - `regions`: for each region its name, network, replicas, other regions in the order of fall-back, and zone file
    """
    names = list(REGIONS)
    return {
        "zone": ZONE,
        "server": SERVER,
        "own_address": ADDRESS,
        "alias": ALIAS.removesuffix("." + ZONE),
        "ttl": plan.ttl,
        "interval": plan.interval_s,
        "check_path": STATUS_PATH,
        "origin": ORIGIN,
        "regions": [
            {
                "name": name,
                "network": f"{PREFIX}.{number}.0/24",
                "replicas": _replicas(plan, name),
                "others": [*names[place + 1 :], *names[:place]],
                "file": _file(name),
            }
            for place, (name, (number, _)) in enumerate(REGIONS.items())
        ],
    }


def _replicas(plan: CdnPlan, region: str) -> list[str]:
    return [replica_address(region, each) for each in range(plan.replicas)]


def _file(region: str) -> str:
    return f"{region}.zone"


def _master_file(plan: CdnPlan, region: str) -> str:
    """Return the CDN's zone as a master file (RFC 1035 section 5), with the replica addresses of one region."""
    records = tuple(Record(ALIAS, "A", address, plan.ttl) for address in _replicas(plan, region))
    return NamePlan("cdn", {SERVER: [ADDRESS]}, [Zone(ZONE, (SERVER,), records)]).master_file(ZONE)


USER = "lab7.experiments.cdn.driver"
VISITOR = "lab7.experiments.http.drivers.visitor"
SITE = NAME.rstrip(".")
ROLES = ("replica", "cdn-dns")
OURS: Mapping[str, str] = {"replica": "lab7.services.http.proxy", "cdn-dns": "lab7.services.dns.cdn"}
POLL_S = 0.1
# Time-out of a user's request in s, in addition to the planned duration.
PATIENCE_S = 60.0


class UserFailedError(EmulationError):
    """Failure of a simulated user's request; the message contains the error output of the client program."""


class User:
    """Client program on one host, which simulates all users on that host (see lab7.experiments.cdn.driver)."""

    def __init__(self, bed: Testbed, host: str) -> None:
        self._host = host
        self._driver = Driver(bed.host(host), [USER, SITE])

    def begin(self, **request: Any) -> None:
        """Send a command to the client program, and return without waiting for its end (see done())."""
        self._driver.send(request)

    def done(self, lasts_s: float = 0.0) -> Window:
        """Wait for the end of the latest command, which lasts `lasts_s` seconds; return the command's time span.

        Raises UserFailedError.
        """
        try:
            return window_of(self._driver.receive(lasts_s + PATIENCE_S))
        except DriverError as error:
            raise UserFailedError(f"{self._host} failed to load its object: {error}") from error

    def visit(self, paths: Sequence[str]) -> Window:
        """Resolve the site's name and request these paths over one connection; return the time span in ns.

        Raises UserFailedError.
        """
        self.begin(visit=list(paths))
        return self.done()


def cdn_testbed(context: Run, folder: Path, **topology_parameters: Any) -> Testbed:
    """Return the emulated CDN network; other programs may replace lab7's replicas and name server.

    The origin serves `folder`. A status page is added for the health checks of third-party replicas, which fetch it
    from the origin like any object.
    """
    (folder / STATUS_PATH.lstrip("/")).write_text("{}\n")
    topo = CdnTopo(root=str(folder), **topology_parameters)
    starters: dict[str, Starter] = {}
    replica, server = (context.replacements.get(role) for role in ROLES)
    if replica is not None:
        stands = {"mode": "reverse", "origin": f"http://{ORIGIN}:{DEFAULT_PORT}"}
        edges = [
            host_name("edge", region, each)
            for region in REGIONS
            for each in range(topology_parameters.get("replicas", 1))
        ]
        starters |= {edge: server_starter(replica, lambda _host: stands) for edge in edges}
    if server is not None:
        known = {"ttl": "ttl", "interval": "interval_s", "replicas": "replicas"}
        plan = CdnPlan(**{known[name]: value for name, value in topology_parameters.items() if name in known})
        starters["ns-cdn"] = name_server_starter(server, plan)
    return make_testbed(context, topo, starters)


def warm_up(bed: Testbed) -> None:
    """Send a query to every name server before the measurements begin, since a program's first answer is slow.

    The first answer takes milliseconds longer than all later ones; theory does not include this time. The queried names
    are not used later, so that no record is cached that a measurement needs.
    """
    for region in REGIONS:
        _warm_up_local(bed, region)
    near = bed.host(host_name("user", min(REGIONS, key=lambda region: REGIONS[region][1])))
    for address, _, origin in SERVERS.values():
        DnsClient(near, address).ask(f"nobody.{origin.lstrip('.')}")


def _warm_up_local(bed: Testbed, region: str) -> None:
    DnsClient(bed.host(host_name("user", region)), local_address(region)).ask("nobody.invalid.")


def clear_caches(bed: Testbed, region: str, cdn: bool) -> None:
    """Empty the caches of a region: restart its local name server and, with the CDN, its replica."""
    bed.restart(host_name("dns", region))
    _warm_up_local(bed, region)
    if cdn:
        bed.restart(host_name("edge", region))
        _wait_until_named(bed, region)


def wait_for_steering(context: Run, bed: Testbed) -> None:
    """Wait until the CDN's name server gives users of every region the address of their own region's replica.

    All servers start in parallel, and a replica that failed its first health check is not used until the next check.
    Third-party replicas are restarted first: they have opened persistent connections to the origin for health checks,
    and a capture would lack the SYNs of these connections. lab7's replica answers health checks itself.
    """
    if "replica" in context.replacements:
        for region in REGIONS:
            bed.restart(host_name("edge", region))
    for region in REGIONS:
        _wait_until_named(bed, region)


def _wait_until_named(bed: Testbed, region: str) -> None:
    """Wait until the CDN's name server gives a region's user the address of the region's replica.

    Raises EmulationError after PATIENCE_S seconds.
    """
    address, _, _ = SERVERS["ns-cdn"]
    until_s = time.monotonic() + PATIENCE_S
    dns_client = DnsClient(bed.host(host_name("user", region)), address)
    # Poll until a time-out, since name servers do not report that a replica has become healthy.
    while replica_address(region) not in _told(dns_client):
        if time.monotonic() > until_s:
            raise EmulationError(f"the CDN's name server does not direct {region} to its own replica")
        time.sleep(POLL_S)


def _told(dns_client: DnsClient) -> list[str]:
    _, report = dns_client.ask(ALIAS)
    return [value for _, rtype, _, value in report["answers"] if rtype == "A"]


def fill_replicas(bed: Testbed, host: str, path: str) -> None:
    """Fill the caches of all replicas with an object, by one request from `host` to each region's replica."""
    for region in REGIONS:
        client = Driver(bed.host(host), [VISITOR, replica_address(region), str(DEFAULT_PORT), SITE])
        try:
            client.request({"visit": [path]}, PATIENCE_S)
        except DriverError as error:
            raise UserFailedError(f"the replica of {region} did not serve {path}: {error}") from error
        client.stop()


def implementations(context: Run) -> dict[str, str]:
    """Return the names of the programs in use by role (replica, cdn-dns, client), for the report."""
    return {**OURS, **{role: one.describe() for role, one in context.replacements.items()}, "client": "http.client"}


def region_rtt_s(region: str, scale: float = 1.0) -> float:
    """Return the round-trip time in s between a region and the core of the network; `scale` multiplies all delays."""
    return 2 * REGIONS[region][1] * scale / 1e3


def origin_rtt_s(region: str, scale: float = 1.0) -> float:
    """Return the round-trip time in s between a region and the origin."""
    return region_rtt_s(region, scale) + 2 * ORIGIN_LEG_MS * scale / 1e3


def paths(scale: float, rate_bps: float) -> list[EmulatedPath]:
    """Return the network paths from each region to the origin, to be measured before a run without the CDN."""
    to_origin = [
        EmulatedPath(host_name("user", region), "origin", ORIGIN, origin_rtt_s(region, scale)) for region in REGIONS
    ]
    to_origin[0] = EmulatedPath("eu-user", "origin", ORIGIN, origin_rtt_s("eu", scale), rate_bps)
    return to_origin


def region_paths(region: str, scale: float) -> list[EmulatedPath]:
    """Return the network paths of one region with the CDN: user to replica, and resolver to the CDN's name server."""
    cdn, _, _ = SERVERS["ns-cdn"]
    return [
        EmulatedPath(host_name("user", region), host_name("edge", region), replica_address(region), 0.0),
        EmulatedPath(host_name("dns", region), "ns-cdn", cdn, region_rtt_s(region, scale)),
    ]


def near_paths(scale: float) -> list[EmulatedPath]:
    """Return the network paths of all regions with the CDN, to be measured before a run."""
    return [path for region in REGIONS for path in region_paths(region, scale)]
