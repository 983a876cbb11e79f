"""Does every origin serve every client, by every protocol that both speak?

One page of three objects, over an emulated link, for each pair. A cell passes if the packets show that every object
arrived by the protocol asked for, with status 200 and the content of its file, from sound messages on both sides.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.capture.capture import Capture, CaptureInterface
from experiments.harness.driver import run_command
from experiments.harness.implementations.registry import Implementation, expand, of_role, server_starter
from experiments.harness.judge.frames import read_capture
from experiments.harness.matrix import Cell, CellWord, Matrix, MatrixRun
from experiments.harness.measurement import LoadFailedError, Window
from experiments.http.claims.interop import fetched
from experiments.http.clients import OurClient
from experiments.http.lab import make_site, site_files
from experiments.http.wire.page_load import page_load
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Testbed
from topologies.emulation.watch import ServerDied
from topologies.web import WebTopo

NAME = "www.example.com"
OURS = "lab7"
OBJECTS, SIZE_BYTES, SEED = 3, 3000, 1
AT_CLIENT = "client:client-eth0"
# What lab7's client is asked to do, and the protocol that the packets must then show.
OUR_STRATEGIES: Mapping[str, str] = {
    "1.0-serial": "1.0",
    "1.0-parallel": "1.0",
    "1.1-persistent": "1.1",
    "1.1-pipelined": "1.1",
    "2": "2",
    "2-upgrade": "2-upgrade",
    "2-push": "2-push",
}
# By which strategy a server of the registry says that it speaks a protocol.
NEEDS: Mapping[str, str] = {
    "1.0": "1.0-serial",
    "1.1": "1.1-persistent",
    "2": "2",
    "2-upgrade": "2-upgrade",
    "2-push": "2-push",
}
WORDS: Mapping[str, CellWord] = {"shown": "pass", "failed": "fail", "undecided": "fail"}


@dataclass(frozen=True)
class _Column:
    """One client and what it is asked to do; client None: lab7's own, by a strategy."""

    client: Implementation | None
    what: str

    @property
    def name(self) -> str:
        return OURS if self.client is None else self.client.name

    @property
    def protocol(self) -> str:
        return OUR_STRATEGIES[self.what] if self.client is None else self.what

    @property
    def needs(self) -> str:
        return self.what if self.client is None else NEEDS[self.what]


def _columns() -> list[_Column]:
    ours = [_Column(None, strategy) for strategy in OUR_STRATEGIES]
    return ours + [_Column(client, protocol) for client in of_role("client") for protocol in client.fetches]


def run(context: MatrixRun) -> list[Cell]:
    """Fill the matrix, a row at a time."""
    site = Path("/run") / f"site-{context.folder.name}"
    paths = make_site(site, OBJECTS, SIZE_BYTES, SEED)
    files = site_files(paths)
    servers: list[Implementation | None] = [None, *of_role("origin")]
    cells: list[Cell] = []
    try:
        for number, server in enumerate(servers):
            context.step(server.name if server else OURS, number / len(servers))
            cells += _row(context, server, site, files)
    finally:
        shutil.rmtree(site, ignore_errors=True)
    return cells


def _row(context: MatrixRun, server: Implementation | None, site: Path, files: Mapping[bytes, bytes]) -> list[Cell]:
    name = server.name if server else OURS
    if server is not None and not server.installed():
        how = f"sudo apt-get install {server.package}"
        return [Cell(name, column.name, column.what, "not installed", how) for column in _columns()]
    objects = [path.decode() for path in files if path != b"/"]
    values = {"root": str(site), "objects": objects}
    starters = {} if server is None else {"origin": server_starter(server, lambda _host: values)}
    capture_name = f"{name}.pcapng"
    try:
        with Testbed(
            WebTopo(delay="5ms", bw=100, root=str(site)),
            links=context.links,
            sandboxed=context.sandboxed,
            starters=starters,
        ) as bed:
            interface = CaptureInterface(AT_CLIENT, bed.host("client").namespace_pid, "client-eth0")
            with Capture(context.folder / capture_name, [interface]):
                windows = dict(_fetch_all(bed, server, objects))
    except (EmulationError, ServerDied) as error:
        return [Cell(name, column.name, column.what, "fail", str(error)) for column in _columns()]
    return list(_judge(context, server, windows, files, capture_name))


def _fetch_all(
    bed: Testbed, server: Implementation | None, objects: list[str]
) -> Iterator[tuple[_Column, Window | str]]:
    """Have every column fetch the page; when it was, or why it failed."""
    host = bed.host("client")
    ours = OurClient(host)
    for column in _columns():
        if server is not None and not server.supports(column.needs):
            continue
        if column.client is not None and not column.client.installed():
            continue
        port = server.port(column.needs) if server else 80
        base = f"http://{NAME}" + (f":{port}" if port != 80 else "")
        try:
            if column.client is None:
                yield column, ours.load(column.what, base + "/")
            else:
                urls = [base + path for path in objects]
                values = {"url": base + "/", "objects": urls, "folder": str(host.workdir)}
                yield column, run_command(host, expand(column.client.fetches[column.what], values))
        except LoadFailedError as error:
            yield column, str(error)


def _judge(
    context: MatrixRun,
    server: Implementation | None,
    windows: Mapping[_Column, Window | str],
    files: Mapping[bytes, bytes],
    capture_name: str,
) -> Iterator[Cell]:
    name = server.name if server else OURS
    ports = {80, *(server.ports.values() if server else ())}
    every = page_load(read_capture(context.folder / capture_name), AT_CLIENT, ports)
    for column in _columns():
        window = windows.get(column)
        if window is None:
            installed = column.client is None or column.client.installed()
            word: CellWord = "unsupported" if installed else "not installed"
            why = (
                f"{name} does not speak it"
                if installed
                else f"sudo apt-get install {column.client and column.client.package}"
            )
            yield Cell(name, column.name, column.what, word, why)
        elif isinstance(window, str):
            yield Cell(name, column.name, column.what, "fail", window, (), capture_name, _known(server, column))
        else:
            found = fetched("cell", every.between(window.start_ns, window.end_ns), column.protocol, files)
            word = WORDS[found.verdict]
            cause = _known(server, column) if word == "fail" else None
            yield Cell(name, column.name, column.what, word, found.evidence, found.frames, capture_name, cause)


def _known(server: Implementation | None, column: _Column) -> str | None:
    return server.known.get(column.needs) if server else None


MATRIX = Matrix("http", "Does every origin serve every client, by every protocol that both speak?", run)
