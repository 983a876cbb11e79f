"""Command line of the fuzzer: a run against one service, the repetition of a fault, or its reduction to what it needs.

$ python -m tests.fuzz imap --seconds 600 --seed 17 --out faults
$ python -m tests.fuzz imap --replay faults/imap-17-0.txt
$ python -m tests.fuzz imap --reduce faults/imap-17-0.txt
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz import script
from tests.fuzz.run import Report, Run
from tests.fuzz.script import Session
from tests.fuzz.services import FUZZED

# How often a session is played until it counts as one that finds nothing.
TRIES = 3


def _replay(name: str, sessions: list[Session], out: Path) -> Report:
    with Run(name, 0, out) as run:
        return run.replay(sessions)


def reduce(name: str, sessions: list[Session], out: Path) -> list[Session]:
    """Return fewer sessions that still find a fault: one alone where it does, then with fewer steps."""

    def finds(tried: list[Session]) -> bool:
        return bool(_replay(name, tried * TRIES, out).faults)

    needed = list(sessions)
    size = len(needed) // 2
    while size:
        at = 0
        while at < len(needed):
            fewer = needed[:at] + needed[at + size :]
            if fewer and finds(fewer):
                needed = fewer
            else:
                at += size
        size //= 2
    for place in range(len(needed)):
        at = 0
        while at < len(needed[place]):
            shorter = needed[place][:at] + needed[place][at + 1 :]
            changed = [*needed[:place], shorter, *needed[place + 1 :]]
            if shorter and finds(changed):
                needed = changed
            else:
                at += 1
    return needed


def main() -> int:
    """Run the command line and return its exit status: 1 where a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz a service on loopback.")
    parser.add_argument("service", choices=sorted(FUZZED))
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="length of the run (default: 60)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="the same seed, the same sessions (default: 1)"
    )
    parser.add_argument("--out", type=Path, default=Path("faults"), metavar="DIR", help="write faults to DIR")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play the sessions of FILE once, as they are")
    parser.add_argument(
        "--reduce", type=Path, metavar="FILE", help="print the sessions and steps of FILE that are needed"
    )
    options = parser.parse_args()
    if options.reduce is not None:
        sys.stdout.write(script.to_text(reduce(options.service, script.read(options.reduce), options.out)))
        return 0
    if options.replay is not None:
        report = _replay(options.service, script.read(options.replay), options.out)
    else:
        with Run(options.service, options.seed, options.out) as run:
            report = run.fuzz(options.seconds)
    print(report.line())
    for kind, text in report.faults.items():
        print(f"\n== {kind}\n{text}")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
