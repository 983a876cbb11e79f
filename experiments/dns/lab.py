"""Emulated network of the DNS experiments: clients, name servers, addresses, and round-trip times between hosts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from lab7.experiments.dns.claims.evidence import GivenRecord, GivenZones
from lab7.experiments.dns.wire.traffic import DnsTraffic, dns_exchanges
from lab7.experiments.harness.driver import Driver, DriverError, window_of
from lab7.experiments.harness.experiment import Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath
from lab7.experiments.harness.implementations.registry import Implementation, server_starter
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.measurement import Window, first_interface, make_testbed
from lab7.topologies.dns import CLIENT_LEG_MS, LEGS_MS, LOCAL, SERVED, SERVERS, DnsTopo, zone_file
from lab7.topologies.dns_zones import NamePlan
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.testbed import Starter, Testbed

DRIVER = "lab7.experiments.dns.driver"
QUERY_TIMEOUT_S = 30.0
# An experiment fails after more than UNANSWERED_MAX unanswered queries, each of which takes a time-out of 10 s.
UNANSWERED_MAX = 2
CLIENT = "10.53.9.1"
ADDRESSES: Mapping[str, str] = {
    "client": CLIENT,
    "local": LOCAL,
    **{host: address for host, (address, _) in SERVERS.items()},
}


class DnsClient:
    """DNS stub resolver on one host that sends its queries to one server."""

    def __init__(self, host: Host, server: str = LOCAL) -> None:
        self._driver = Driver(host, [DRIVER])
        self._server = server
        self._unanswered = 0

    def ask(
        self, name: str, rtype: str = "A", buffer_bytes: int | None = None, dnssec: bool = False
    ) -> tuple[Window, dict[str, Any]]:
        """Send a query; return its start and end, and the program's reply (RCODE, records, transport).

        Raises EmulationError if there is no response.
        """
        request: dict[str, Any] = {"server": self._server, "name": name, "rtype": rtype}
        request |= {} if buffer_bytes is None else {"buffer_bytes": buffer_bytes}
        request |= {"dnssec": True} if dnssec else {}
        try:
            response = self._driver.call(request, QUERY_TIMEOUT_S)
        except DriverError as error:
            raise EmulationError(f"no answer for {name} {rtype} from {self._server}: {error}") from error
        return window_of(response), response

    def try_query(self, name: str, rtype: str = "A", dnssec: bool = False) -> Window:
        """Send a query and return its start and end, even if there is no response: the capture shows the outcome.

        Raises EmulationError after more than UNANSWERED_MAX queries without a response: the server is down.
        """
        began_ns = time.time_ns()
        try:
            return self.ask(name, rtype, dnssec=dnssec)[0]
        except EmulationError:
            self._unanswered += 1
            if self._unanswered > UNANSWERED_MAX:
                raise
        return Window(began_ns, time.time_ns())


def dns_testbed(context: Run, own_local: bool = False, **parameters: Any) -> Testbed:
    """Return the emulated DNS network; third-party programs may replace lab7's name servers (`--replace`).

    `own_local` forces the use of lab7's own local name server.
    """
    topo, starters = DnsTopo(**parameters), name_server_starters(context.replacements, parameters)
    return make_testbed(
        context, topo, {host: one for host, one in starters.items() if not (own_local and host == "local")}
    )


def name_server_starters(
    replacements: Mapping[str, Implementation], parameters: Mapping[str, Any]
) -> dict[str, Starter]:
    """Return functions that start name server programs in place of lab7's, by host.

    `replacements` are the programs by role (authoritative, local); `parameters` are those of the topology.
    """
    recursive = parameters.get("mode") == "recursive"
    starters: dict[str, Starter] = {}
    authoritative = replacements.get("authoritative")
    for host, zones in SERVED.items() if authoritative else ():
        # In recursive mode, root and com stay lab7's own: other servers are either authoritative or recursive.
        if authoritative and not (recursive and host not in ("example", "provider")):
            listed = [[origin, zone_file(origin)] for origin in zones]
            starters[host] = server_starter(authoritative, partial(_zones, listed))
    local = replacements.get("local")
    if local is not None:
        address, name = SERVERS["root"]
        values = {
            "root_name": name,
            "root_address": address,
            "forward": address if recursive else "",
            "cache": parameters.get("cache", "yes"),
        }
        starters["local"] = server_starter(local, lambda _host: values)
    return starters


def _zones(listed: list[list[str]], host: Host) -> dict[str, Any]:
    files = " ".join(f"{origin}={host.workdir / file}" for origin, file in listed)
    return {"zones": listed, "zone_files": files}


def server_names(context: Run) -> dict[str, str]:
    """Return name and version of the name servers in use, by role (authoritative, local), for the report."""
    names = {"local": "lab7.services.dns.resolver", "authoritative": "lab7.services.dns.authoritative"}
    return names | {role: one.describe() for role, one in context.replacements.items()}


def given_zones(names: NamePlan) -> GivenZones:
    """Return the records configured in all zones, as the reference for captured answers."""
    records = [(zone, each) for zone in names.zones.values() for each in names.records(zone.origin)]
    given = [GivenRecord(each.owner, each.type, each.ttl or 0, each.value) for _, each in records]
    # RFC 2308 section 3: in negative answers the SOA's TTL is the lesser of its own TTL and its MINIMUM field.
    negative = [
        GivenRecord(each.owner, each.type, min(each.ttl or 0, zone.negative_ttl), each.value)
        for zone, each in records
        if each.type == "SOA"
    ]
    return GivenZones([*given, *negative])


def leg_rtt_s(one: str, other: str, scale: float = 1.0) -> float:
    """Return the round-trip time in s between two hosts of the topology."""
    legs = {**LEGS_MS, "client": CLIENT_LEG_MS, "local": 0}
    return 2 * (legs[one] + legs[other]) * scale / 1e3


def dns_paths(scale: float = 1.0) -> list[EmulatedPath]:
    """Return the network paths to be measured before a run: their delays are compared with the configured ones."""
    ends = (("client", "local"), ("local", "root"), ("local", "com"), ("local", "example"))
    return [EmulatedPath(one, other, ADDRESSES[other], leg_rtt_s(one, other, scale)) for one, other in ends]


def traffic_at(captured: CaptureFile, hosts: Sequence[str]) -> dict[str, DnsTraffic]:
    """Return the DNS traffic captured at the first interface of each of these hosts, by host name."""
    return {host: dns_exchanges(captured, first_interface(host)) for host in hosts}


def within(traffic: Mapping[str, DnsTraffic], window: Window) -> dict[str, DnsTraffic]:
    """Return host -> DNS queries, with their responses, that were sent within a time window."""
    return {host: each.between(window.start_ns, window.end_ns) for host, each in traffic.items()}
