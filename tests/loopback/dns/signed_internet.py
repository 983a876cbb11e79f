"""The small Internet of the loopback tests with signed zones: the root, com and example.com, from one seed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.loopback.dns.internet import PATIENCE_S, SERVED, Internet, free_net, ready_port, start, stop, zones

SEED = "loopback"
INSECURE = ("net.", "2.0.192.in-addr.arpa.")


def root_anchor() -> str:
    """Return the DS record of the root."""
    command = [sys.executable, "-m", "lab7.services.dns.sign", "--ds", ".", "--seed", SEED]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True).stdout.strip()


@contextmanager
def signed_internet(folder: Path, *signing: str, forged: Sequence[int] = ()) -> Iterator[Internet]:
    """Run the servers, which sign their zones; those in `forged` derive their keys from another seed."""
    net, port = free_net()
    made = Internet(net, port, folder)
    for origin, text in zones(net).items():
        (folder / f"{origin}zone").write_text(f"$ORIGIN {origin}\n{text}")
    with ExitStack() as stack:
        for number, origins in SERVED.items():
            flags = [flag for origin in origins for flag in ("--zone", os.fspath(folder / f"{origin}zone"))]
            flags += ["--listen", f"{net}.{number}", "--port", str(port), "--log", os.fspath(folder / f"log{number}")]
            flags += ["--sign-seed", "forged" if number in forged else SEED, *signing]
            flags += [flag for zone in INSECURE for flag in ("--insecure", zone)]
            process = start("lab7.services.dns.authoritative", *flags)
            stack.callback(stop, process)
            made.running[number] = process
        for process in made.running.values():
            ready_port(process)
        yield made
