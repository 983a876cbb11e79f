"""One network of serving hosts on one switch: the times of its build, its services and its stop, and its memory.

    python tests/bench/network_start.py lab7|stock HOSTS FOLDER

Run by its path, with the project whose networks are measured on PYTHONPATH (bench_networks does), so that an older
version can be measured by the same code. Prints one JSON object.
"""

import contextlib
import importlib
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# The parent package, which 0.2.0 lacks. An editable installation of this version is importable beside it.
PARENT = "lab7." if Path(os.environ["PYTHONPATH"], "lab7", "__init__.py").exists() else ""
PORT = 80
# A listening TCP socket: enum in the kernel's include/net/tcp_states.h.
LISTENS = re.compile(rf":{PORT:04X} \S+ 0A ")
PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
PATIENCE_S = 300.0
POLL_S = 0.02
HOSTS_A_BLOCK = 250


def serving_topology(hosts: int, serves: str | None) -> Any:
    """Return the topology: one switch, hosts h1 to hN in 10.0.0.0/16; Mininet's set-up is not measured."""
    topo = importlib.import_module("mininet.topo").Topo()
    topo.addSwitch("s1")
    for number in range(hosts):
        address = f"10.0.{number // HOSTS_A_BLOCK}.{number % HOSTS_A_BLOCK + 1}/16"
        topo.addHost(f"h{number + 1}", ip=address, **({"serves": serves} if serves else {}))
        topo.addLink(f"h{number + 1}", "s1")
    return topo


def memory_mib() -> float:
    """Return the proportional set size of all processes of this PID namespace, in MiB; proc_pid_smaps(5)."""
    total_kib = 0
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with contextlib.suppress(OSError):
                found = PSS.search((place / "smaps_rollup").read_text())
                total_kib += int(found[1]) if found else 0
    return total_kib / 1024


@contextlib.contextmanager
def lab7_network(hosts: int, command: str) -> Iterator[dict[str, float]]:
    """Start the network as lab7 does; yield the moments at which it was built and READY."""
    testbed = importlib.import_module(f"{PARENT}topologies.emulation.testbed").Testbed
    moments: dict[str, float] = {}
    start_services: Callable[[Any], Any] = testbed._start_services

    def timed(bed: Any) -> Any:
        moments["built"] = time.monotonic()
        return start_services(bed)

    testbed._start_services = timed
    with testbed(serving_topology(hosts, command)):
        moments["ready"] = time.monotonic()
        yield moments


@contextlib.contextmanager
def stock_network(hosts: int, command: str) -> Iterator[dict[str, float]]:
    """Start the network as plain Mininet does, with each server in the background of its host's shell."""
    net_class = importlib.import_module("mininet.net").Mininet
    bridge = importlib.import_module("mininet.nodelib").LinuxBridge
    net = net_class(topo=serving_topology(hosts, None), switch=bridge, controller=None)
    net.start()
    built = time.monotonic()
    for host in net.hosts:
        host.cmd(f"{sys.executable} -m {command} >/dev/null 2>&1 &")
    give_up_s = time.monotonic() + PATIENCE_S
    waiting = [Path(f"/proc/{host.pid}/net/tcp") for host in net.hosts]
    while waiting := [table for table in waiting if not LISTENS.search(table.read_text())]:
        if time.monotonic() > give_up_s:
            raise SystemExit(f"{len(waiting)} servers of stock Mininet did not listen within {PATIENCE_S:g} s")
        time.sleep(POLL_S)
    yield {"built": built, "ready": time.monotonic()}
    net.stop()


def main(argv: list[str]) -> int:
    """Measure once, inside of a sandbox."""
    kind, hosts, folder = argv[0], int(argv[1]), argv[2]
    sandbox = importlib.import_module(f"{PARENT}topologies.emulation.sandbox")
    sandbox.enter()
    command = f"{PARENT}services.http.origin --root {folder} --listen 0.0.0.0 --port {PORT}"
    network = {"lab7": lab7_network, "stock": stock_network}[kind]
    began = time.monotonic()
    with network(hosts, command) as moments:
        memory = memory_mib()
        stopping = time.monotonic()
    stopped = time.monotonic()
    measured = {
        "build_s": moments["built"] - began,
        "ready_s": moments["ready"] - moments["built"],
        "stop_s": stopped - stopping,
        "memory_mib": memory,
        "load": os.getloadavg()[0],
    }
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
