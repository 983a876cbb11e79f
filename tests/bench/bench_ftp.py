"""MB/s of one large RETR and STOR, and of a hundred sessions at once, beside pyftpdlib and vsftpd, in one run.

    python -m tests.bench.bench_ftp [--rounds 9]

The servers are pinned to one core, the load generator to another. Within each round they take turns at each workload,
in the other order every second round, so that what slows the machine down for a while slows all of them down; each
round gives one ratio to each peer, and the median of those is what counts. The files lie in memory (/dev/shm) where the
machine has it: a disk's speed is no server's. STOR makes a new file each time, which no server here syncs.
"""

import argparse
import ftplib
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.bench.ftp_load import drop, load
from tests.bench.ftp_peers import OURS, PEERS, command, is_here
from tests.bench.ports import free_port

LARGE_OCTETS = 100 * 1024 * 1024
SMALL_OCTETS = 1024 * 1024
SESSIONS = 100
FILES_A_SESSION = 4
BLOCK_OCTETS = 1024 * 1024
WORKLOADS = ("RETR", "STOR", f"{SESSIONS} sessions")
START_S = 10.0

# What the project asks for is not to be behind pyftpdlib; medians of one run differ by a few hundredths from the next.
NOT_BEHIND = 0.95

# Octets a second, one number a round, of each server for each workload.
Rates = dict[tuple[str, str], list[float]]


@contextmanager
def _running(name: str, port: int, folder: Path, core: int) -> Iterator[None]:
    with subprocess.Popen(command(name, port, folder), stdout=subprocess.DEVNULL) as process:
        try:
            os.sched_setaffinity(process.pid, {core})
            _await(port)
            yield
        finally:
            process.terminate()


def _await(port: int) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _client(port: int) -> ftplib.FTP:
    client = ftplib.FTP(timeout=20)
    client.connect("127.0.0.1", port)
    client.login("anonymous", "x")
    client.voidcmd("TYPE I")
    client.cwd("pub")
    return client


def _rate_retr(port: int) -> float:
    with _client(port) as client:
        begun, octets = time.perf_counter(), 0
        with client.transfercmd("RETR large") as data:
            while count := drop(data):
                octets += count
        client.voidresp()
        taken = time.perf_counter() - begun
    _check(octets, LARGE_OCTETS)
    return octets / taken


def _rate_stor(port: int, source: Path) -> float:
    with _client(port) as client, open(source, "rb") as file:
        with suppress(ftplib.error_perm):
            client.delete("stored")
        begun = time.perf_counter()
        with client.transfercmd("STOR stored") as data:
            data.sendfile(file)
        client.voidresp()
        rate = LARGE_OCTETS / (time.perf_counter() - begun)
        client.delete("stored")
        return rate


def _rate_sessions(port: int) -> float:
    """All sessions log in, one after the other, then all transfer at once."""
    with ExitStack() as stack:
        controls = [stack.enter_context(_client(port)).sock for _ in range(SESSIONS)]
        begun = time.perf_counter()
        octets = load([control for control in controls if control is not None], "small", FILES_A_SESSION)
        taken = time.perf_counter() - begun
    _check(octets, SESSIONS * FILES_A_SESSION * SMALL_OCTETS)
    return octets / taken


def _check(octets: int, wanted: int) -> None:
    if octets != wanted:
        raise RuntimeError(f"{octets} octets came, not {wanted}")


def run(rounds: int) -> Rates:
    """Measure all servers."""
    cores = sorted(os.sched_getaffinity(0))
    rates: Rates = {}
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name, ExitStack() as stack:
        source = _make_files(Path(name))
        servers = {server: free_port() for server in (OURS, *filter(is_here, PEERS))}
        for server, port in servers.items():
            stack.enter_context(_running(server, port, Path(name), cores[0]))
        os.sched_setaffinity(0, {cores[-1]})
        measures: tuple[Callable[[int], float], ...] = (
            _rate_retr,
            lambda port: _rate_stor(port, source),
            _rate_sessions,
        )
        for number in range(rounds):
            order = list(servers)[:: -1 if number % 2 else 1]
            for workload, measure in zip(WORKLOADS, measures, strict=True):
                for server in order:
                    rates.setdefault((server, workload), []).append(measure(servers[server]))
    return rates


def _make_files(folder: Path) -> Path:
    """Lay out what all servers serve; returns the large file."""
    folder.chmod(0o755)
    (folder / "empty").mkdir()
    public = folder / "pub"
    public.mkdir()
    public.chmod(0o777)
    (public / "large").write_bytes(os.urandom(BLOCK_OCTETS) * (LARGE_OCTETS // BLOCK_OCTETS))
    (public / "small").write_bytes(os.urandom(SMALL_OCTETS))
    return public / "large"


def _over(rates: Rates, peer: str, workload: str) -> float:
    """Return the median, over the rounds, of how many times as fast as a peer ours is."""
    pairs = zip(rates[OURS, workload], rates[peer, workload], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and return 1 where ours is behind pyftpdlib."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_ftp", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rates = run(parser.parse_args(argv).rounds)
    print("MB/s".ljust(12), *(workload.rjust(14) for workload in WORKLOADS))
    for server in dict.fromkeys(server for server, _ in rates):
        medians = (statistics.median(rates[server, workload]) for workload in WORKLOADS)
        print(server.ljust(12), *(f"{median / 1e6:14.0f}" for median in medians))
    met = True
    for peer in PEERS:
        if (peer, WORKLOADS[0]) not in rates:
            print(f"{peer} is not here")
            continue
        over = {workload: _over(rates, peer, workload) for workload in WORKLOADS}
        print(f"{OURS} over {peer}: " + ", ".join(f"{workload} {ratio:.2f}" for workload, ratio in over.items()))
        met = met and (peer != "pyftpdlib" or min(over.values()) >= NOT_BEHIND)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
