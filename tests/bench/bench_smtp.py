"""Messages a second of the mail server beside aiosmtpd and Postfix, each durable before its 250, in one run.

    python -m tests.bench.bench_smtp [--seconds 2] [--rounds 5]

Ten sessions send messages of 1 KiB, one after the other on kept connections, without pipelining; every server delivers
them to a Maildir. The servers take turns within each round, and the medians are compared. After the last round all that
was answered by 250 must be in the mailbox of ours.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import smtp_peers
from tests.bench.ports import free_port

OURS = "mta"
AIOSMTPD = "aiosmtpd"
POSTFIX = "postfix"
SESSIONS = 10
OCTETS = 1024
RECIPIENT = "alice@example.com"
DELIVERY_S = 60.0


@contextmanager
def _process(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            if not ready.startswith("READY"):
                raise RuntimeError(f"{command} did not start")
            yield
        finally:
            process.terminate()


def _ours(folder: Path, port: int) -> list[str]:
    (folder / "accounts").write_text("alice:secret\n")
    paths = ["--accounts", folder / "accounts", "--maildirs", folder / "mail", "--queue", folder / "queue"]
    flags = ["--domain", "example.com", "--listen", "127.0.0.1", "--port", str(port)]
    return [sys.executable, "-m", "lab7.services.mail.mta", *map(str, paths), *flags]


def _measure(port: int, seconds: float, core: int) -> tuple[int, float]:
    values = (port, SESSIONS, seconds, RECIPIENT, OCTETS, core)
    command = [sys.executable, "-m", "tests.bench.smtp_load", *map(str, values)]
    done, rate = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(done), float(rate)


def _delivered(maildir: Path) -> int:
    return sum(len(os.listdir(maildir / place)) for place in ("new", "cur"))


def run(seconds: float, rounds: int) -> tuple[dict[str, float], int]:
    """Return the median rate of each server, and how many of our acknowledged messages are missing in the end."""
    samples: dict[str, list[float]] = {}
    accepted = 0
    core = sorted(os.sched_getaffinity(0))[-1]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        ports = {OURS: free_port()}
        stack.enter_context(_process(_ours(folder, ports[OURS])))
        ports[AIOSMTPD] = free_port()
        command = [sys.executable, "-m", "tests.bench.smtp_peers", str(ports[AIOSMTPD]), os.fspath(folder / AIOSMTPD)]
        stack.enter_context(_process(command))
        if smtp_peers.has_postfix():
            ports[POSTFIX] = free_port()
            stack.enter_context(smtp_peers.postfix(folder / POSTFIX, ports[POSTFIX]))
        for _ in range(rounds):
            for server, port in ports.items():
                done, rate = _measure(port, seconds, core)
                samples.setdefault(server, []).append(rate)
                accepted += done if server == OURS else 0
        mailbox = folder / "mail" / "example.com" / "alice"
        end = time.monotonic() + DELIVERY_S
        while _delivered(mailbox) < accepted and time.monotonic() < end:
            time.sleep(0.1)
        missing = max(0, accepted - _delivered(mailbox))
    return {server: statistics.median(rates) for server, rates in samples.items()}, missing


def main(argv: list[str] | None = None) -> int:
    """Measure, print a table, and return 1 where ours is not ahead or a message is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_smtp", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(argv)
    rates, missing = run(options.seconds, options.rounds)
    for server, rate in rates.items():
        print(f"{server:<12}{rate:8.0f} messages/s  {rates[OURS] / rate:5.2f}")
    if POSTFIX not in rates:
        print("postfix     not installed, or this is not root")
    print(f"missing: {missing}")
    return 0 if missing == 0 and all(rates[OURS] > rate for server, rate in rates.items() if server != OURS) else 1


if __name__ == "__main__":
    sys.exit(main())
