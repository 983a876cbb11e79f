"""What real name servers in the place of the CDN's are told: the same plan, in other words."""

from __future__ import annotations

from typing import Any

from topologies.cdn import ALIAS, ORIGIN, PREFIX, REGIONS, SERVERS, STATUS_PATH, CdnPlan, replica_address
from topologies.emulation.node import Host


def name_server_values(plan: CdnPlan, _host: Host) -> dict[str, Any]:
    """What templates of the role cdn-dns know.

    zone and server: its origin, and the name of its name server; own_address; alias: the name that is answered by
    region, without the zone; ttl and interval in seconds; check_path; origin: its address, when no replica is left;
    regions: of each its name, network, replicas, and the other regions in the order in which they help out.
    """
    address, server, zone = SERVERS["ns-cdn"]
    names = list(REGIONS)
    return {
        "zone": zone,
        "server": server,
        "own_address": address,
        "alias": ALIAS.removesuffix("." + zone),
        "ttl": plan.ttl,
        "interval": plan.interval_s,
        "check_path": STATUS_PATH,
        "origin": ORIGIN,
        "regions": [
            {
                "name": name,
                "network": f"{PREFIX}.{number}.0/24",
                "replicas": [replica_address(name, each) for each in range(plan.replicas)],
                "others": [*names[place + 1 :], *names[:place]],
            }
            for place, (name, (number, _)) in enumerate(REGIONS.items())
        ],
    }
