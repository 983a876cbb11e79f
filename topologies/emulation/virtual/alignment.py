"""Alignment of processes in virtual time: after its start-up, a process continues at a multiple of 10 ms of the clock.

In virtual time, the clock is simulated by the kernel (see the package's docstring). Each reading of the clock advances
it by 32 ns, and CPython reads it for each lock that it takes, so for each file that it opens. The moment at which a
process is ready therefore depends on the host: on stale bytecode, and on the packages of the interpreter. Without
alignment, this moment would change packets, since TCP derives initial sequence numbers and time stamps from the clock.
"""

import ctypes
import os
import time
from collections.abc import Mapping

# Environment variable that process 1 of a kernel sets where the clock is virtual.
VARIABLE = "LAB7_VIRTUAL_CLOCK"
# Step in ns, longer than the readings of the clock during start-up (some ten thousand, 0.3 ms): every host continues at
# the same step.
STEP_NS = 10_000_000
CLOCK_MONOTONIC, TIMER_ABSTIME = 1, 1
# prctl(2); a wait ends at its moment with a slack of 1 ns, and up to 50 us later with the default.
PR_SET_TIMERSLACK, PR_GET_TIMERSLACK = 29, 30


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def align(environment: Mapping[str, str] = os.environ) -> None:
    """Wait until the virtual clock reaches the next multiple of STEP_NS (10 ms).

    If the clock is not virtual, return at once.
    """
    if VARIABLE not in environment:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    slack_ns = libc.prctl(PR_GET_TIMERSLACK)
    libc.prctl(PR_SET_TIMERSLACK, 1)
    moment_ns = next_step_ns(time.monotonic_ns())
    moment = _Timespec(*divmod(moment_ns, 1_000_000_000))
    # A signal (EINTR) ends the wait early. time.sleep() does not fit: it waits for a time, not until a moment.
    while time.monotonic_ns() < moment_ns:
        libc.clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, ctypes.byref(moment), None)
    libc.prctl(PR_SET_TIMERSLACK, slack_ns)


def next_step_ns(now_ns: int) -> int:
    """Return the first multiple of STEP_NS after a time, both in ns.

    >>> next_step_ns(10_000_407_096)
    10010000000
    """
    return (now_ns // STEP_NS + 1) * STEP_NS
