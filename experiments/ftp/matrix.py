"""FTP interoperability matrix: the result of each client with each server, for list, get and put in both modes.

Each pair transfers two files over an emulated link. A cell passes if the packets show three things: data connections of
the column's mode (in active mode from the server's port 20); complete files on them, or a listing with exactly their
names; and commands and replies in the grammar of RFC 959. Uploaded files are also compared on the server's disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from lab7.experiments.ftp.claims.interop import WHATS, transferred
from lab7.experiments.ftp.lab import AT_CLIENT, TRANSFERS, disk_of, run_client, serving, supports
from lab7.experiments.ftp.theory import MODES
from lab7.experiments.ftp.wire.sessions import FtpTraffic, ftp_traffic
from lab7.experiments.harness.implementations.registry import FTP_CLIENT, FTP_SERVER, Implementation, of_role
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.matrix import Cell, Column, Matrix, MatrixRun, Place, name_of
from lab7.experiments.harness.measurement import LoadFailedError, Window, capture_at, make_testbed
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import ServerDied
from lab7.topologies.ftp import FtpTopo

SIZE_BYTES = 3000


def _contents(prefix: str) -> dict[str, bytes]:
    return {f"{prefix}-{number}.bin": Random(f"{prefix} {number}").randbytes(SIZE_BYTES) for number in (1, 2)}


# Files on the server (THERE), and files that each client uploads (HERE): name -> content.
THERE, HERE = _contents("there"), _contents("here")


@dataclass(frozen=True)
class FtpColumn(Column):
    """Column of the FTP matrix: a client program, an operation (list, get or put) and a mode (active or passive)."""

    what: str
    mode: str

    @property
    def protocol(self) -> str:
        """Return operation and mode, such as `get passive`, as shown in the heading of the column."""
        return f"{self.what} {self.mode}"

    @property
    def files(self) -> Mapping[str, bytes]:
        """Return the files (name -> content) that a client uploads, downloads or lists in this column."""
        return HERE if self.what == "put" else THERE


def columns() -> list[FtpColumn]:
    """Return the columns of the interoperability matrix: each client with each operation and mode."""
    clients: list[Implementation | None] = [None, *of_role(FTP_CLIENT)]
    return [FtpColumn(client, what, mode) for client in clients for what in WHATS for mode in MODES]


def run(context: MatrixRun) -> list[Cell]:
    """Run every client with every FTP server, one server after the other.

    Return the cells of the interoperability matrix.
    """
    servers: list[Implementation | None] = [None, *of_role(FTP_SERVER)]
    cells: list[Cell] = []
    for number, server in enumerate(servers):
        context.step(name_of(server), number / len(servers))
        cells += _of_server(context, server)
    return cells


def _of_server(context: MatrixRun, server: Implementation | None) -> list[Cell]:
    name = name_of(server)
    places = {column: Place(name, column.name, column.protocol) for column in columns()}
    if server is not None and not server.installed():
        return [place.not_installed(server) for place in places.values()]
    capture_name = f"{name}.pcapng"
    topo, starter = FtpTopo(delay="5ms", bw=100), serving(server, THERE)
    try:
        with (
            make_testbed(context, topo, {"server": starter}) as bed,
            capture_at(bed, context.folder / capture_name, ["client"]),
        ):
            windows, stored = {}, {}
            for column, window, kept in _sessions(bed):
                windows[column], stored[column] = window, kept
    except (EmulationError, ServerDied) as error:
        return [place.failed(str(error)) for place in places.values()]
    traffic = ftp_traffic(read_capture(context.folder / capture_name), AT_CLIENT)
    return [
        _cell(place, column, windows.get(column), stored.get(column, {}), traffic, capture_name, server)
        for column, place in places.items()
    ]


def _sessions(bed: Testbed) -> Iterator[tuple[FtpColumn, Window | str, dict[str, bytes]]]:
    """Run the client of each column; yield (column, start and end or error text, uploads on the server's disk)."""
    host, disk = bed.host("client"), disk_of(bed.host("server"))
    for column in columns():
        if not column.installed or not supports(column.client, column.what, column.mode):
            continue
        (host.workdir / TRANSFERS).mkdir(exist_ok=True)
        for name, octets in HERE.items():
            (host.workdir / TRANSFERS / name).write_bytes(octets)
            # Remove an earlier client's upload, so that the file's presence proves this client's upload.
            (disk / name).unlink(missing_ok=True)
        names = [] if column.what == "list" else list(column.files)
        window: Window | str
        try:
            window = run_client(host, column.client, column.what, column.mode, names)
        except (LoadFailedError, EmulationError) as error:
            window = str(error)
        yield column, window, {name: (disk / name).read_bytes() for name in HERE if (disk / name).is_file()}


def _cell(
    place: Place,
    column: FtpColumn,
    window: Window | str | None,
    stored: Mapping[str, bytes],
    traffic: FtpTraffic,
    capture_name: str,
    server: Implementation | None,
) -> Cell:
    if window is None:
        if column.client is not None and not column.installed:
            return place.not_installed(column.client)
        return place.unsupported(f"{place.client} does not support this mode or operation")
    cause = server.known.get(f"{column.what}-{column.mode}") if server else None
    if isinstance(window, str):
        return place.failed(window, capture_name, cause)
    part = traffic.between(window.start_ns, window.end_ns)
    verdict = transferred("cell", part, column.what, column.mode, column.files, stored)  # type: ignore[arg-type]
    return place.judged(verdict, capture_name, cause)


MATRIX = Matrix("ftp", "Does every FTP client work with every FTP server: list, get and put, active and passive?", run)
