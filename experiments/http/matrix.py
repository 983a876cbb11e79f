"""HTTP interoperability matrix: the result of each client with each origin server, for each common protocol.

A row is an origin server, a column a client with one protocol. For each pair, a page of three objects is loaded over an
emulated link. A cell passes if the packets show two things: every object was delivered by the column's protocol, with
status 200 and the content of its file; and the messages of both sides are well-formed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness.driver import run_command
from lab7.experiments.harness.implementations.registry import (
    DEFAULT_PORT,
    Implementation,
    expand,
    of_role,
    server_starter,
)
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.matrix import Cell, Column, Matrix, MatrixRun, Place, name_of
from lab7.experiments.harness.measurement import LoadFailedError, Window, capture_at, make_testbed
from lab7.experiments.http.claims.interop import fetched
from lab7.experiments.http.clients import OurClient
from lab7.experiments.http.lab import AT_CLIENT, NAME, make_site, site_files
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import ServerDied
from lab7.topologies.web import WebTopo

OBJECTS, SIZE_BYTES, SEED = 3, 3000, 1
# Strategy of lab7's client -> protocol that the packets must show.
OUR_STRATEGIES: Mapping[str, str] = {
    "1.0-serial": "1.0",
    "1.0-parallel": "1.0",
    "1.1-persistent": "1.1",
    "1.1-pipelined": "1.1",
    "2": "2",
    "2-upgrade": "2-upgrade",
    "2-push": "2-push",
}
# Protocol -> strategy by which a server's registry entry declares that the server implements the protocol.
NEEDS: Mapping[str, str] = {
    "1.0": "1.0-serial",
    "1.1": "1.1-persistent",
    "2": "2",
    "2-upgrade": "2-upgrade",
    "2-push": "2-push",
}


@dataclass(frozen=True)
class _Column(Column):
    """Column of the HTTP matrix: a client program, and a protocol or, for lab7's own client, a page load strategy."""

    what: str

    @property
    def protocol(self) -> str:
        """Return the protocol that the packets must show: 1.0, 1.1, 2, 2-upgrade or 2-push."""
        return OUR_STRATEGIES[self.what] if self.client is None else self.what

    @property
    def needs(self) -> str:
        """Return the strategy that an origin's registry entry must list; if it does not, the cell is `unsupported`."""
        return self.what if self.client is None else NEEDS[self.what]


def _columns() -> list[_Column]:
    ours = [_Column(None, strategy) for strategy in OUR_STRATEGIES]
    return ours + [_Column(client, protocol) for client in of_role("client") for protocol in client.fetches]


def run(context: MatrixRun) -> list[Cell]:
    """Load a page with every client from every origin, one origin after the other.

    Return the cells of the interoperability matrix.
    """
    site = Path("/run") / f"site-{context.folder.name}"
    paths = make_site(site, OBJECTS, SIZE_BYTES, SEED)
    files = site_files(paths)
    servers: list[Implementation | None] = [None, *of_role("origin")]
    cells: list[Cell] = []
    try:
        for number, server in enumerate(servers):
            context.step(name_of(server), number / len(servers))
            cells += _row(context, server, site, files)
    finally:
        shutil.rmtree(site, ignore_errors=True)
    return cells


def _row(context: MatrixRun, server: Implementation | None, site: Path, files: Mapping[bytes, bytes]) -> list[Cell]:
    name = name_of(server)
    places = {column: Place(name, column.name, column.what) for column in _columns()}
    if server is not None and not server.installed():
        return [place.not_installed(server) for place in places.values()]
    objects = [path.decode() for path in files if path != b"/"]
    values = {"root": str(site), "objects": objects}
    starters = {} if server is None else {"origin": server_starter(server, lambda _host: values)}
    capture_name = f"{name}.pcapng"
    try:
        with (
            make_testbed(context, WebTopo(delay="5ms", bw=100, root=str(site)), starters) as bed,
            capture_at(bed, context.folder / capture_name, ["client"]),
        ):
            windows = dict(_fetch_all(bed, server, objects))
    except (EmulationError, ServerDied) as error:
        return [place.failed(str(error)) for place in places.values()]
    ports = {DEFAULT_PORT, *(server.ports.values() if server else ())}
    every = page_load(read_capture(context.folder / capture_name), AT_CLIENT, ports)
    return [
        _cell(place, column, server, windows.get(column), every, files, capture_name)
        for column, place in places.items()
    ]


def _fetch_all(
    bed: Testbed, server: Implementation | None, objects: list[str]
) -> Iterator[tuple[_Column, Window | str]]:
    """Load the page with the client of each column; yield (column, start and end of the load or error text)."""
    host = bed.host("client")
    ours = OurClient(host)
    for column in _columns():
        if server is not None and not server.supports(column.needs):
            continue
        if not column.installed:
            continue
        port = server.port(column.needs) if server else DEFAULT_PORT
        base = f"http://{NAME}" + (f":{port}" if port != DEFAULT_PORT else "")
        try:
            if column.client is None:
                yield column, ours.load(column.what, base + "/")
            else:
                urls = [base + path for path in objects]
                values = {"url": base + "/", "objects": urls, "folder": str(host.workdir)}
                yield column, run_command(host, expand(column.client.fetches[column.what], values))
        except LoadFailedError as error:
            yield column, str(error)


def _cell(
    place: Place,
    column: _Column,
    server: Implementation | None,
    window: Window | str | None,
    every: PageLoad,
    files: Mapping[bytes, bytes],
    capture_name: str,
) -> Cell:
    if window is None:
        if column.client is not None and not column.installed:
            return place.not_installed(column.client)
        return place.unsupported(f"{place.server} does not support this protocol")
    cause = server.known.get(column.needs) if server else None
    if isinstance(window, str):
        return place.failed(window, capture_name, cause)
    verdict = fetched("cell", every.between(window.start_ns, window.end_ns), column.protocol, files)
    return place.judged(verdict, capture_name, cause)


MATRIX = Matrix("http", "Does every HTTP client work with every origin, in each protocol that both support?", run)
