"""DNS interoperability matrix: the result of each client (column) with each name server (row), for six questions.

Clients are of two kinds. Stub resolvers (lab7's, dig, host, drill) query an authoritative server or a resolver.
Resolvers query the authoritative servers on behalf of lab7's stub resolver. Each emulated network has one
implementation of authoritative servers and one of resolvers. A cell passes if the packets show the correct answer to
its question. The questions are an address, an alias, mail servers, an answer of over 1232 octets, a name that does not
exist, and a type that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from lab7.experiments.dns.claims.evidence import GivenZones
from lab7.experiments.dns.claims.interop import NXDOMAIN, Asked, Resolving, Role, answered, resolved
from lab7.experiments.dns.lab import ADDRESSES, CLIENT, DnsClient, given_zones, name_server_starters, traffic_at
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.driver import run_command
from lab7.experiments.harness.implementations.registry import (
    DNS_CLIENT_ROLE,
    DNS_ROLES,
    Implementation,
    expand,
    of_role,
)
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.matrix import Cell, Column, Matrix, MatrixRun, Place, name_of
from lab7.experiments.harness.measurement import LoadFailedError, Window, capture_at, make_testbed
from lab7.topologies.dns import BIG, LOCAL, DnsTopo, make_names
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import ServerDied

SCALE = 0.05
VANTAGES = ("client", "local")
# Server of example.com, the zone of all questions.
ZONE_SERVER = "example"
QUESTIONS: Mapping[str, Asked] = {
    "address": Asked("server2.example.com.", "A"),
    "alias": Asked("www.example.com.", "A"),
    "mail": Asked("example.com.", "MX"),
    "large": Asked(BIG, "TXT"),
    "no name": Asked("nobody.example.com.", "A", rcode=NXDOMAIN),
    "no data": Asked("server3.example.com.", "TXT"),
}
# Name of the command line in the registry entries of stub resolvers.
COMMAND = "query"
AUTHORITATIVE, RESOLVER = DNS_ROLES


@dataclass(frozen=True)
class DnsServer:
    """Row of the DNS matrix: a server program (None: lab7's) as an authoritative server or as a resolver."""

    role: Role
    implementation: Implementation | None

    @property
    def name(self) -> str:
        """Return the heading of the row, such as `bind` or `resolver unbound`."""
        return _name(self.role, self.implementation)

    @property
    def installed(self) -> bool:
        """Return True if the server is installed on this machine."""
        return self.implementation is None or self.implementation.installed()


@dataclass(frozen=True)
class DnsColumn(Column):
    """Column of the DNS matrix: a client program (stub resolver or resolver) and a question."""

    role: str
    what: str

    @property
    def name(self) -> str:
        """Return the heading of the column, such as `dig` or `resolver unbound`."""
        return _name(self.role, self.client)


@dataclass(frozen=True)
class Network:
    """Emulated network with one implementation of authoritative servers and one of resolvers."""

    authoritative: DnsServer
    resolver: DnsServer

    @property
    def alone(self) -> bool:
        """Return True if the authoritative servers and the resolver are all third-party.

        The resolver is then the only client in this network.
        """
        return self.resolver.implementation is not None and self.authoritative.implementation is not None

    @property
    def capture_name(self) -> str:
        """Return the file name of the packet capture in this network."""
        return f"{name_of(self.authoritative.implementation)}-{name_of(self.resolver.implementation)}.pcapng"

    def asked_by_stubs(self) -> list[DnsServer]:
        """Return the servers that stub resolvers query in this network.

        It is the authoritative server if the resolver is lab7's, and the resolver if the authoritative server is
        lab7's. Each server is thereby queried in one network only.
        """
        servers = [self.authoritative] if self.resolver.implementation is None else []
        return servers + ([self.resolver] if self.authoritative.implementation is None else [])


def _name(role: str, implementation: Implementation | None) -> str:
    return f"resolver {name_of(implementation)}" if role == RESOLVER else name_of(implementation)


def servers(role: Role) -> list[DnsServer]:
    """Return all servers in a role (authoritative or local): lab7's, then the third-party programs in the registry."""
    return [DnsServer(role, one) for one in (None, *of_role(role))]


def columns() -> list[DnsColumn]:
    """Return the matrix's columns: each client with each question, first stub resolvers, then resolvers."""
    stubs = [(DNS_CLIENT_ROLE, one) for one in (None, *of_role(DNS_CLIENT_ROLE))]
    clients = [*stubs, *((RESOLVER, one.implementation) for one in servers("local"))]
    return [DnsColumn(client, role, what) for role, client in clients for what in QUESTIONS]


def run(context: MatrixRun) -> list[Cell]:
    """Send every question from every client to every server, one emulated network after the other; return the cells."""
    networks = [Network(one, other) for one in servers("authoritative") for other in servers("local")]
    found: dict[tuple[str, DnsColumn], Cell] = {}
    zones = given_zones(make_names())
    for number, network in enumerate(networks):
        context.step(network.capture_name.removesuffix(".pcapng"), number / len(networks))
        for server, column, cell in _of_network(context, network, zones):
            found[server.name, column] = cell
    rows = [*servers("authoritative"), *servers("local")]
    return [found.get((row.name, column)) or _unused(row, column) for row in rows for column in columns()]


def _unused(row: DnsServer, column: DnsColumn) -> Cell:
    place = Place(row.name, column.name, column.what)
    if row.implementation is not None and not row.installed:
        return place.not_installed(row.implementation)
    if column.role == RESOLVER and row.role == RESOLVER:
        return place.unsupported("a resolver asks authoritative servers")
    assert column.client is not None
    return place.not_installed(column.client)


def _of_network(context: MatrixRun, network: Network, zones: GivenZones) -> Iterator[tuple[DnsServer, DnsColumn, Cell]]:
    """Yield (row, column, cell) for all questions sent in one network; none if one of its servers is not installed."""
    if not (network.authoritative.installed and network.resolver.installed):
        return
    pairs = [*_pairs(network)]
    replacements: dict[str, Implementation] = {
        one.role: one.implementation
        for one in (network.authoritative, network.resolver)
        if one.implementation is not None
    }
    try:
        with (
            make_testbed(context, DnsTopo(scale=SCALE, clients=1), name_server_starters(replacements, {})) as bed,
            capture_at(bed, context.folder / network.capture_name, VANTAGES),
        ):
            windows = {pair: _ask(bed, *pair) for pair in pairs}
    except (EmulationError, ServerDied) as error:
        for server, column in pairs:
            yield server, column, Place(server.name, column.name, column.what).failed(str(error))
        return
    traffic = traffic_at(read_capture(context.folder / network.capture_name), VANTAGES)
    for (server, column), window in windows.items():
        yield server, column, _cell(network, server, column, window, traffic, zones)


def _pairs(network: Network) -> Iterator[tuple[DnsServer, DnsColumn]]:
    """Yield (row, column) for all questions to be sent in this network, in order."""
    # Send the resolver's own questions first, since stub resolvers would fill its cache.
    for column in columns():
        if column.role == RESOLVER and column.client is network.resolver.implementation:
            yield network.authoritative, column
    for server in network.asked_by_stubs():
        for column in columns():
            if column.role != RESOLVER and column.installed:
                yield server, column


def _ask(bed: Testbed, server: DnsServer, column: DnsColumn) -> Window | str:
    """Send one question; return its start and end, or an error text if the client program could not be run."""
    asked = QUESTIONS[column.what]
    to_resolver = RESOLVER in (server.role, column.role)
    address = LOCAL if to_resolver else ADDRESSES[ZONE_SERVER]
    host = bed.host("client")
    try:
        if column.client is None or column.role == RESOLVER:
            return DnsClient(host, address).try_query(asked.name.rstrip("."), asked.rtype)
        values = {"server": address, "name": asked.name, "type": asked.rtype}
        return run_command(host, expand(column.client.fetches[COMMAND], values))
    except (LoadFailedError, EmulationError) as error:
        return str(error)


def _cell(
    network: Network,
    server: DnsServer,
    column: DnsColumn,
    window: Window | str,
    traffic: Mapping[str, DnsTraffic],
    zones: GivenZones,
) -> Cell:
    place = Place(server.name, column.name, column.what)
    cause = server.implementation.known.get(column.what) if server.implementation else None
    if isinstance(window, str):
        return place.failed(window, network.capture_name, cause)
    part = {host: each.between(window.start_ns, window.end_ns) for host, each in traffic.items()}
    asked = QUESTIONS[column.what]
    if column.role == RESOLVER:
        hosts = Resolving(CLIENT, LOCAL, ADDRESSES[ZONE_SERVER])
        decide = partial(resolved, "cell", part["client"], part["local"], asked, zones, hosts)
    else:
        address = LOCAL if server.role == RESOLVER else ADDRESSES[ZONE_SERVER]
        decide = partial(answered, "cell", part["client"], asked, zones, CLIENT, address, server.role)
    return place.judged(decide(), network.capture_name, cause)


MATRIX = Matrix(
    "dns", "Does every DNS client work with every name server, and every resolver with every authoritative server?", run
)
