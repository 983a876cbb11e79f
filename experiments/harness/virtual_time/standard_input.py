"""Standard input of a command in virtual time: read completely before the command's user-mode Linux kernel starts.

The clock of that kernel is simulated. If input arrived during the run, its times would depend on the host. A terminal
is not read, because its input may never end.
"""

import os
import select
import stat
import sys

from lab7.topologies.emulation.errors import EmulationError

DESCRIPTOR = 0
# Maximum length of standard input, far above any list of commands; the input is kept in memory and in the job's file.
LIMIT_BYTES = 64 * 2**20
PIECE_BYTES = 65_536
# Waiting time in seconds after which a notice is printed, since the input of some callers never ends.
NOTICE_S = 2.0
NOTICE = (
    "lab7: reading standard input to its end, which a command in virtual time gets as a whole (for none: </dev/null)"
)


def read(descriptor: int = DESCRIPTOR) -> bytes | None:
    """Return the whole standard input; None for a terminal or a closed descriptor. Raises EmulationError."""
    try:
        if os.isatty(descriptor) or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return None
        return _read(descriptor)
    except OSError:
        return None


def _read(descriptor: int) -> bytes:
    if not select.select([descriptor], [], [], NOTICE_S)[0]:
        print(NOTICE, file=sys.stderr, flush=True)
    read = bytearray()
    while piece := os.read(descriptor, PIECE_BYTES):
        read += piece
        if len(read) > LIMIT_BYTES:
            raise EmulationError(
                f"standard input is longer than {LIMIT_BYTES // 2**20} MB, and a command in virtual time gets it as a "
                "whole: let the command read a file of the current folder"
            )
    return bytes(read)
