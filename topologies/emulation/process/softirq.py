"""Measurement of the run-queue delay of ksoftirqd, the kernel threads that process received frames under load.

A received frame may have to wait until such a thread gets a processor; the kernel counts this wait
(proc_pid_schedstat(5)). A sandbox (separate Linux namespaces, in which lab7 runs) has its own /proc without kernel
threads, so the process in it inherits descriptors of their files, which were opened outside:

    share_descriptors()            # outside, before the sandbox is created
    schedstats()                   # inside, or without a sandbox: descriptors to read with os.pread
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

VARIABLE = "LAB7_SOFTIRQ_SCHEDSTATS"
PROC = Path("/proc")
NAME = "ksoftirqd/"
READ_BYTES = 200


def share_descriptors() -> None:
    """Open the kernel's schedstat files of the ksoftirqd threads, outside of a sandbox, as inheritable descriptors."""
    descriptors = _opened()
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    os.environ[VARIABLE] = " ".join(map(str, descriptors))


@cache
def schedstats() -> list[int]:
    """Return descriptors of the schedstat files of the ksoftirqd threads, one per processor; empty if unreadable.

    The descriptors are opened or inherited at the first call, then cached and kept open.
    """
    passed = os.environ.pop(VARIABLE, None)
    if passed is None:
        return _opened()
    descriptors = [int(word) for word in passed.split() if _is_schedstat(int(word))]
    for descriptor in descriptors:
        # The descriptors are for this process; programs of the hosts must not inherit them.
        os.set_inheritable(descriptor, False)
    return descriptors


def waited_ns(descriptor: int) -> int:
    """Return the run-queue delay of a thread since it began, in ns, from a schedstat descriptor."""
    return int(os.pread(descriptor, READ_BYTES, 0).split()[1])


def _opened() -> list[int]:
    descriptors = []
    for folder in sorted(entry for entry in PROC.iterdir() if entry.name.isdigit()):
        with suppress(OSError):
            if (folder / "comm").read_text().startswith(NAME):
                descriptors.append(os.open(folder / "schedstat", os.O_RDONLY | os.O_CLOEXEC))
    return descriptors


def _is_schedstat(descriptor: int) -> bool:
    """Return whether an inherited descriptor number is open and refers to a schedstat file."""
    try:
        return len(os.pread(descriptor, READ_BYTES, 0).split()) == 3
    except OSError:
        return False
