"""Requests a second by HTTP/2 of the origin beside hypercorn, with nginx as the ceiling where it is installed.

    python -m tests.bench.bench_http2 [--requests 10000] [--rounds 5]

One connection with 100 streams at a time (h2load -c1 -m100) asks for a file of 1 KiB in cleartext by prior knowledge.
Hypercorn runs an ASGI application that answers the same octets from memory, on uvloop as the origin does. Servers
are pinned to one core and the load to another, and take turns within each round; the medians are compared.
"""

import argparse
import os
import re
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

from tests.bench.ports import free_port

SMALL_OCTETS = 1024
STREAMS = 100
ORIGIN, HYPERCORN, NGINX = "origin", "hypercorn", "nginx"
# What the project asks of its origin.
TIMES_HYPERCORN = 2.0
START_S = 20.0
WAIT_S = 0.02

_APPLICATION = """
from pathlib import Path
CONTENT = Path({path!r}).read_bytes()
FIELDS = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(CONTENT))]
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({{"type": "http.response.start", "status": 200, "headers": FIELDS}})
        await send({{"type": "http.response.body", "body": CONTENT}})
"""
# As it comes, it ends a connection after 1000 requests.
_HYPERCORN = """
bind = "127.0.0.1:{port}"
worker_class = "uvloop"
workers = 1
loglevel = "ERROR"
keep_alive_max_requests = 100000000
"""
_NGINX = """
daemon off; master_process off; worker_processes 1; error_log {folder}/error.log; pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off; keepalive_requests 100000000; sendfile on;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port} http2; root {folder}; }}
}}
"""


def _command(name: str, port: int, folder: Path) -> list[str]:
    if name == ORIGIN:
        return [sys.executable, "-m", "lab7.services.http.origin", "--root", str(folder), "--port", str(port)]
    if name == HYPERCORN:
        (folder / "application.py").write_text(_APPLICATION.format(path=str(folder / "small.bin")))
        (folder / "hypercorn.toml").write_text(_HYPERCORN.format(port=port))
        return [sys.executable, "-m", "hypercorn", "-c", str(folder / "hypercorn.toml"), "application:application"]
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]


def _await_port(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Hypercorn and nginx tell nobody that they can be used, so their port is tried until it answers."""
    given_up = time.monotonic() + START_S
    while time.monotonic() < given_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(WAIT_S)
    raise RuntimeError(f"{process.args!r} did not start")


@contextmanager
def _running(name: str, port: int, folder: Path, core: int) -> Iterator[None]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.getcwd()])}
    command = ["taskset", "-c", str(core), *_command(name, port, folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment) as process:
        try:
            _await_port(process, port)
            yield
        finally:
            process.terminate()


def _measure(port: int, requests: int, core: int) -> float:
    url = f"http://127.0.0.1:{port}/small.bin"
    load = ["taskset", "-c", str(core), "h2load", f"-n{requests}", "-c1", f"-m{STREAMS}", url]
    said = subprocess.run(load, check=True, capture_output=True, text=True).stdout
    if f"{requests} succeeded" not in said:
        raise RuntimeError(f"not all requests were answered:\n{said}")
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", said)
    return float(rate[1]) if rate else 0.0


def run(requests: int, rounds: int) -> dict[str, float]:
    """Return the median requests a second of each server that is installed."""
    cores = sorted(os.sched_getaffinity(0))
    samples: dict[str, list[float]] = {}
    names = [ORIGIN, HYPERCORN, *([NGINX] if shutil.which(NGINX) else [])]
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        folder = Path(made)
        (folder / "small.bin").write_bytes(os.urandom(SMALL_OCTETS))
        ports = {name: free_port() for name in names}
        for name, port in ports.items():
            stack.enter_context(_running(name, port, folder, cores[0]))
        for _ in range(rounds):
            for name, port in ports.items():
                samples.setdefault(name, []).append(_measure(port, requests, cores[-1]))
    return {name: statistics.median(values) for name, values in samples.items()}


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and return 1 where the origin is slower than it is to be; 0 where nothing can be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_http2", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    if shutil.which("h2load") is None:
        print("h2load is not installed (package nghttp2-client): nothing measured")
        return 0
    rates = run(options.requests, options.rounds)
    print(f"HTTP/2, {STREAMS} streams on one connection".ljust(40), "requests/s")
    for name, rate in rates.items():
        print(name.ljust(40), f"{rate:10.0f}")
    times = rates[ORIGIN] / rates[HYPERCORN]
    print(f"{ORIGIN}: {times:.1f} times {HYPERCORN}")
    return 0 if times >= TIMES_HYPERCORN else 1


if __name__ == "__main__":
    sys.exit(main())
