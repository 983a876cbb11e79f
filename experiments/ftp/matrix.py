"""Does every FTP server serve every client: list, get and put, in active and in passive mode?

Two files over an emulated link, for each pair. A cell passes if the packets show that the files crossed whole on data
connections of the mode asked for (in active mode from the server's port 20), or that the listing names them and nothing
else, and that every command and reply is as the grammar has it. What was put is looked up on the server's disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from experiments.ftp.claims.interop import WHATS, transferred
from experiments.ftp.lab import AT_CLIENT, TRANSFERS, able, disk_of, run_client, serving
from experiments.ftp.theory import MODES
from experiments.ftp.wire.sessions import FtpTraffic, ftp_traffic
from experiments.harness.implementations.registry import FTP_CLIENT, FTP_SERVER, Implementation, of_role
from experiments.harness.judge.frames import read_capture
from experiments.harness.matrix import Cell, CellWord, Matrix, MatrixRun
from experiments.harness.measurement import LoadFailedError, Window, capture_at
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Testbed
from topologies.emulation.watch import ServerDied
from topologies.ftp import FtpTopo

OURS = "lab7"
SIZE_BYTES = 3000
WORDS: Mapping[str, CellWord] = {"shown": "pass", "failed": "fail", "undecided": "fail"}


def _contents(prefix: str) -> dict[str, bytes]:
    return {f"{prefix}-{number}.bin": Random(f"{prefix} {number}").randbytes(SIZE_BYTES) for number in (1, 2)}


# What is on the server, and what each client stores there.
THERE, HERE = _contents("there"), _contents("here")


@dataclass(frozen=True)
class Column:
    """One client, what it does, and in which mode; client None: lab7's own."""

    client: Implementation | None
    what: str
    mode: str

    @property
    def name(self) -> str:
        """What the client is called."""
        return OURS if self.client is None else self.client.name

    @property
    def protocol(self) -> str:
        """What it does, in a cell's words."""
        return f"{self.what} {self.mode}"

    @property
    def files(self) -> Mapping[str, bytes]:
        """The files that it is about."""
        return HERE if self.what == "put" else THERE


def columns() -> list[Column]:
    """Every client with all that there is to do."""
    clients: list[Implementation | None] = [None, *of_role(FTP_CLIENT)]
    return [Column(client, what, mode) for client in clients for what in WHATS for mode in MODES]


def run(context: MatrixRun) -> list[Cell]:
    """Fill the matrix, a server at a time."""
    servers: list[Implementation | None] = [None, *of_role(FTP_SERVER)]
    cells: list[Cell] = []
    for number, server in enumerate(servers):
        context.step(server.name if server else OURS, number / len(servers))
        cells += _of_server(context, server)
    return cells


def _of_server(context: MatrixRun, server: Implementation | None) -> list[Cell]:
    name = server.name if server else OURS
    if server is not None and not server.installed():
        how = f"sudo apt-get install {server.package}"
        return [Cell(name, each.name, each.protocol, "not installed", how) for each in columns()]
    capture_name = f"{name}.pcapng"
    topo, starter = FtpTopo(delay="5ms", bw=100), serving(server, THERE)
    try:
        with (
            Testbed(topo, links=context.links, sandboxed=context.sandboxed, starters={"server": starter}) as bed,
            capture_at(bed, context.folder / capture_name, ["client"]),
        ):
            windows, stored = {}, {}
            for column, window, kept in _sessions(bed):
                windows[column], stored[column] = window, kept
    except (EmulationError, ServerDied) as error:
        return [Cell(name, each.name, each.protocol, "fail", str(error)) for each in columns()]
    traffic = ftp_traffic(read_capture(context.folder / capture_name), AT_CLIENT)
    return [
        _cell(name, each, windows.get(each), stored.get(each, {}), traffic, capture_name, server) for each in columns()
    ]


def _sessions(bed: Testbed) -> Iterator[tuple[Column, Window | str, dict[str, bytes]]]:
    """Have every client do what it can; when that was, or why it failed, and what the server then has of its files."""
    host, disk = bed.host("client"), disk_of(bed.host("server"))
    for column in columns():
        installed = column.client is None or column.client.installed()
        if not installed or not able(column.client, column.what, column.mode):
            continue
        (host.workdir / TRANSFERS).mkdir(exist_ok=True)
        for name, octets in HERE.items():
            (host.workdir / TRANSFERS / name).write_bytes(octets)
            # What an earlier client put would hide that this one did not.
            (disk / name).unlink(missing_ok=True)
        names = [] if column.what == "list" else list(column.files)
        window: Window | str
        try:
            window = run_client(host, column.client, column.what, column.mode, names)
        except (LoadFailedError, EmulationError) as error:
            window = str(error)
        yield column, window, {name: (disk / name).read_bytes() for name in HERE if (disk / name).is_file()}


def _cell(
    name: str,
    column: Column,
    window: Window | str | None,
    stored: Mapping[str, bytes],
    traffic: FtpTraffic,
    capture_name: str,
    server: Implementation | None,
) -> Cell:
    if window is None:
        client = column.client
        if client is not None and not client.installed():
            return Cell(name, column.name, column.protocol, "not installed", f"sudo apt-get install {client.package}")
        return Cell(name, column.name, column.protocol, "unsupported", f"{column.name} does not do that")
    known = server.known.get(f"{column.what}-{column.mode}") if server else None
    if isinstance(window, str):
        return Cell(name, column.name, column.protocol, "fail", window, (), capture_name, known)
    part = traffic.between(window.start_ns, window.end_ns)
    found = transferred("cell", part, column.what, column.mode, column.files, stored)  # type: ignore[arg-type]
    word = WORDS[found.verdict]
    cause = known if word == "fail" else None
    return Cell(name, column.name, column.protocol, word, found.evidence, found.frames, capture_name, cause)


MATRIX = Matrix("ftp", "Does every FTP server serve every client: list, get and put, active and passive?", run)
