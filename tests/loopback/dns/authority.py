"""An authoritative server as a process, and clients that send raw octets."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HOST = "127.0.0.1"
# Timeout for expected events: a bound, not a measurement.
PATIENCE_S = 20.0

ZONE = """$ORIGIN example.com.
$TTL 1h
@         SOA   ns hostmaster ( 1 1d 2h 4w 5m )
          NS    ns
          MX    10 mail
ns        A     192.0.2.1
mail      A     192.0.2.2
www       A     192.0.2.10
www       A     192.0.2.11
www       A     192.0.2.12
alias     CNAME www
old       DNAME new
a.new     A     192.0.2.20
*.w       TXT   "wild card"
child     NS    ns.child
ns.child  A     192.0.2.30
_sip._tcp SRV   1 2 5060 mail
big       TXT   {strings}
10        PTR   www
odd       TYPE65280 \\# 3 010203
""".format(strings=" ".join(f'"{letter * 250}"' for letter in "abcdef"))


@contextmanager
def served(folder: Path, *flags: str, zone: str = ZONE) -> Iterator[int]:
    """Run the server for one zone, and yield its port."""
    file = folder / "example.com.zone"
    file.write_text(zone)
    command = [sys.executable, "-m", "lab7.services.dns.authoritative", "--zone", os.fspath(file), "--port", "0"]
    with subprocess.Popen([*command, "--listen", HOST, *flags], stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("READY dns 127.0.0.1:"), ready
            yield int(ready.rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def run(program: str, *arguments: str) -> str:
    """Run an external program and return its output; skip the test where it is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr


def dig(port: int, *arguments: str) -> str:
    """Query with dig, without retries."""
    return run("dig", f"@{HOST}", "-p", str(port), "+tries=1", "+time=10", *arguments)


def udp(port: int, *queries: bytes) -> list[bytes]:
    """Send datagrams from one socket, and return as many responses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.settimeout(PATIENCE_S)
        for query in queries:
            peer.sendto(query, (HOST, port))
        return [peer.recv(65_535) for _ in queries]


def framed(*messages: bytes) -> bytes:
    """Return messages with their length prefixes, as in a stream."""
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


def read_message(peer: socket.socket) -> bytes:
    """Read one message from a stream."""
    return _exactly(peer, int.from_bytes(_exactly(peer, 2), "big"))


def _exactly(peer: socket.socket, count: int) -> bytes:
    octets = b""
    while len(octets) < count:
        piece = peer.recv(count - len(octets))
        if not piece:
            raise EOFError(f"the stream ended after {len(octets)} of {count} octets")
        octets += piece
    return octets
