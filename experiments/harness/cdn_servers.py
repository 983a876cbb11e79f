"""What real name servers in the place of the CDN's are told: the same plan, in other words."""

from __future__ import annotations

from typing import Any

from experiments.harness.implementations.registry import Implementation, server_starter
from topologies.cdn import ALIAS, ORIGIN, PREFIX, REGIONS, SERVERS, STATUS_PATH, CdnPlan, replica_address
from topologies.emulation.node import Host
from topologies.emulation.program import Program
from topologies.emulation.testbed import Starter
from topologies.naming import NamePlan, Record, Zone

ADDRESS, SERVER, ZONE = SERVERS["ns-cdn"]


def name_server_starter(implementation: Implementation, plan: CdnPlan) -> Starter:
    """What starts this name server in a host, with a master file for each region in its folder."""
    start = server_starter(implementation, lambda _host: _values(plan))

    def start_with_zones(host: Host) -> Program:
        for region in REGIONS:
            (host.workdir / _file(region)).write_text(_master_file(plan, region))
        started = start(host)
        if not isinstance(started, Program):
            raise TypeError(f"{implementation.name} is no program")
        return started

    return start_with_zones


def _values(plan: CdnPlan) -> dict[str, Any]:
    """What templates of the role cdn-dns know.

    zone and server: its origin, and the name of its name server; own_address; alias: the name that is answered by
    region, without the zone; ttl and interval in seconds; check_path; origin: its address, when no replica is left;
    regions: of each its name, network, replicas, the other regions in the order in which they help out, and the name of
    its master file.
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
    """The CDN's zone as a region is to see it."""
    records = tuple(Record(ALIAS, "A", address, plan.ttl) for address in _replicas(plan, region))
    return NamePlan("cdn", {SERVER: [ADDRESS]}, [Zone(ZONE, (SERVER,), records)]).master_file(ZONE)
