"""Requests a second of the origin beside Python's http.server and aiohttp, in one run.

    python -m tests.bench.bench_origin [--seconds 2] [--rounds 5]

Each server serves the same file of 1 KiB on kept connections, pinned to one core, the load generator to another. The
servers take turns within each round, so that what else the machine does meets all alike; the medians are compared.
Like is compared with like: on Python's own loop with the same, on uvloop with uvloop.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.load import response_octets
from tests.bench.ports import free_port

SMALL_OCTETS = 1024
CONNECTIONS = (1, 64)
LOOPS = ("", "+uvloop")
ORIGIN = "origin"
PEERS = (
    "http.server",
    "http.server-nodelay",
    *(f"aiohttp-{kind}{loop}" for loop in LOOPS for kind in ("file", "text")),
)
SERVERS = (*(ORIGIN + loop for loop in LOOPS), *PEERS)
# What the project asks of its origin.
TIMES_HTTP_SERVER = 7.0

Rates = dict[tuple[str, int], float]

# Python's own loop for the origin: the same program, with uvloop made impossible to import.
_WITHOUT_UVLOOP = (
    "import sys; sys.modules['uvloop'] = None; from lab7.services.http.origin import main; sys.exit(main())"
)


def _command(name: str, port: int, root: Path) -> list[str]:
    if not name.startswith(ORIGIN):
        return [sys.executable, "-m", "tests.bench.peers", name, str(port), str(root)]
    start = ["-m", "lab7.services.http.origin"] if name.endswith("uvloop") else ["-c", _WITHOUT_UVLOOP]
    return [sys.executable, *start, "--root", str(root), "--port", str(port), "--listen", "127.0.0.1"]


@contextmanager
def _running(name: str, port: int, root: Path, core: int) -> Iterator[None]:
    with subprocess.Popen(_command(name, port, root), stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            if not ready.startswith("READY"):
                raise RuntimeError(f"{name} did not start")
            os.sched_setaffinity(process.pid, {core})
            yield
        finally:
            process.terminate()


def _measure(port: int, connections: int, seconds: float, octets: int, core: int) -> float:
    values = (port, connections, seconds, octets, core)
    command = [sys.executable, "-m", "tests.bench.load", *map(str, values)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def run(seconds: float, rounds: int, connections: Sequence[int] = CONNECTIONS) -> Rates:
    """Return the median requests a second of each server for each number of connections."""
    cores = sorted(os.sched_getaffinity(0))
    samples: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        root = Path(folder)
        (root / "small.bin").write_bytes(os.urandom(SMALL_OCTETS))
        ports = {name: free_port() for name in SERVERS}
        for name, port in ports.items():
            stack.enter_context(_running(name, port, root, cores[0]))
        for _ in range(rounds):
            for count in connections:
                for name, port in ports.items():
                    rate = _measure(port, count, seconds, response_octets(port), cores[-1])
                    samples.setdefault((name, count), []).append(rate)
    return {key: statistics.median(values) for key, values in samples.items()}


def ratios(rates: Rates, loop: str, count: int) -> tuple[float, float]:
    """Return the origin's rate over http.server's, and over the faster aiohttp's on the same loop."""
    origin = rates[ORIGIN + loop, count]
    fastest = max(rates[f"aiohttp-{kind}{loop}", count] for kind in ("file", "text"))
    return origin / rates["http.server", count], origin / fastest


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table and the ratios, and return 1 where the origin is slower than it is to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_origin", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    rates = run(options.seconds, options.rounds)
    print("requests/s".ljust(24), *(f"{count:>4} conn." for count in CONNECTIONS))
    for name in SERVERS:
        print(name.ljust(24), *(f"{rates[name, count]:10.0f}" for count in CONNECTIONS))
    met = True
    for loop in LOOPS:
        for count in CONNECTIONS:
            over_http_server, over_aiohttp = ratios(rates, loop, count)
            met = met and over_http_server >= TIMES_HTTP_SERVER and over_aiohttp >= 1
            print(
                f"{ORIGIN + loop}, {count} connections: {over_http_server:.1f} times http.server, "
                f"{over_aiohttp:.1f} times aiohttp"
            )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
