"""Cache hits a second, and what a miss costs more than asking the origin, beside proxy.py, squid and nginx, in one run.

    python -m tests.bench.bench_proxy [--seconds 2] [--rounds 5]

One origin serves 1 KiB on one core; each proxy has the same core, the load generator another. Hits: 64 kept connections
ask for one URL. Misses: one connection asks for URLs that nobody asked for before, and the median time of the same
requests to the origin is taken off. The proxies take turns within each round; medians are compared. proxy.py stores
nothing, so each of its requests goes on to the origin: it is what a proxy in Python does without a cache. The project
asks for three times its rate; squid and nginx, where they are installed, are the ceiling.
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
from itertools import count
from pathlib import Path

from lab7.experiments.harness.template_engine import render
from tests.bench.load import READ_OCTETS, request_octets, response_octets
from tests.bench.ports import free_port

SMALL_OCTETS = 1024
CONNECTIONS = 64
# Two misses and the origin's own answer to as many, each round.
MISSES = 300
OURS, PROXY_PY, NGINX = "proxy", "proxy.py", "nginx"
LOOPS = ("", "+uvloop")
TIMES_PROXY_PY = 3.0
START_S = 15.0
_WITHOUT_UVLOOP = (
    "import sys; sys.modules['uvloop'] = None; from lab7.services.http.proxy import main; sys.exit(main())"
)
# Real caches: the template of their configuration and how they are started with it.
REAL = {
    "squid": ("squid.conf.j2", "squid", "-N -d 1 -f {config}"),
    NGINX: ("nginx-cache.conf.j2", "nginx", "-p {folder} -e stderr -c {config}"),
}


def proxies() -> list[str]:
    """Return the proxies that can be measured here."""
    ours = [OURS + loop for loop in LOOPS if not loop or importlib.util.find_spec("uvloop")]
    peers = [PROXY_PY] if importlib.util.find_spec("proxy") else []
    return [*ours, *peers, *(name for name, (_, program, _) in REAL.items() if shutil.which(program))]


def _command(name: str, port: int, origin_port: int, folder: Path) -> list[str]:
    if name == PROXY_PY:
        words = "--num-acceptors 1 --num-workers 1 --log-level ERROR --hostname 127.0.0.1"
        return [sys.executable, "-m", "proxy", *words.split(), "--port", str(port)]
    if name not in REAL:
        start = ["-m", "lab7.services.http.proxy"] if name.endswith("uvloop") else ["-c", _WITHOUT_UVLOOP]
        return [sys.executable, *start, "--port", str(port), "--listen", "127.0.0.1"]
    template, program, flags = REAL[name]
    own = folder / name
    own.mkdir()
    config = own / "config"
    known: dict[str, object] = {
        "mode": "reverse" if name == NGINX else "forward",
        "origin_host": "127.0.0.1",
        "origin_port": origin_port,
    }
    known |= {"port": port, "folder": own, "origin": f"http://127.0.0.1:{origin_port}", "address": "127.0.0.1"}
    config.write_text(render(f"implementations/{template}", **known))
    return [program, *flags.format(config=config, folder=own).split()]


@contextmanager
def _running(command: list[str], port: int, core: int) -> Iterator[None]:
    pinned = ["taskset", "-c", str(core), *command]
    with subprocess.Popen(pinned, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _await_listener(port, command[0])
            yield
        finally:
            process.terminate()


def _await_listener(port: int, name: str) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{name} did not start")


def _target(name: str, origin_port: int, path: str) -> str:
    """A forward proxy is asked by an absolute URI, nginx as if it were the origin."""
    return path if name == NGINX else f"http://127.0.0.1:{origin_port}{path}"


def _hits(name: str, port: int, origin_port: int, seconds: float, core: int) -> float:
    target = _target(name, origin_port, "/small.bin")
    for _ in range(2):
        octets = response_octets(port, target)
    values = (port, CONNECTIONS, seconds, octets, core, target)
    command = [sys.executable, "-m", "tests.bench.load", *map(str, values)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _median_s(name: str, port: int, targets: list[str]) -> float:
    """The median time of one request after the other on one connection to the server of this name."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for target in targets:
            begun = time.perf_counter()
            sock.sendall(request_octets(target))
            _read_response(sock, f"{name}, asked for {target}")
            times.append(time.perf_counter() - begun)
    return statistics.median(times)


def _read_response(sock: socket.socket, what: str) -> None:
    octets = b""
    while (end := octets.find(b"\r\n\r\n")) < 0 or len(octets) - end - 4 < SMALL_OCTETS:
        got = sock.recv(READ_OCTETS)
        if not got:
            raise ConnectionError(f"{what}: the connection ended after {len(octets)} octets: {octets[:300]!r}")
        octets += got


def run(seconds: float, rounds: int) -> dict[str, tuple[float, float]]:
    """Return by proxy the median of hits a second, and the median of seconds that a miss takes more than the origin."""
    cores = sorted(os.sched_getaffinity(0))
    hits: dict[str, list[float]] = {}
    added: dict[str, list[float]] = {}
    fresh = count()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, origin_port = Path(name), free_port()
        (folder / "www").mkdir()
        (folder / "www" / "small.bin").write_bytes(os.urandom(SMALL_OCTETS))
        origin = ["-m", "lab7.services.http.origin", "--root", str(folder / "www"), "--port", str(origin_port)]
        origin += ["--listen", "127.0.0.1", "--cache-control", "*=max-age=3600"]
        stack.enter_context(_running([sys.executable, *origin], origin_port, cores[0]))
        ports = {one: free_port() for one in proxies()}
        for one, port in ports.items():
            stack.enter_context(_running(_command(one, port, origin_port, folder), port, cores[0]))
        for _ in range(rounds):
            for one, port in ports.items():
                hits.setdefault(one, []).append(_hits(one, port, origin_port, seconds, cores[-1]))
                paths = [f"/small.bin?{next(fresh)}" for _ in range(MISSES)]
                through = _median_s(one, port, [_target(one, origin_port, path) for path in paths])
                added.setdefault(one, []).append(through - _median_s("origin", origin_port, paths))
    return {one: (statistics.median(hits[one]), statistics.median(added[one])) for one in ports}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table and the ratios, and return 1 where the proxy is slower than it is to be."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_proxy", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    found = run(options.seconds, options.rounds)
    print("proxy".ljust(16), "     hits/s", "  added to a miss")
    for name, (rate, added_s) in found.items():
        print(f"{name:16} {rate:11.0f} {added_s * 1e6:14.0f} us")
    met = True
    for name in (name for name in found if name.startswith(OURS + "+") or name == OURS):
        if PROXY_PY in found:
            ratio = found[name][0] / found[PROXY_PY][0]
            met = met and ratio >= TIMES_PROXY_PY
            print(f"{name}: {ratio:.1f} times {PROXY_PY}'s rate")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
