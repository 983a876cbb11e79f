"""Queries a second of the authoritative server beside servers of dnspython, dnslib, twisted.names and NSD, in one run.

    python -m tests.bench.bench_dns [--seconds 2] [--rounds 5]

Each server has the same zone, on one core; the load generator has another: dnsperf where it is installed, else
tests.bench.dns_load. The servers take turns within each round, and the medians are compared. The project asks for three
times the dnspython server and more than twisted.names, on Python's own loop as on uvloop. NSD, where it is installed,
is the ceiling that a server in C reaches on the same machine.
"""

import argparse
import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.dns_load import NAMES
from tests.bench.dns_rate import measure_rate

OURS = "authoritative"
LOOPS = ("", "+uvloop")
PEER_MODULES = {"dnspython": "dns", "dnslib": "dnslib", "twisted.names": "twisted"}
NSD = "nsd"
FIRST_PORT = 18_153
TIMES_DNSPYTHON = 3.0
UNDER_WAY = 64

ZONE = """$ORIGIN example.com.
$TTL 3600
@      IN SOA ns.example.com. hostmaster.example.com. 1 86400 7200 2419200 300
@      IN NS  ns.example.com.
@      IN MX  10 mail.example.com.
ns     IN A   192.0.2.1
mail   IN A   192.0.2.2
www    IN A   192.0.2.3
www    IN A   192.0.2.4
host1  IN A   192.0.2.5
host2  IN A   192.0.2.6
"""

_WITHOUT_UVLOOP = (
    "import sys; sys.modules['uvloop'] = None; from lab7.services.dns.authoritative import main; sys.exit(main())"
)


def servers() -> list[str]:
    """Return the servers that can be measured here."""
    ours = [OURS + loop for loop in LOOPS if not loop or importlib.util.find_spec("uvloop")]
    peers = [name for name, module in PEER_MODULES.items() if importlib.util.find_spec(module)]
    return [*ours, *peers, *([NSD] if shutil.which(NSD) else [])]


def _command(name: str, port: int, folder: Path) -> list[str]:
    zone = os.fspath(folder / "zone")
    if name == NSD:
        return [NSD, "-d", "-c", os.fspath(_nsd_configuration(port, folder))]
    if not name.startswith(OURS):
        return [sys.executable, "-m", "tests.bench.dns_peers", name, str(port), zone]
    start = ["-m", "lab7.services.dns.authoritative"] if name.endswith("uvloop") else ["-c", _WITHOUT_UVLOOP]
    return [sys.executable, *start, "--zone", zone, "--port", str(port), "--listen", "127.0.0.1"]


def _nsd_configuration(port: int, folder: Path) -> Path:
    file = folder / "nsd.conf"
    own = "".join(f'  {key}: "{folder / key}"\n' for key in ("pidfile", "xfrdfile", "zonelistfile"))
    file.write_text(
        f'server:\n  ip-address: 127.0.0.1@{port}\n  server-count: 1\n  username: ""\n  database: ""\n{own}'
        f'  verbosity: 1\n  zonesdir: "{folder}"\n  rrl-ratelimit: 0\nremote-control:\n  control-enable: no\n'
        'zone:\n  name: "example.com"\n  zonefile: "zone"\n'
    )
    return file


@contextmanager
def _running(name: str, port: int, folder: Path, core: int) -> Iterator[None]:
    output, errors = (subprocess.DEVNULL, subprocess.PIPE) if name == NSD else (subprocess.PIPE, None)
    command = ["taskset", "-c", str(core), *_command(name, port, folder)]
    with subprocess.Popen(command, stdout=output, stderr=errors, text=True) as process:
        try:
            stream = process.stderr if name == NSD else process.stdout
            lines = stream if stream is not None else ()
            if not any(line.startswith("READY") or "nsd started" in line for line in lines):
                raise RuntimeError(f"{name} did not start")
            yield
        finally:
            process.terminate()


def run(seconds: float, rounds: int) -> dict[str, float]:
    """Return the median queries a second of each server."""
    cores = sorted(os.sched_getaffinity(0))
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "zone").write_text(ZONE)
        (folder / "questions").write_text("".join(f"{name}.example.com A\n" for name in NAMES))
        ports = {name: FIRST_PORT + number for number, name in enumerate(servers())}
        for name, port in ports.items():
            stack.enter_context(_running(name, port, folder, cores[0]))
        for _ in range(rounds):
            for name, port in ports.items():
                samples.setdefault(name, []).append(
                    measure_rate(port, seconds, cores[-1], folder / "questions", UNDER_WAY)
                )
    return {name: statistics.median(values) for name, values in samples.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table and the ratios, and return 1 where the server is slower than it is to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_dns", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    rates = run(options.seconds, options.rounds)
    for name, rate in rates.items():
        print(f"{name:24}{rate:10.0f} queries/s")
    met = True
    for ours in (name for name in rates if name.startswith(OURS)):
        for peer, times in (("dnspython", TIMES_DNSPYTHON), ("dnslib", 1.0), ("twisted.names", 1.0)):
            if peer in rates:
                ratio = rates[ours] / rates[peer]
                met = met and ratio >= times
                print(f"{ours}: {ratio:.1f} times {peer}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
