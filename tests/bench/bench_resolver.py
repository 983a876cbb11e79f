"""Queries a second of the resolver's cache beside caching forwarders of dnspython and twisted.names, in one run.

    python -m tests.bench.bench_resolver [--seconds 2] [--rounds 5]

Each has its answers from the same authoritative server, once, and then from its cache. Each is on one core, the load
generator (dnsperf where it is installed, else tests.bench.dns_load) on another. They take turns within each round, and
the medians are compared. The project asks for three times the dnspython forwarder, on Python's own loop as on uvloop.
Unbound, where it is installed, is the ceiling that a resolver in C reaches on the same machine.
"""

import argparse
import importlib.util
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.dns_load import NAMES
from tests.bench.dns_rate import measure_rate

OURS = "resolver"
LOOPS = ("", "+uvloop")
PEER_MODULES = {"dnspython": "dns", "twisted.names": "twisted"}
UNBOUND = "unbound"
HOST = "127.0.0.1"
FIRST_PORT = 18_253
TIMES_DNSPYTHON = 3.0
UNDER_WAY = 64

# One server is root and all: what is measured comes from caches.
ROOT = """$ORIGIN .
$TTL 86400
@ SOA root.test. host.test. 1 86400 7200 2419200 86400
@ NS root.test.
"""
RECORDS = "".join(f"{name}.example.com. A 192.0.2.{number}\n" for number, name in enumerate(NAMES[:-1], start=1))

_WITHOUT_UVLOOP = (
    "import sys; sys.modules['uvloop'] = None; from lab7.services.dns.resolver import main; sys.exit(main())"
)


def resolvers() -> list[str]:
    """Return the resolvers that can be measured here."""
    ours = [OURS + loop for loop in LOOPS if not loop or importlib.util.find_spec("uvloop")]
    peers = [name for name, module in PEER_MODULES.items() if importlib.util.find_spec(module)]
    return [*ours, *peers, *([UNBOUND] if shutil.which(UNBOUND) else [])]


def _command(name: str, port: int, upstream: int, folder: Path) -> list[str]:
    if name == UNBOUND:
        return [UNBOUND, "-d", "-d", "-c", os.fspath(_unbound_configuration(port, upstream, folder))]
    if not name.startswith(OURS):
        return [sys.executable, "-m", "tests.bench.bench_resolver", "--peer", name, str(port), str(upstream)]
    start = ["-m", "lab7.services.dns.resolver"] if name.endswith("uvloop") else ["-c", _WITHOUT_UVLOOP]
    flags = ["--root", f"root.test={HOST}", "--upstream-port", str(upstream)]
    return [sys.executable, *start, *flags, "--port", str(port), "--listen", HOST]


def _unbound_configuration(port: int, upstream: int, folder: Path) -> Path:
    file = folder / "unbound.conf"
    file.write_text(
        f'server:\n  interface: {HOST}@{port}\n  num-threads: 1\n  username: ""\n  chroot: ""\n  pidfile: ""\n'
        '  do-not-query-localhost: no\n  module-config: "iterator"\n  use-syslog: no\n  verbosity: 1\n'
        f'  directory: "{folder}"\n'
        f'remote-control:\n  control-enable: no\nforward-zone:\n  name: "."\n  forward-addr: {HOST}@{upstream}\n'
    )
    return file


@contextmanager
def _running(name: str, command: list[str], core: int) -> Iterator[None]:
    # Unbound tells on standard error that it has started.
    output, errors = (subprocess.DEVNULL, subprocess.PIPE) if name == UNBOUND else (subprocess.PIPE, None)
    with subprocess.Popen(["taskset", "-c", str(core), *command], stdout=output, stderr=errors, text=True) as process:
        try:
            stream = process.stderr if name == UNBOUND else process.stdout
            if not any(line.startswith("READY") or "start of service" in line for line in stream or ()):
                raise RuntimeError(f"{name} did not start")
            yield
        finally:
            process.terminate()


def run(seconds: float, rounds: int) -> dict[str, float]:
    """Return the median queries a second of each resolver."""
    cores = sorted(os.sched_getaffinity(0))
    samples: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "zone").write_text(ROOT + RECORDS)
        (folder / "questions").write_text("".join(f"{name}.example.com A\n" for name in NAMES))
        zone = [sys.executable, "-m", "lab7.services.dns.authoritative", "--zone", os.fspath(folder / "zone")]
        stack.enter_context(_running("upstream", [*zone, "--listen", HOST, "--port", str(FIRST_PORT)], cores[-1]))
        ports = {name: FIRST_PORT + number for number, name in enumerate(resolvers(), start=1)}
        for name, port in ports.items():
            stack.enter_context(_running(name, _command(name, port, FIRST_PORT, folder), cores[0]))
            measure_rate(port, 1.0, cores[-1], folder / "questions", UNDER_WAY, recursion_desired=True)
        for _ in range(rounds):
            for name, port in ports.items():
                samples.setdefault(name, []).append(
                    measure_rate(port, seconds, cores[-1], folder / "questions", UNDER_WAY, recursion_desired=True)
                )
    return {name: statistics.median(values) for name, values in samples.items()}


def _dnspython(port: int, upstream: int) -> None:
    """Forward with a cache in the fewest steps: parse, look into a dict or ask, set the TTL, write."""
    import dns.message
    import dns.query

    cache: dict[tuple[object, int], tuple[object, float]] = {}
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind((HOST, port))
    print("READY", flush=True)
    while True:
        data, peer = receiver.recvfrom(65_535)
        query = dns.message.from_wire(data)
        key = (query.question[0].name, query.question[0].rdtype)
        found, until = cache.get(key, (None, 0.0))
        now = time.monotonic()
        if found is None or now >= until:
            found = dns.query.udp(query, HOST, timeout=5, port=upstream)
            sets = [*found.answer, *found.authority]
            until = now + min((one.ttl for one in sets), default=0)
            cache[key] = found, until
        response = dns.message.make_response(query, recursion_available=True)
        response.set_rcode(found.rcode())  # type: ignore[attr-defined]
        response.answer, response.authority = found.answer, found.authority  # type: ignore[attr-defined]
        for one in (*response.answer, *response.authority):
            one.ttl = int(until - now)
        receiver.sendto(response.to_wire(), peer)


def _twisted(port: int, upstream: int) -> None:
    """Run twisted.names as its manual does: a cache in front of a client, on Twisted's default reactor."""
    from twisted.internet import reactor
    from twisted.names import cache, client, dns, server

    asker = client.Resolver(servers=[(HOST, upstream)])
    factory = server.DNSServerFactory(caches=[cache.CacheResolver()], clients=[asker])
    reactor.listenUDP(port, dns.DNSDatagramProtocol(factory), HOST)
    reactor.callWhenRunning(print, "READY", flush=True)
    reactor.run()


PEERS = {"dnspython": _dnspython, "twisted.names": _twisted}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table and the ratios, and return 1 where the resolver is slower than it is to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_resolver", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", nargs=3, metavar=("NAME", "PORT", "UPSTREAM"), help="be one of the peers")
    options = parser.parse_args(argv)
    if options.peer is not None:
        PEERS[options.peer[0]](int(options.peer[1]), int(options.peer[2]))
        return 0
    rates = run(options.seconds, options.rounds)
    for name, rate in rates.items():
        print(f"{name:24}{rate:10.0f} queries/s")
    met = True
    for ours in (name for name in rates if name.startswith(OURS)):
        for peer, times in (("dnspython", TIMES_DNSPYTHON), ("twisted.names", 1.0), (UNBOUND, 0.0)):
            if peer in rates:
                ratio = rates[ours] / rates[peer]
                met = met and ratio >= times
                print(f"{ours}: {ratio:.2f} times {peer}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
