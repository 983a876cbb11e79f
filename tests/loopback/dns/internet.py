"""A small Internet on loopback addresses: root, com and net, example.com twice, as processes; and a
server that the test implements, octet by octet."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 20.0
CLIENT_HOST = "127.0.0.1"

SOA = "$TTL 300\n@ SOA ns.test. host.test. 1 1d 2h 4w 60\n"
BIG = " ".join(f'"{letter * 250}"' for letter in "abcdefgh")


def zones(net: str) -> dict[str, str]:
    """Return the zones by origin, for servers at `net`.1 and so on."""
    return {
        ".": f"""{SOA}@ NS a.root.test.
a.root.test. A {net}.1
com. NS a.gtld.test.
net. NS a.gtld.test.
2.0.192.in-addr.arpa. NS a.gtld.test.
a.gtld.test. A {net}.2
""",
        "com.": f"""{SOA}@ NS a.gtld.test.
example NS ns1.example
example NS ns2.example
ns1.example A {net}.3
ns2.example A {net}.4
""",
        "net.": f"{SOA}@ NS a.gtld.test.\nhost A 192.0.2.60\n",
        "2.0.192.in-addr.arpa.": f"{SOA}@ NS a.gtld.test.\n1 PTR www.example.com.\n",
        "example.com.": f"""{SOA}@ NS ns1
@ NS ns2
ns1 A {net}.3
ns2 A {net}.4
@ MX 10 mail
mail A 192.0.2.8
www A 192.0.2.1
www A 192.0.2.2
www A 192.0.2.3
alias CNAME www
away CNAME host.net.
big TXT {BIG}
once 0 A 192.0.2.9
deep.down.below A 192.0.2.5
""",
    }


SERVED = {1: (".",), 2: ("com.", "net.", "2.0.192.in-addr.arpa."), 3: ("example.com.",), 4: ("example.com.",)}


@dataclass
class Internet:
    """Servers at `net`.1 to `net`.4, all on `port`."""

    net: str
    port: int
    folder: Path
    running: dict[int, subprocess.Popen[str]] = field(default_factory=dict)

    @property
    def flags(self) -> list[str]:
        """The flags of a resolver for this Internet."""
        return ["--root", f"a.root.test={self.net}.1", "--upstream-port", str(self.port)]

    def kill(self, number: int) -> None:
        """Kill one server."""
        self.running[number].kill()
        self.running[number].wait(PATIENCE_S)


def free_net() -> tuple[str, int]:
    """Return a loopback network, and a port that is free on its first addresses over UDP and TCP."""
    draw = random.SystemRandom()
    while True:
        net = f"127.{draw.randint(16, 250)}.{draw.randint(1, 250)}"
        port = draw.randint(20_000, 30_000)
        try:
            for number in range(1, 10):
                for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind((f"{net}.{number}", port))
        except OSError:
            continue
        return net, port


def start(module: str, *flags: str) -> subprocess.Popen[str]:
    """Start a service, without waiting for READY."""
    return subprocess.Popen([sys.executable, "-m", module, *flags], stdout=subprocess.PIPE, text=True)


def ready_port(process: subprocess.Popen[str]) -> int:
    """Wait for READY and return the port in it."""
    line = process.stdout.readline() if process.stdout else ""
    assert line.startswith("READY "), line
    return int(line.rpartition(":")[2])


def stop(process: subprocess.Popen[str]) -> None:
    """Stop a service with SIGTERM, and verify its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    if process.stdout:
        process.stdout.close()


@contextmanager
def internet(folder: Path, recursive: Sequence[int] = ()) -> Iterator[Internet]:
    """Run the servers; those in `recursive` do recursion."""
    net, port = free_net()
    made = Internet(net, port, folder)
    for origin, text in zones(net).items():
        (folder / f"{origin}zone").write_text(f"$ORIGIN {origin}\n{text}")
    with ExitStack() as stack:
        for number, origins in SERVED.items():
            flags = [flag for origin in origins for flag in ("--zone", os.fspath(folder / f"{origin}zone"))]
            flags += ["--listen", f"{net}.{number}", "--port", str(port), "--log", os.fspath(folder / f"log{number}")]
            asks = number in recursive
            if asks:
                flags += ["--upstream-port", str(port), "--outgoing", f"{net}.{number}"]
            process = start(f"lab7.services.dns.{'recursive' if asks else 'authoritative'}", *flags)
            stack.callback(stop, process)
            made.running[number] = process
        for process in made.running.values():
            ready_port(process)
        yield made


@dataclass
class Resolver:
    """A running resolver, and its log."""

    port: int
    log: Path

    def events(self, kind: str) -> list[dict[str, object]]:
        """Return the log's events of one kind."""
        return [event for line in self.log.read_text().splitlines() if (event := json.loads(line))["event"] == kind]

    def upstream(self) -> list[str]:
        """Return the last octets of the servers queried, in order."""
        return [str(event["server"]).rpartition(".")[2] for event in self.events("upstream")]


@contextmanager
def resolver(folder: Path, *flags: str, listen: str = CLIENT_HOST) -> Iterator[Resolver]:
    """Run a resolver."""
    log = folder / f"resolver{len(list(folder.glob('resolver*')))}"
    common = ["--listen", listen, "--port", "0", "--log", os.fspath(log)]
    process = start("lab7.services.dns.resolver", *common, *flags)
    try:
        yield Resolver(ready_port(process), log)
    finally:
        stop(process)


Datagram = tuple[bytes, tuple[str, int]]
# Gets a query and its source; returns the responses in order, each with the number of the socket to send it from.
Play = Callable[[bytes, tuple[str, int]], Iterable[tuple[int, bytes]]]


@contextmanager
def played(addresses: Sequence[tuple[str, int]], play: Play) -> Iterator[list[Datagram]]:
    """Behave as a server at the first address, with sockets at the others for spoofing; yield the received queries."""
    received: list[Datagram] = []
    with ExitStack() as stack:
        family = socket.AF_INET6 if ":" in addresses[0][0] else socket.AF_INET
        sockets = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in addresses]
        for one, address in zip(sockets, addresses, strict=True):
            one.bind(address)

        def serve() -> None:
            while True:
                data, client = sockets[0].recvfrom(65_535)
                client = client[:2]
                if not data:
                    return
                received.append((data, client))
                for number, answer in play(data, client):
                    sockets[number].sendto(answer, client)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield received
        finally:
            with socket.socket(family, socket.SOCK_DGRAM) as ender:
                ender.sendto(b"", addresses[0])
            thread.join(PATIENCE_S)
